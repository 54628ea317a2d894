"""Settings: which place decides, and errors that name file, line and key."""

import os
import sys
from pathlib import Path

import pytest
from hub_cache import fresh_home

from aprtui.core.errors import AprtuiError, UsageError
from aprtui.paths import user_settings_file
from aprtui.settings import ClipboardWay, ConsoleSettings, load_settings


@pytest.fixture
def home(monkeypatch, tmp_path):
    return fresh_home(monkeypatch, tmp_path)


def write_user(home: Path, text: str) -> Path:
    path = home / ".config/aprtui/settings.toml"
    path.parent.mkdir(parents=True)
    path.write_text(text)
    return path


def test_each_place_goes_before_the_next(home, monkeypatch):
    assert load_settings().model_folders == ()
    user = write_user(home, 'model_folders = ["~/models", "beside"]')
    assert load_settings().model_folders == (home / "models", user.parent / "beside")
    assert load_settings().origin == str(user)
    Path("aprtui.toml").write_text('model_folders = ["project"]')
    assert load_settings().model_folders == (Path("project"),)
    assert load_settings().origin == "aprtui.toml"
    monkeypatch.setenv("APRTUI_MODEL_FOLDERS", os.pathsep.join(("one", "~/two", "")))
    assert load_settings().model_folders == (Path("one"), home / "two")
    assert load_settings([Path("named")]).model_folders == (Path("named"),)
    monkeypatch.setenv("APRTUI_MODEL_FOLDERS", "")
    assert load_settings().origin == "aprtui.toml"


def test_an_empty_list_decides_too(home):
    write_user(home, 'model_folders = ["~/models"]')
    Path("aprtui.toml").write_text("model_folders = []")
    assert load_settings().model_folders == ()


@pytest.mark.skipif(sys.platform == "win32", reason="APPDATA decides there")
def test_the_users_file_moves_with_xdg_config_home(home, monkeypatch):
    assert user_settings_file() == home / ".config/aprtui/settings.toml"
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home / "elsewhere"))
    assert user_settings_file() == home / "elsewhere/aprtui/settings.toml"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("\n# a comment\nmodel_folders = [", "aprtui.toml, line 3: these settings are not TOML"),
        ('model_folders = "x"\nmodel_folders = "y"', "aprtui.toml, line 2: these settings are not TOML"),
        ('\nmodel_folders = "x"', "aprtui.toml, line 2, model_folders: a list of folders expected, found str; write"),
        ('model_folders = ["x",\n 3]', "aprtui.toml, line 1, model_folders: a list of folders expected, entry 2 is 3"),
        ("\n\nmodel_folder = []", "aprtui.toml, line 3, model_folder: there is no such setting; known settings: "),
        ("[models]\nfolders = []", "aprtui.toml, line 1, models: there is no such setting"),
        ('"a.b" = 1', "aprtui.toml, line 1, a.b: there is no such setting"),
    ],
)
def test_mistakes_are_named_with_file_line_and_key(home, text, message):
    Path("aprtui.toml").write_text(text)
    with pytest.raises(UsageError) as error:
        load_settings([Path("overrules")])
    assert error.value.message.startswith(message)


def test_files_that_cannot_be_read(home):
    Path("aprtui.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(UsageError, match=r"aprtui.toml, offset 0: these settings are not UTF-8"):
        load_settings()
    Path("aprtui.toml").unlink()
    Path("aprtui.toml").mkdir()
    with pytest.raises(AprtuiError, match=r"aprtui.toml: these settings cannot be read"):
        load_settings()


def test_settings_of_the_console_follow_the_same_order(home, monkeypatch):
    assert load_settings().console == ConsoleSettings()
    write_user(home, 'output_dir = "~/runs"\n[console]\ntheme = "a"\nbell = false\n[console.keys]\nfailures = "F"\n')
    found = load_settings()
    assert found.output_dir == home / "runs"
    assert (found.console.theme, found.console.bell, found.console.keys) == ("a", False, {"failures": "F"})
    Path("aprtui.toml").write_text('playbook_folders = ["pb"]\n[console]\ntheme = "b"\nclipboard = "file"\n')
    found = load_settings()
    assert found.playbook_folders == (Path("pb"),)
    assert (found.console.theme, found.console.clipboard) == ("b", ClipboardWay.FILE)
    monkeypatch.setenv("APRTUI_THEME", "c")
    monkeypatch.setenv("APRTUI_ASCII", "1")
    monkeypatch.setenv("APRTUI_OUTPUT_DIR", "out")
    found = load_settings()
    assert (found.console.theme, found.console.ascii_only, found.output_dir) == ("c", True, Path("out"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[console]\ntheem = "x"', "aprtui.toml, line 2, theem: there is no console.theem; known: theme, ascii, mouse"),
        ("[console]\nbell = 3", "aprtui.toml, line 2, bell: 3 is no value of console.bell"),
        ('[console]\nclipboard = "x"', "aprtui.toml, line 2, clipboard: 'x' is no value of console.clipboard: auto"),
        ("console = 3", "aprtui.toml, line 1, console: a table expected; write [console]"),
        ("output_dir = []", "aprtui.toml, line 1, output_dir: a folder expected"),
    ],
)
def test_mistakes_in_settings_of_the_console_are_named(home, text, message):
    Path("aprtui.toml").write_text(text)
    with pytest.raises(UsageError) as error:
        load_settings()
    assert error.value.message.startswith(message)
