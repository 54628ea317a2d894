"""Where things are at the three sizes, and that nothing is clipped or out of line."""

import re
from dataclasses import replace

import pytest
from console import LARGE, MEDIUM, SMALL, assert_shows, drive, text_of, until
from rich.cells import cell_len
from run_folders import NAMES, RUN_ID, alive, append, plan_of, tensor, whole_run, write_run
from textual.geometry import Region

from aprtui.core.events import ComparisonStarted, GateFinished, RunStarted, TensorFinished
from aprtui.core.outcomes import Outcome
from aprtui.store.row_status import RowStatus
from aprtui.store.run_view import RunView
from aprtui.tui.keys import KEYS
from aprtui.tui.paint import fit, fit_path
from aprtui.tui.screens.dialog import AskDialog, TextDialog
from aprtui.tui.widgets.lines import wrapped
from aprtui.tui.widgets.run_lines import counts_line

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


def test_the_views_stay_readable_beside_a_gate_and_unread_lines(tmp_path):
    folder = write_run(tmp_path, whole_run())

    async def body(app, pilot):
        app.unread_log = 229
        app.screen.gate_tree.move(2)
        await pilot.pause()
        assert "5 Log(229) " in text_of(app)[1] and "G0-PULL-001  0 of 0" in text_of(app)[1]
        await pilot.press("slash", *"layers", "enter")
        await pilot.pause()
        assert "5 Log(229) " in text_of(app)[1] and "/layers  0 of 0" in text_of(app)[1]

    drive(body, run=folder.path)


def test_dialogs_wrap_their_text_anew_when_the_terminal_changes(tmp_path):
    text = "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen"

    async def body(app, pilot):
        for dialog in (TextDialog("Title", text), AskDialog("Title", text, ("yes", "no"))):
            app.push_screen(dialog)
            await pilot.pause()
            assert_shows(app, "ten eleven")
            for width in (62, 44, 110):
                await pilot.resize_terminal(width, 24)
                await pilot.pause()
                assert_shows(app, "fifteen")
                box = [re.search("│(.*)│", line) for line in text_of(app)]
                assert text in " ".join(" ".join(line[1].split()) for line in box if line), width
            await pilot.press("escape")

    drive(body)


def test_names_that_are_too_long_keep_their_end():
    name = "model.layers.17.self_attn.q_proj.weight"
    assert fit(name, 32, keep_end=True) == "…17.self_attn.q_proj.weight     "
    assert fit(name, 39, keep_end=True) == name
    assert fit("model.layers.0.mlp.up_proj.weight", 29, keep_end=True) == "…0.mlp.up_proj.weight        "
    assert fit("model.layers.7.post_attention_layernorm.weight", 26, keep_end=True) == "…7.post_attention_…       "
    assert fit("a_name_without_any_dot_that_is_long", 12, keep_end=True) == "…hat_is_long"
    assert fit("model.layers.1.self_attn.k_proj.weight", 24, keep_end=True) == "…1.self_attn.k_proj.…   "
    assert fit("model.layers.1.self_attn.k_proj.bias", 20, keep_end=True) == "…1.…k_proj.bias     "
    assert fit("model.layers.1.mlp.experts.12.up_proj.weight", 20, keep_end=True) == "…1.…12.up_proj.…    "
    assert fit_path("/somewhere/out/demo/runs/20261126-124114-bfa2", 34) == "…demo/runs/20261126-124114-bfa2"
    assert fit_path("/demo/runs/a", 34) == "/demo/runs/a"
    assert fit_path("/a-name-without-any-other-slash-that-is-long", 12) == "…hat-is-long"
    assert fit("/srv/models/small/model.safetensors", 28, keep_end=True) == "…small/model.safetensors    "
    assert fit("一二三四五六", 7) == "一二三…"
    assert fit("x", 4, right=True) == "   x"


VIEWS = {
    SMALL: {"1": (Region(0, 2, 80, 16), "#about", 4), "2": (Region(0, 2, 80, 15), "#about", 5)},
    MEDIUM: {"1": (Region(0, 2, 120, 32), "#about", 4), "2": (Region(0, 2, 120, 31), "#about", 5)},
    LARGE: {"1": (Region(0, 2, 200, 42), "#about", 4), "2": (Region(0, 2, 200, 41), "#about", 5)},
}


