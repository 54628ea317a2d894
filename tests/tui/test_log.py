"""The log: what counts as unread, and what stands still while it is paused."""

from console import assert_shows, drive, shows, text_of, until
from run_folders import NAMES, alive, append, tensor, whole_run, write_run

from aprtui.core.events import ComparisonStarted, GateFinished, RunStarted, TensorFinished
from aprtui.core.outcomes import Outcome

GATE = GateFinished("F-CONV-S-G", Outcome.FALSIFIED, "weights differ", "e1", 1)


def tabs(app):
    return text_of(app)[1]


def test_what_the_console_says_is_unread_until_the_log_is_shown(tmp_path):
    folder = write_run(tmp_path, whole_run())

    async def body(app, pilot):
        before = app.unread_log
        app.say("first")
        app.show_error("second", "the whole of it")
        await pilot.press("escape")
        assert app.unread_log == before + 2
        assert f"Log({before + 2})" in tabs(app)
        await pilot.press("5")
        await pilot.pause()
        assert app.unread_log == 0
        assert_shows(app, "first", "second: the whole of it")
        app.say("third")
        await pilot.pause()
        assert_shows(app, "console  third")
        assert app.unread_log == 0
        await pilot.press("4")
        assert "Log(" not in tabs(app)

    drive(body, run=folder.path)


def test_a_paused_log_stands_still_and_catches_up(tmp_path):
    folder = write_run(tmp_path, [RunStarted("h", 1), ComparisonStarted("S~S>G", 0)], engine=alive())

    async def body(app, pilot):
        await pilot.press("5", "p")
        assert_shows(app, "PAUSED")
        held = text_of(app)[2:-2]
        append(folder, [TensorFinished("S~S>G", tensor(NAMES[0], violations=3)), GATE], 2)
        await until(pilot, lambda: app.current.gates)
        await pilot.pause()
        assert text_of(app)[2:-2] == held
        await pilot.press("4", "5")
        assert text_of(app)[2:-2] == held
        await pilot.press("p")
        assert_shows(app, "weights differ")
        assert not shows(app, "PAUSED")

    drive(body, run=folder.path)


def test_what_the_console_said_during_a_pause_is_shown_after_it(tmp_path):
    folder = write_run(tmp_path, whole_run())

    async def body(app, pilot):
        await pilot.press("5", "p")
        app.say("said meanwhile")
        await pilot.pause()
        assert not shows(app, "console  said meanwhile")
        await pilot.press("p")
        assert_shows(app, "console  said meanwhile")

    drive(body, run=folder.path)
