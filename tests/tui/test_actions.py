"""What keys do beside moving: help, palette, copy, export, compare, lists, themes, quit."""

import asyncio
import stat

import pytest
from console import assert_shows, drive, shows, text_of, until
from engine_runs import events_of, halted, processes_of
from fixture_files import FIXTURES
from run_folders import NAMES, RUN_ID, alive, whole_run, write_run
from textual.widgets import Input

from aprtui.core.events import (
    Heartbeat,
    RunInterrupted,
    RunStarted,
)
from aprtui.settings import ClipboardWay
from aprtui.tui.app import ConsoleApp
from aprtui.tui.clipboard import clipboard_file
from aprtui.tui.keys import ANYWHERE, DIALOG, FORM, KEYS, LIST, TEXT
from aprtui.tui.screens.attach import AttachDialog
from aprtui.tui.screens.compare import CompareScreen
from aprtui.tui.screens.dialog import AskDialog, Dialog
from aprtui.tui.screens.export import ExportDialog
from aprtui.tui.screens.help import HelpDialog
from aprtui.tui.screens.tensor import TensorScreen
from aprtui.tui.services.children import ask, command_line
from aprtui.tui.widgets.form import Form
from aprtui.tui.widgets.gate_tree import GateTree
from aprtui.tui.widgets.lines import ScrollingLines
from aprtui.tui.widgets.row_table import RowTable


def test_help_is_searched_by_typing(playbooks):
    async def body(app, pilot):
        await pilot.press("question_mark")
        assert isinstance(app.screen, HelpDialog)
        await pilot.press(*"tolerance")
        assert_shows(app, "E ", "Edit the playbook where it sets this tolerance")
        assert not shows(app, "Half a page")
        await pilot.press(*"xyz")
        assert_shows(app, "no key does that")
        await pilot.press("escape")
        assert len(app.screen_stack) == 1

    drive(body, playbooks=[playbooks])


def test_every_key_has_its_own_name_and_no_screen_has_a_key_twice():
    names = [key.key_id for key in KEYS]
    assert len(names) == len(set(names))
    for screen in {where for key in KEYS for where in key.where}:
        pressed = [one for key in KEYS if screen in key.where for one in key.keys]
        assert len(pressed) == len(set(pressed)), screen


PLACES = {
    ANYWHERE: ConsoleApp,
    LIST: RowTable,
    TEXT: ScrollingLines,
    FORM: Form,
    DIALOG: Dialog,
    "attach": AttachDialog,
    "tree": GateTree,
    **{kind.NAME: kind for kind in (*ConsoleApp.MODES.values(), TensorScreen, CompareScreen)},
}


@pytest.mark.parametrize("key", KEYS, ids=lambda key: key.key_id)
def test_every_key_does_something_wherever_it_says(key):
    action = key.action.partition("(")[0]
    for where in key.where:
        owner = ConsoleApp if action.startswith("app.") else PLACES[where]
        assert hasattr(owner, f"action_{action.removeprefix('app.')}"), where
        bound = [one.id for one in PLACES[where]._merge_bindings().key_to_bindings.get(key.keys[0], ())]
        assert key.key_id in bound, where


def test_keys_can_be_others(tmp_path):
    folder = write_run(tmp_path, whole_run())

    async def body(app, pilot):
        await pilot.press("f")
        assert not app.screen.order.failures_only
        await pilot.press("F")
        assert app.screen.order.failures_only
        assert "F fails" in text_of(app)[-1]

    drive(body, run=folder.path, keys={"failures": "F"})


def test_the_palette_does_what_its_sentence_says(tmp_path):
    folder = write_run(tmp_path, whole_run())

    async def body(app, pilot):
        await pilot.press("colon")
        await pilot.pause()
        await pilot.press(*"Failures only")
        await pilot.pause(0.3)
        await pilot.press("enter")
        await until(pilot, lambda: len(app.screen_stack) == 1)
        await pilot.pause(0.1)
        assert app.screen.order.failures_only

    drive(body, run=folder.path)


@pytest.mark.parametrize("theme", ["aprtui-dark", "aprtui-light", "aprtui-cvd", "aprtui-ansi", "textual-dark", "nord"])
def test_every_theme_shows_the_same_words(theme, tmp_path):
    folder = write_run(tmp_path, whole_run())

    async def body(app, pilot):
        assert app.theme == theme
        assert_shows(app, "✗ FAIL", "✓ pass", "✗ META")

    drive(body, run=folder.path, theme=theme)