@pytest.mark.parametrize("size", [SMALL, MEDIUM, LARGE])
def test_lists_their_card_and_the_log_share_the_height(size, tmp_path, playbooks):
    folder = write_run(tmp_path, whole_run())
    width, height = size

    async def body(app, pilot):
        for view, (table, about, lines) in VIEWS[size].items():
            await pilot.press(view)
            await pilot.pause()
            assert app.screen.table.region == table
            assert app.screen.query_one(about).region == Region(0, height - 2 - lines, width, lines)
        for view, selector in (("3", "#table"), ("5", "#log")):
            await pilot.press(view)
            await pilot.pause()
            assert app.screen.query_one(selector).region == Region(0, 2, width, height - 4)
        for view in "123":
            await pilot.press(view)
            assert app.screen.query_one("#fact").region == Region(0, height - 2, width, 1)
            assert app.screen.query_one("#keys").region == Region(0, height - 1, width, 1)

    drive(body, size=size, run=folder.path, playbooks=[playbooks])


@pytest.mark.parametrize("size", [SMALL, MEDIUM, LARGE])
def test_what_is_pushed_above_leaves_the_lines_at_the_edges(size, tmp_path):
    write_run(tmp_path, whole_run(), run_id="20260101-000000-bbbb")
    folder = write_run(tmp_path, whole_run())
    width, height = size

    async def body(app, pilot):
        await pilot.press("enter")
        await pilot.pause()
        assert app.screen.detail.region == Region(0, 1, width, height - 3)
        await pilot.press("escape", "c", "enter")
        await pilot.pause()
        assert app.screen.query_one("#table").region == Region(0, 1, width, height - 3)
        await pilot.press("escape", "e")
        await pilot.pause()
        box = app.screen.query_one(".dialog").region
        assert (box.width, box.x) == (78, (width - 78) // 2)
        assert box.y > 0
        assert box.bottom < height

    drive(body, size=size, run=folder.path)


def test_no_sentence_of_the_help_is_clipped_at_the_design_size():
    assert max(len(key.help) for key in KEYS) <= 50


def test_a_long_line_of_the_log_is_wrapped_and_the_place_stays(tmp_path):
    reason = "one reason " * 20 + "at its end"
    events = [RunStarted("h", 1), *(GateFinished(f"G-{n}", Outcome.FALSIFIED, reason, "e", 0) for n in range(9))]
    folder = write_run(tmp_path, events, engine=alive())

    async def body(app, pilot):
        await pilot.press("5")
        await pilot.pause()
        lines = text_of(app)
        assert sum("at its end" in line for line in lines) >= 4
        assert all(line.startswith((" 0", " " * 11)) for line in lines[2:-2])
        await pilot.press("g")
        top = text_of(app)[2]
        append(folder, [GateFinished("G-LAST", Outcome.FALSIFIED, reason, "e", 0)], 10)
        await until(pilot, lambda: app.current.logged == 11)
        await pilot.pause()
        assert text_of(app)[2] == top
        await pilot.press("G")
        assert any("G-LAST" in line for line in text_of(app))

    drive(body, run=folder.path)


def test_zoom_shows_the_pane_with_the_focus_alone(tmp_path):
    folder = write_run(tmp_path, whole_run())

    async def body(app, pilot):
        def panes():
            return [name for name in ("gates", "rows", "detail") if app.screen.query_one(f"#{name}").display]

        for focus, alone in (("#table", "rows"), ("#tree", "rows"), ("#detail-lines", "detail")):
            app.screen.query_one(focus).focus()
            await pilot.press("z")
            assert panes() == [alone]
            assert app.focused is not None
            assert app.focused.display
            await pilot.press("z")
            assert panes() == ["gates", "rows", "detail"]

    drive(body, size=LARGE, run=folder.path)


def test_a_long_filter_leaves_the_tabs_and_the_count_alone(tmp_path):
    folder = write_run(tmp_path, whole_run())

    async def body(app, pilot):
        app.unread_log = 12
        await pilot.press("f", "slash", *"model.layers.0.self_attn dtype:q4_K", "enter")
        line = text_of(app)[1]
        assert line.startswith("  1 Playbooks  2 Models  3 Runs [4 Diff]  5 Log(12) ")
        assert "fails only  /" in line and line.endswith("…  1 of 8"), line

    drive(body, run=folder.path)


def test_the_log_breaks_lines_at_the_edge(tmp_path):
    words = " ".join(f"w{number:02}" for number in range(60))
    folder = write_run(tmp_path, [RunStarted("h", 1), GateFinished("F-CONV-S-G", Outcome.FALSIFIED, words, "e1", 1)])

    async def body(app, pilot):
        await pilot.press("5")
        lines = [line for line in text_of(app) if "w0" in line or "w2" in line]
        assert all(74 < len(line) < 80 for line in lines), lines
        assert_shows(app, "journal.jsonl and stderr.log in …")
        assert any(line.endswith(f"runs/{RUN_ID}") for line in text_of(app))
        text = "".join(line.strip() + " " for line in text_of(app))
        assert words in " ".join(text.split())

    drive(body, run=folder.path)


def test_why_a_playbook_does_not_load_takes_two_lines(playbooks):
    (playbooks / "broken.playbook.yaml").write_text("name: [\n")

    async def body(app, pilot):
        about = [line.strip() for line in text_of(app)[-5:-2]]
        assert about[0].startswith("line 2, column 1: not valid YAML") and "…" not in " ".join(about[:2])
        assert about[2].endswith("broken.playbook.yaml")

    drive(body, playbooks=[playbooks])


def test_long_words_of_wide_letters_are_not_cut_off():
    for width in (8, 15):
        lines = ["".join(text for text, _ in line) for line in wrapped("一" * 40, width)]
        assert "".join(lines) == "一" * 40
        assert all(cell_len(line) <= width for line in lines)


@pytest.mark.parametrize(("theme", "is_other"), [("aprtui-ansi", False), ("aprtui-dark", True)])
def test_of_sixteen_colours_no_grey_lies_on_the_cursor(theme, is_other, tmp_path):
    folder = write_run(tmp_path, whole_run())

    async def body(app, pilot):
        strip = app.screen.table.render_line(1)
        name, types = (next(s for s in strip if part in s.text) for part in ("norm", "the target"))
        assert name.style.bgcolor == types.style.bgcolor != app.screen.table.render_line(2)._segments[-1].style.bgcolor
        await pilot.press("G")
        row = app.screen.table.render_line(8)
        text, types = (next(s for s in row if part in s.text) for part in ("weight", "Q4_K"))
        assert (text.style.color != types.style.color) is is_other

    drive(body, run=folder.path, theme=theme)


@pytest.mark.parametrize("dialog", ["r", "c", "e", "x", "y"])
def test_the_keys_of_a_dialog_fit_in_ascii(dialog, tmp_path, playbooks):
    other = whole_run()
    write_run(tmp_path, other, run_id="20260101-000000-bbbb")
    folder = write_run(tmp_path, other[:-1], engine=alive(), playbook=playbooks / "demo.playbook.yaml")

    async def body(app, pilot):
        await until(pilot, lambda: app.live_runs == 1)
        await pilot.press(dialog)
        await pilot.pause()
        assert_shows(app, "enter ", "esc cancel")

    drive(body, run=folder.path, ascii_only=True)


def test_the_lines_of_a_live_run_fit_and_do_not_jump(tmp_path):
    folder = write_run(tmp_path, [RunStarted("h", 1), ComparisonStarted("S~S>G", 0)], engine=alive(), run_id=RUN_ID)
    names = [f"layer.{number}" for number in range(120_000)]

    async def body(app, pilot):
        app.current.take_inventory(names)
        app.screen.show_run(app.current)
        await until(pilot, lambda: app.live_runs == 1)
        bars = set()
        for number, nbytes in enumerate((12, 345_000, 3_650_000)):
            append(folder, [TensorFinished("S~S>G", tensor(names[number], violations=1, nbytes=nbytes))], number + 2)
            await until(pilot, lambda number=number: f"✗ {number + 1} FAIL" in text_of(app)[3])
            bars.add(sum(letter in "░█▏▎▍▌▋▊▉" for letter in text_of(app)[2]))
            assert text_of(app)[3].endswith("gates 0/2")
        assert len(bars) == 1, bars
        assert " ▶ 1 run live" in text_of(app)[0]

    drive(body, run=folder.path)


def test_zeros_of_what_is_rare_go_where_there_is_no_room(tmp_path):
    view = RunView(write_run(tmp_path, whole_run()))
    while view.read(1.0).more:
        pass
    counts = {RowStatus.FAILED: 55, RowStatus.PASSED: 112, RowStatus.WAITING: 273, RowStatus.TIMEOUT: 1}

    def text(width):
        return "".join(part for part, _ in counts_line(view, counts, width))

    assert text(100) == " ✗ 55 FAIL  ! 0 CRSH  ~ 1 TIME  - 0 SKIP  ✓ 112 pass  · 273 wait   gates 2/2 ✗ 1"
    assert text(79) == " ✗ 55 FAIL  ~ 1 TIME  - 0 SKIP  ✓ 112 pass  · 273 wait   gates 2/2 ✗ 1"


def test_the_attach_card_tells_playbooks_apart(tmp_path):
    for day, name in enumerate(("qwen2.5-coder-1.5b-mvp", "qwen2.5-coder-7b-ci"), start=1):
        run_id = f"2026010{day}-030405-aaaa"
        plan = plan_of(tmp_path, run_id=run_id)
        plan = replace(plan, playbook=replace(plan.playbook, name=name))
        write_run(tmp_path, [RunStarted("h", 1)], engine=alive(), plan=plan, run_id=run_id)

    async def body(app, pilot):
        assert_shows(app, "2 runs went on", "qwen2.5-coder-1.5b-mvp  ▶ 0/2 gates", "qwen2.5-coder-7b-ci ")

    drive(body)
