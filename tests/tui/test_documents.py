"""What is written about the console follows from what it reads itself."""

from make_key_table import DOCUMENT, with_table

from aprtui.paths import themes_folder
from aprtui.tui.themes import COLOURS, load_themes, read_theme


def test_the_table_of_keys_is_up_to_date():
    text = DOCUMENT.read_text(encoding="utf-8")
    assert text == with_table(text), "run scripts/make_key_table.py"


def test_every_colour_of_a_theme_is_documented():
    text = DOCUMENT.read_text(encoding="utf-8")
    assert all(f"`{name}`" in text for name in COLOURS)


def test_our_themes_load():
    assert set(load_themes().themes) == {"aprtui-dark", "aprtui-light", "aprtui-cvd", "aprtui-ansi"}
    assert read_theme(themes_folder() / "aprtui-cvd.toml").variables["apr-pass"] == "#56b4e9"


def test_a_theme_of_the_users_is_used_and_a_broken_one_is_told(tmp_path, monkeypatch):
    folder = tmp_path / "aprtui" / "themes"
    folder.mkdir(parents=True)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    good = (themes_folder() / "aprtui-dark.toml").read_text()
    (folder / "mine.toml").write_text(good)
    (folder / "broken.toml").write_text(good.replace('pass = "#7fb98a"', 'pass = "greenish"'))
    (folder / "short.toml").write_text('pass = "red"\n')
    (folder / "torn.toml").write_text("pass =\n")
    (folder / "wrong.toml").write_text(good + "colour = 1\n")
    themes = load_themes()
    assert "mine" in themes.themes
    assert [problem.partition("themes/")[2].partition(":")[0] for problem in themes.problems] == [
        "broken.toml, line 11, pass",
        "short.toml",
        "torn.toml, line 1",
        "wrong.toml, line 20, colour",
    ]