def test_ascii_takes_no_room_at_80_columns(tmp_path):
    folder = write_run(tmp_path, whole_run())

    async def body(app, pilot):
        assert_shows(app, "enter open", "q quit")
        assert app.screen.table.size.width == app.size.width

    drive(body, run=folder.path, ascii_only=True)


def test_ascii_shows_nothing_beyond_it(tmp_path):
    folder = write_run(tmp_path, whole_run())

    async def body(app, pilot):
        for keys in (("x",), ("question_mark",), ("escape", "n", "enter"), ("escape", "1"), ("5",), ("e",), ("colon",)):
            assert "\n".join(text_of(app)).isascii(), "\n".join(text_of(app))
            await pilot.press(*keys)
            await pilot.pause(0.2)
        assert "\n".join(text_of(app)).isascii()

    drive(body, run=folder.path, ascii_only=True, size=(120, 40))


def test_copies_leave_the_text_in_a_private_file(tmp_path):
    folder = write_run(tmp_path, whole_run())

    async def body(app, pilot):
        await pilot.press("n", "y")
        assert isinstance(app.screen, AskDialog)
        await pilot.press("enter")
        await until(pilot, lambda: clipboard_file().exists())
        assert clipboard_file().read_text() == NAMES[2]
        assert stat.S_IMODE(clipboard_file().stat().st_mode) == 0o600
        await until(pilot, lambda: "clipboard.txt" in app.messages[-1][1])
        await pilot.press("y", "right", "enter")
        await until(pilot, lambda: clipboard_file().read_text().startswith("{"))
        await pilot.press("y", "right", "right", "enter")
        await until(pilot, lambda: clipboard_file().read_text().startswith("aprtui run"))

    drive(body, run=folder.path, clipboard=ClipboardWay.FILE)


def test_lines_of_the_log_are_copied_as_they_are_filtered(tmp_path):
    folder = write_run(tmp_path, whole_run())

    async def body(app, pilot):
        await pilot.press("5", "slash", *"structure", "enter")
        assert_shows(app, "y copy")
        await pilot.press("y", "enter")
        await until(pilot, lambda: clipboard_file().exists() and clipboard_file().read_text())
        lines = clipboard_file().read_text().splitlines()
        assert len(lines) == 1 and "structure: 10 checked" in lines[0]
        await pilot.press("y", "right", "enter")
        await until(pilot, lambda: clipboard_file().read_text() == str(folder.path))

    drive(body, run=folder.path, clipboard=ClipboardWay.FILE)


def test_export_writes_what_is_shown(tmp_path, monkeypatch):
    folder = write_run(tmp_path, whole_run())
    folder.evidence.write_text("[]")
    monkeypatch.chdir(tmp_path)

    async def body(app, pilot):
        await pilot.press("f", "e")
        assert isinstance(app.screen, ExportDialog)
        await pilot.press("enter")
        await until(pilot, (tmp_path / "20260102-030405-a1b2.evidence.json").exists)
        await pilot.press("e", "right", "right", "enter")
        await until(pilot, (tmp_path / "20260102-030405-a1b2.csv").exists)
        lines = (tmp_path / "20260102-030405-a1b2.csv").read_text().splitlines()
        assert len(lines) == 1 + 6

    drive(body, run=folder.path)


