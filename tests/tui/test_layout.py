"""Where things are at the three sizes, and that nothing is clipped or out of line."""

import pytest
from console import LARGE, MEDIUM, SMALL, drive, text_of
from rich.cells import cell_len
from run_folders import NAMES, whole_run, write_run
from textual.geometry import Region

from aprtui.tui.paint import fit

EXPECTED = {
    SMALL: {"#rows": Region(0, 4, 80, 18), "#fact": Region(0, 22, 80, 1), "#keys": Region(0, 23, 80, 1)},
    MEDIUM: {"#gates": Region(0, 4, 39, 34), "#rows": Region(39, 4, 81, 34), "#keys": Region(0, 39, 120, 1)},
    LARGE: {
        "#gates": Region(0, 4, 39, 44),
        "#rows": Region(39, 4, 103, 44),
        "#detail": Region(142, 4, 58, 44),
        "#keys": Region(0, 49, 200, 1),
    },
}


@pytest.mark.parametrize("size", [SMALL, MEDIUM, LARGE])
def test_panes_of_the_diff_view(size, tmp_path):
    folder = write_run(tmp_path, whole_run())

    async def body(app, pilot):
        found = {selector: app.screen.query_one(selector).region for selector in EXPECTED[size]}
        assert found == EXPECTED[size]
        hidden = {"#gates", "#rows", "#detail"} - set(EXPECTED[size])
        assert [app.screen.query_one(one).display for one in hidden] == [False] * len(hidden)

    drive(body, size=size, run=folder.path)


def test_the_small_size_leaves_most_lines_to_rows(tmp_path):
    folder = write_run(tmp_path, whole_run())

    async def body(app, pilot):
        assert app.screen.table.size.height >= 24 - 7 + 1  # its header is one of the seven lines of chrome
        assert app.screen.table.page >= 17

    drive(body, run=folder.path)


@pytest.mark.parametrize("size", [SMALL, MEDIUM, LARGE])
def test_columns_stand_below_each_other(size, tmp_path):
    folder = write_run(tmp_path, whole_run())

    async def body(app, pilot):
        lines = text_of(app)
        header = next(line for line in lines if "MARGIN" in line)
        end = header.index("MARGIN") + len("MARGIN")
        rows = [line for line in lines if "blocks" in line and "cert rule" in line]
        assert len(rows) == len(NAMES)
        assert {row[:end].rstrip()[-6:] for row in rows} == {"blocks"}
        starts = {row.index("cert rule") for row in rows}
        assert starts == {header.index("ε FROM")}
        for line in lines:
            assert cell_len(line) <= size[0]

    drive(body, size=size, run=folder.path)


def test_the_tree_of_gates_takes_the_place_of_the_table_where_there_is_no_room(tmp_path):
    folder = write_run(tmp_path, whole_run())

    async def body(app, pilot):
        await pilot.press("t")
        assert app.screen.query_one("#gates").region == Region(0, 4, 80, 18)
        assert not app.screen.query_one("#rows").display
        await pilot.press("G", "enter")
        assert app.screen.query_one("#rows").display
        assert "F-CONV-S-G" in app.screen.query_one("#rows").border_title

    drive(body, run=folder.path)


@pytest.mark.parametrize("size", [SMALL, LARGE])
def test_the_keys_at_the_bottom_fit(size, tmp_path, playbooks):
    folder = write_run(tmp_path, whole_run())

    async def body(app, pilot):
        for view in "12345":
            await pilot.press(view)
            line = text_of(app)[-1]
            assert line.startswith(" ? help")
            assert line.endswith("q quit")
            assert cell_len(line) <= size[0]

    drive(body, size=size, run=folder.path, playbooks=[playbooks])


def test_names_that_are_too_long_keep_their_end():
    name = "model.layers.17.self_attn.q_proj.weight"
    assert fit(name, 32, keep_end=True) == "…17.self_attn.q_proj.weight     "
    assert fit(name, 39, keep_end=True) == name
    assert fit("a_name_without_any_dot_that_is_long", 12, keep_end=True) == "…hat_is_long"
    assert fit("一二三四五六", 7) == "一二三…"
    assert fit("x", 4, right=True) == "   x"