def test_y_copies_from_every_dialog(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    other = write_run(tmp_path, whole_run(), run_id="20260101-000000-bbbb")
    folder = write_run(tmp_path, whole_run()[:-1], engine=alive())
    expected = {
        "e": f"{tmp_path / RUN_ID}.evidence.json",
        "c": f"aprtui compare {other.path} {folder.path}",
        "r": "aprtui run ",
        "x": f"Stop run {RUN_ID}?",
        "y": "What to copy",
    }

    async def body(app, pilot):
        await until(pilot, lambda: app.live_runs == 1)
        app.show_error("A title", "the whole text")
        await pilot.press("y")
        await until(pilot, clipboard_file().exists)
        assert clipboard_file().read_text() == "the whole text"
        await pilot.press("escape")
        for key, start in expected.items():
            await pilot.press(key)
            await until(pilot, lambda: isinstance(app.screen, Dialog))
            await pilot.press("y")
            await until(pilot, lambda start=start: clipboard_file().read_text().startswith(start))
            await pilot.press("escape")
            assert not isinstance(app.screen, Dialog)

    drive(body, run=folder.path, clipboard=ClipboardWay.FILE)


def test_y_on_the_attach_card_copies_the_command_that_follows_the_run(tmp_path):
    folder = write_run(tmp_path, [RunStarted("h", 1)], engine=alive())

    async def body(app, pilot):
        assert isinstance(app.screen, AttachDialog)
        await pilot.press("y")
        await until(pilot, clipboard_file().exists)
        assert clipboard_file().read_text() == f"aprtui attach {folder.path}"

    drive(body, clipboard=ClipboardWay.FILE)


def test_x_in_the_list_of_runs_stops_the_engine(tmp_path):
    with halted(tmp_path / "o", FIXTURES / "qwen2-tiny/hf") as (process, folder):

        async def body(app, pilot):
            await until(pilot, lambda: app.live_runs == 1)
            await pilot.press("escape", "3", "x")
            assert isinstance(app.screen, AskDialog)
            await pilot.press("enter")
            # The harmless answer comes first.
            await pilot.pause()
            assert process.poll() is None
            await pilot.press("x", "right", "enter")
            await until(pilot, lambda: process.poll() is not None, 40)
            await until(pilot, lambda: shows(app, "- interrupted"), 20)

        drive(body, output=tmp_path / "o")
        assert process.returncode == 130
        assert processes_of(folder) == []
        assert events_of(folder)[-1] == RunInterrupted("it was interrupted by SIGTERM")


def test_leaving_asks_where_a_run_of_this_console_is_live(tmp_path):
    folder = write_run(tmp_path, [RunStarted("h", 1), Heartbeat(())], engine=alive())

    async def body(app, pilot):
        app.starter.started.append(folder)
        await pilot.press("q")
        assert_shows(app, "1 run is live", "(o) leave them running")
        await pilot.press("escape")
        assert app.is_running
        await pilot.press("ctrl+c", "enter")
        await until(pilot, lambda: not app.is_running)

    drive(body, run=folder.path)


def test_leaving_does_not_ask_about_a_run_that_this_very_process_has_finished(tmp_path):
    folder = write_run(tmp_path, whole_run(), engine=alive())

    async def body(app, pilot):
        await pilot.press("q")
        await until(pilot, lambda: not app.is_running)

    drive(body, run=folder.path)


def test_the_attach_card_is_dismissed(tmp_path):
    write_run(tmp_path, [RunStarted("h", 1)], engine=alive())

    async def body(app, pilot):
        assert isinstance(app.screen, AttachDialog)
        await pilot.press("d")
        assert len(app.screen_stack) == 1

    drive(body, playbooks=[tmp_path])


def test_the_attach_card_asks_before_it_stops_a_run(tmp_path, monkeypatch):
    folder = write_run(tmp_path, whole_run()[:4], engine=alive())

    async def body(app, pilot):
        stopped = []

        async def stop(run):
            stopped.append(run.path)

        monkeypatch.setattr(app.starter, "stop", stop)
        await until(pilot, lambda: isinstance(app.screen, AttachDialog))
        await pilot.press("x")
        await pilot.pause()
        assert_shows(app, f"Stop run {folder.path.name}?")
        await pilot.press("enter", "x", "right", "enter")
        await until(pilot, lambda: stopped)
        assert stopped == [folder.path] and len(app.screen_stack) == 1

    drive(body)


def test_leaving_a_live_run_asks_once_whoever_started_it(tmp_path):
    folder = write_run(tmp_path, whole_run()[:4], engine=alive())

    async def body(app, pilot):
        for _ in range(3):
            await pilot.press("ctrl+c")
            await pilot.pause()
        assert_shows(app, "1 run is live")
        assert len(app.screen_stack) == 2
        await pilot.press("escape")
        assert app.is_running

    drive(body, run=folder.path)


def test_ctrl_c_quits_from_a_dialog(playbooks):
    async def body(app, pilot):
        await pilot.press("r")
        await until(pilot, lambda: isinstance(app.screen, Dialog))
        await pilot.press("ctrl+c")
        await until(pilot, lambda: not app.is_running)

    drive(body, playbooks=[playbooks])


def test_what_the_console_says_counts_as_unread(tmp_path):
    folder = write_run(tmp_path, whole_run())

    async def body(app, pilot):
        await pilot.press("5", "4")
        assert app.unread_log == 0
        app.say("something")
        await until(pilot, lambda: shows(app, "5 Log(1)"))
        await pilot.press("5")
        await until(pilot, lambda: shows(app, "console  something"))
        app.say("more of it")
        await until(pilot, lambda: shows(app, "console  more of it"))
        assert app.unread_log == 0
        await pilot.press("p")
        assert_shows(app, "PAUSED")
        app.say("not yet")
        await pilot.pause(0.2)
        assert not any("console  not yet" in line for line in text_of(app))
        await pilot.press("p")
        await until(pilot, lambda: shows(app, "console  not yet"))

    drive(body, run=folder.path)


def test_dialogs_close_by_q_copy_by_y_and_explain_themselves(tmp_path, monkeypatch):
    write_run(tmp_path, whole_run(), run_id="20260101-000000-bbbb")
    folder = write_run(tmp_path, whole_run())
    copied = []
    monkeypatch.setattr("aprtui.tui.app.ConsoleApp.copy", lambda _, text, what: copied.append((text, what)))

    async def body(app, pilot):
        def show_text():
            app.show_error("A title", "the text of it")

        for opening, keys in (("e", "Next option"), (show_text, "Scroll down"), ("c", "First row")):
            if callable(opening):
                opening()
            else:
                await pilot.press(opening)
            await until(pilot, lambda: isinstance(app.screen, Dialog))
            await pilot.press("question_mark")
            await until(pilot, lambda: isinstance(app.screen, HelpDialog))
            assert_shows(app, keys, "Close without an answer")
            assert not shows(app, "Show the view Playbooks")
            await pilot.press("escape", "q")
            assert len(app.screen_stack) == 1
        show_text()
        await pilot.pause()
        await pilot.press("y")
        assert copied == [("the text of it", "the text")]
        await pilot.press("q")
        assert len(app.screen_stack) == 1 and app.is_running

    drive(body, run=folder.path)


def test_the_log_stands_as_it_happened(tmp_path):
    folder = write_run(tmp_path, whole_run())
    folder.stderr.write_bytes(b"a program wrote this\n")

    async def body(app, pilot):
        app.say("said just now")
        await pilot.press("5", "G")
        await pilot.pause()
        lines = [line for line in text_of(app) if line.strip()]
        order = [
            next(at for at, line in enumerate(lines) if part in line) for part in ("finished with", "said just now")
        ]
        assert order == sorted(order)
        await pilot.press("g")
        await pilot.pause()
        assert_shows(app, "a program wrote this")

    drive(body, run=folder.path)


def test_children_answer_with_json_or_with_a_reason():
    async def both():
        return await asyncio.gather(ask(["paths", "--format", "json"]), ask(["show", "no-such-run"]))

    good, bad = asyncio.run(both())
    assert "settings" in good.value
    assert bad.value is None
    assert "no-such-run" in bad.problem
    assert bad.code == 2
    assert command_line(["run", "a b.yaml"]) == "aprtui run 'a b.yaml'"


def test_the_filter_is_typed_into_and_left_by_escape(tmp_path):
    folder = write_run(tmp_path, whole_run())

    async def body(app, pilot):
        await pilot.press("slash", *"q_proj 1")
        box = app.screen.query_one("#filter", Input)
        assert box.has_focus
        assert box.value == "q_proj 1"
        await pilot.press("escape")
        assert app.screen.table.has_focus
        assert_shows(app, "8 of 8")

    drive(body, run=folder.path)


def test_settings_that_name_what_does_not_exist_are_told(tmp_path):
    async def body(app, pilot):
        texts = [text for _, text in app.messages]
        assert "there is no theme nonesuch: the palette (:) lists them" in texts
        assert "console.keys: there is no key named failurez" in texts
        assert app.theme == "aprtui-dark"

    drive(body, playbooks=[tmp_path], theme="nonesuch", keys={"failurez": "F"})


def test_texts_scroll_by_the_keys_of_lists(tmp_path):
    folder = write_run(tmp_path, whole_run())

    async def body(app, pilot):
        await pilot.press("n", "enter")
        detail = app.screen.detail
        tops = []
        for key in ("j", "ctrl+d", "pagedown", "k", "G", "g"):
            await pilot.press(key)
            await pilot.pause()
            tops.append(detail.scroll_offset.y)
        end = detail.max_scroll_y
        assert tops[0] == 1
        assert tops[4:] == [end, 0]
        assert tops[2] >= tops[1] > tops[0]
        assert tops[3] == tops[2] - 1

    drive(body, run=folder.path)
