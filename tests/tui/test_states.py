"""Every state that a view can be in, at 80x24: what it says, and what it says to do."""

import json
from dataclasses import replace

import pytest
from console import answers_with, assert_shows, drive, shows, text_of, until
from run_folders import (
    NAMES,
    alive,
    append,
    elsewhere,
    plan_of,
    tensor,
    whole_run,
    write_run,
)
from tui_files import write_playbook

from aprtui.core.events import (
    ComparisonFinished,
    ComparisonStarted,
    ConversionFailed,
    ConversionStarted,
    GateFinished,
    Heartbeat,
    RunFinished,
    RunInterrupted,
    RunResumed,
    RunStarted,
    TensorFinished,
)
from aprtui.core.outcomes import Outcome
from aprtui.engine.evidence_run import open_evidence
from aprtui.store.plan import PlannedGate
from aprtui.tui.screens.dialog import TextDialog
from aprtui.tui.services.lists import seen_file


def test_empty_views_say_what_to_do_next(tmp_path):
    async def body(app, pilot):
        assert_shows(app, "There are no playbooks.", "aprtui init MODEL", str(tmp_path)[:20])
        await pilot.press("3")
        assert_shows(app, "There are no runs yet.", "1 shows the playbooks")
        await pilot.press("4")
        assert_shows(app, "No run is open.", "3 shows the runs")
        await pilot.press("5")
        assert_shows(app, "Nothing has happened yet.")

    drive(body, playbooks=[tmp_path])


def test_lists_that_are_being_read_say_so(playbooks):
    async def body(app, pilot):
        app.lists._looking = True  # nobody else reads meanwhile
        app.lists.runs_read = app.lists.playbooks_read = False
        app.lists.playbooks.clear()
        app.lists_changed()
        await pilot.pause()
        assert_shows(app, "reading playbooks …")
        await pilot.press("3")
        assert_shows(app, "reading runs …")

    drive(body, playbooks=[playbooks])


def test_a_filter_that_fits_nothing_says_how_many_there_are(tmp_path, playbooks):
    folder = write_run(tmp_path, whole_run())

    async def body(app, pilot):
        await pilot.press("slash", *"nothing", "enter")
        assert_shows(app, "0 of 8", "esc clears the filter")
        await pilot.press("escape")
        assert shows(app, NAMES[0])
        await pilot.press("1", "slash", *"zzz", "enter")
        assert_shows(app, "0 of 1 match · esc clears the filter")

    drive(body, run=folder.path, playbooks=[playbooks])


def test_a_filter_that_cannot_be_understood_says_why(tmp_path):
    folder = write_run(tmp_path, whole_run())

    async def body(app, pilot):
        await pilot.press("slash", *"margin>x")
        assert_shows(app, "margin>x: x is no number")
        await pilot.press("backspace", "1", "0", "enter")
        assert_shows(app, "/margin>10", "2 of 8", "lm_head.weight")

    drive(body, run=folder.path)


def test_a_playbook_that_does_not_load_shows_its_line_and_the_last_good_run(tmp_path, playbooks):
    path = write_playbook(playbooks, "aprtui:\n  tolerance:\n    ulpp: 3\n")
    write_run(tmp_path, whole_run(), playbook=path)

    async def body(app, pilot):
        await pilot.press("escape")
        assert_shows(app, "! ", "line 9, aprtui.tolerance.ulpp", "last good run 20260102-030405-a1b2")

    drive(body, playbooks=[playbooks])


def test_a_converter_that_is_missing_is_told_by_rows(tmp_path):
    reason = "apr is not on PATH"
    events = [
        RunStarted("h", 1),
        ComparisonFinished("S~S>G", Outcome.SKIPPED, reason, lacks="S>G"),
        GateFinished("F-CONV-S-G", Outcome.SKIPPED, reason, "e", 0),
        RunFinished(5),
    ]
    folder = write_run(tmp_path, events, converter=None)

    async def body(app, pilot):
        assert_shows(app, "- SKIP", "apr is not on PATH", "- 1 SKIP")

    drive(body, run=folder.path)


def test_a_converter_of_another_version_is_told_before_and_after(tmp_path, playbooks, monkeypatch):
    refused = "/usr/bin/apr: asked for its version, it ended with exit code 2"
    answers_with(monkeypatch, "aprtui.tui.screens.launch.ask", None, refused)
    reason = "the converter changed: apr 0.2.11 (xxh3:1f) before, apr 0.72.3 (xxh3:2e) now"
    events = [*whole_run()[:-1], RunInterrupted("SIGTERM"), RunStarted("h", 2, True), RunResumed((), reason)]
    folder = write_run(tmp_path, [*events, RunFinished(0)], playbook=playbooks / "demo.playbook.yaml")

    async def body(app, pilot):
        await pilot.press("5")
        await until(pilot, lambda: shows(app, "apr 0.2.11"))
        screen = " ".join(" ".join(text_of(app)).split())
        assert f"taken over: nothing ({reason})" in screen
        await pilot.press("4", "r")
        await until(pilot, lambda: shows(app, "asked for its version"))
        await pilot.press("enter")
        assert not app.live_runs

    drive(body, run=folder.path, playbooks=[playbooks])


def test_files_that_are_gone_leave_what_the_journal_holds(tmp_path, monkeypatch):
    folder = write_run(tmp_path, whole_run())
    answers_with(monkeypatch, "aprtui.tui.services.tensors.ask", None, "the product is gone: it ended with the run")

    async def body(app, pilot):
        await pilot.press("n", "enter")
        await until(pilot, lambda: "the product is gone" in detail_text(app))
        assert_shows(app, "✗ FAIL", "margin 120 blocks", "BF16", "Q4_K")
        assert "120 violate" in detail_text(app)

    drive(body, run=folder.path)


def detail_text(app):
    return "\n".join("".join(text for text, _ in line) for line in app.screen.detail.lines)


def test_an_engine_that_ran_out_of_memory_is_a_row(tmp_path):
    reason = "killed by SIGKILL, as the kernel does when memory runs out"
    events = [ComparisonStarted("S~S>G", 0), ComparisonFinished("S~S>G", Outcome.CRASHED, reason)]
    folder = write_run(tmp_path, events)

    async def body(app, pilot):
        assert_shows(app, "! CRSH", "killed by SIGKILL", "! 1 CRSH")

    drive(body, run=folder.path)


def test_a_converter_that_crashed_shows_signal_and_last_line(tmp_path):
    failed = ConversionFailed("S>G", Outcome.CRASHED, "SIGSEGV", stderr="line 1\npanicked at tensor 7")
    folder = write_run(tmp_path, [ConversionStarted("S>G", 0), failed])

    async def body(app, pilot):
        assert_shows(app, "! CRSH", "SIGSEGV: panicked at tensor 7")
        await pilot.press("5")
        assert_shows(app, "conversion S>G: Crashed")

    drive(body, run=folder.path)


def test_a_journal_that_is_torn_or_newer_is_shown_as_far_as_it_goes(tmp_path):
    folder = write_run(tmp_path, whole_run())
    text = folder.journal.read_bytes()
    folder.journal.write_bytes(text + text.splitlines()[3].replace(b'"v":2', b'"v":7') + b'\n{"v":2,"ru')

    async def body(app, pilot):
        assert_shows(app, "1 line of the journal passed over", NAMES[0])

    drive(body, run=folder.path)


def test_a_plan_that_cannot_be_read_is_told(tmp_path):
    folder = write_run(tmp_path, whole_run())
    (folder.path / "plan.json").write_text("{")

    async def body(app, pilot):
        assert isinstance(app.screen, TextDialog)
        assert_shows(app, "This run cannot be shown", "cannot be understood")
        await pilot.press("escape", "3")
        assert_shows(app, "20260102-030405-a1b2", "its folder cannot be read")

    drive(body, run=folder.path)


def test_a_directory_that_cannot_be_written_is_told(tmp_path, monkeypatch):
    folder = write_run(tmp_path, whole_run())
    folder.evidence.write_text("[]")
    monkeypatch.chdir(tmp_path)

    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("aprtui.tui.screens.export.shutil.copyfile", refuse)

    async def body(app, pilot):
        await pilot.press("e", "enter")
        assert_shows(app, "Permission denied")

    drive(body, run=folder.path)


def test_a_read_only_console_starts_and_writes_nothing(tmp_path, playbooks):
    folder = write_run(tmp_path, whole_run(), playbook=playbooks / "demo.playbook.yaml")

    async def body(app, pilot):
        assert_shows(app, "read-only")
        for key in ("r", "R", "x", "e", "E", "v", "w"):
            await pilot.press(key)
            assert len(app.screen_stack) == 1
        assert not app.watching
        assert not seen_file().exists()

    drive(body, run=folder.path, readonly=True)


@pytest.mark.parametrize("size", [(59, 24), (80, 15)])
def test_a_terminal_that_is_too_small_says_so(size, tmp_path):
    async def body(app, pilot):
        assert_shows(app, f"aprtui needs 60x16, this is {size[0]}x{size[1]}")
        await pilot.resize_terminal(80, 24)
        await pilot.pause()
        assert not shows(app, "aprtui needs")

    drive(body, size=size, playbooks=[tmp_path])


def test_runs_that_went_on_are_found_again(tmp_path):
    write_run(tmp_path, [RunStarted("h", 1), Heartbeat(())], run_id="20260102-000000-aaaa", engine=alive())
    write_run(tmp_path, whole_run(), run_id="20260101-000000-bbbb")
    write_run(tmp_path, whole_run(), run_id="20260101-000000-cccc")
    seen_file().parent.mkdir(parents=True)
    seen_file().write_text(json.dumps({"state_version": 1, "live": ["20260101-000000-bbbb"]}))

    async def body(app, pilot):
        await pilot.pause()
        assert_shows(app, "While you were away", "2 runs went on", "20260102-000000-aaaa", "20260101-000000-bbbb")
        assert not shows(app, "cccc")
        await pilot.press("j", "enter")
        await until(pilot, lambda: app.current is not None)
        assert app.current.folder.path.name == "20260101-000000-bbbb"
        assert json.loads(seen_file().read_text())["live"] == ["20260102-000000-aaaa"]

    drive(body, playbooks=[tmp_path])


def test_a_damaged_memory_of_live_runs_is_no_reason_to_fail(tmp_path):
    seen_file().parent.mkdir(parents=True)
    seen_file().write_text('{"live": 3}')

    async def body(app, pilot):
        assert len(app.screen_stack) == 1

    drive(body, playbooks=[tmp_path])


def test_a_run_of_another_host_is_shown_and_never_signalled(tmp_path):
    folder = write_run(tmp_path, [RunStarted("gpu-99", 1)], engine=elsewhere())

    async def body(app, pilot):
        assert_shows(app, "▶ elsewhere")
        await pilot.press("x")
        assert len(app.screen_stack) == 1
        assert app.messages[-1][1] == "this run belongs to host gpu-99: stop it there"

    drive(body, run=folder.path)


def test_an_engine_that_died_can_be_resumed(tmp_path, monkeypatch):
    folder = write_run(tmp_path, [RunStarted("h", 1), ComparisonStarted("S~S>G", 0)])
    started = []

    async def body(app, pilot):
        monkeypatch.setattr(app, "start_run", started.append)
        assert_shows(app, "! died", "r resumes it")
        await pilot.press("r")
        assert started == [["run", "--resume", str(folder.path)]]

    drive(body, run=folder.path)


def test_a_run_that_is_resumed_in_the_open_view_shows_what_waits(tmp_path, monkeypatch):
    events = [RunStarted("h", 1), ComparisonStarted("S~S>G", 0), TensorFinished("S~S>G", tensor(NAMES[0]))]
    folder = write_run(tmp_path, events, comparisons=("S>G", "S>A"))
    answers_with(monkeypatch, "aprtui.tui.services.follow.ask", {"tensors": [{"name": name} for name in NAMES]})

    async def body(app, pilot):
        await until(pilot, lambda: shows(app, "! died"))
        assert len(app.current.columns) == 1
        folder.write_engine(alive())
        append(folder, [RunStarted("h", 2, True), RunResumed(())], len(events))
        await until(pilot, lambda: shows(app, "12 wait"))
        assert_shows(app, "12 of 12", "· wait lm_head.weight              S→A")

    drive(body, run=folder.path)


def test_an_interrupted_run_says_so(tmp_path):
    folder = write_run(tmp_path, [*whole_run()[:-1], RunInterrupted("SIGTERM")])

    async def body(app, pilot):
        assert_shows(app, "- interrupted", "r resumes it")

    drive(body, run=folder.path)


def test_a_run_that_had_ended_before_is_not_announced(tmp_path):
    """The demo's console is the process that was the engine."""
    folder = write_run(tmp_path, whole_run(), engine=alive())

    async def body(app, pilot):
        await until(pilot, lambda: shows(app, "✓ finished"))
        assert not any("demo finished" in text for _, text in app.messages)

    drive(body, run=folder.path)


def test_a_live_run_shows_bytes_and_the_time_that_is_left(tmp_path):
    events = [RunStarted("h", 1), ComparisonStarted("S~S>G", 0)]
    events += [TensorFinished("S~S>G", tensor(name, nbytes=200_000)) for name in NAMES]
    folder = write_run(tmp_path, events, engine=alive())

    async def body(app, pilot):
        assert_shows(app, "▶ running S vs S→G", "30%  1.2 MB of 4 MB", "ETA")
        append(folder, whole_run()[-2:], 100)
        await until(pilot, lambda: shows(app, "✓ finished"))
        assert app.messages[-1][1] == "demo finished: 1 of 2 gates do not hold, 1 of 2 gates without a verdict"

    drive(body, run=folder.path)


@pytest.mark.parametrize(
    ("outcome", "end", "says"),
    [
        (Outcome.SKIPPED, RunFinished(0), "demo finished: 1 of 2 gates skipped"),
        (Outcome.CORROBORATED, RunFinished(0), "demo finished: every gate holds"),
        (None, RunInterrupted("SIGTERM"), "demo interrupted: 1 of 2 gates without a verdict"),
    ],
)
def test_the_end_of_a_run_says_no_more_than_its_gates(outcome, end, says, tmp_path):
    first = GateFinished("G0-PULL-001", Outcome.CORROBORATED, "5 files read", "e0", 3)
    folder = write_run(tmp_path, [RunStarted("h", 1), first], engine=alive())

    async def body(app, pilot):
        second = [] if outcome is None else [GateFinished("F-CONV-S-G", outcome, "why", "e1", 1)]
        append(folder, [*second, end], 100)
        await until(pilot, lambda: any(text.startswith("demo ") for _, text in app.messages))
        assert app.messages[-1][1] == says

    drive(body, run=folder.path)


def test_evidence_alone_says_what_it_lacks(tmp_path):
    path = tmp_path / "e.json"
    failed = {"gate_id": "F-CONV-S-G", "outcome": "Falsified", "reason": "diff: 0.1", "output": "line 1\nline 2"}
    path.write_text(json.dumps([failed, {"gate_id": "F-QUAL-9", "outcome": "Corroborated", "reason": "fine"}]))
    folder = open_evidence(path)

    async def body(app, pilot):
        assert_shows(app, "evidence alone  it lacks tensors, tolerances, digests of files", "GATE", "✗ FAIL F-CONV-S-G")
        assert_shows(app, "✓ pass F-QUAL-9", "gates 2/2 ✗ 1")
        await pilot.press("enter")
        assert "line 2" in detail_text(app)
        await pilot.press("escape", "t")
        assert_shows(app, "▾ Others", "✓ 1")
        await pilot.press("5")
        assert_shows(app, "Evidence alone holds no log.")
        for key in ("4", "r", "E", "w"):
            await pilot.press(key)
        assert len(app.screen_stack) == 1
        assert not app.watching

    drive(body, run=folder.path)


def test_a_gate_of_another_version_is_shown(tmp_path):
    plan = plan_of(tmp_path)
    plan = replace(plan, gates=(*plan.gates, PlannedGate("F-NEW-001", ())))
    folder = write_run(
        tmp_path, [*whole_run()[:-1], GateFinished("F-NEW-001", Outcome.FALSIFIED, "new", "e", 0)], plan=plan
    )

    async def body(app, pilot):
        assert_shows(app, "F-NEW-001")
        await pilot.press("t")
        assert_shows(app, "▾ Others", "✗ 1/1")

    drive(body, run=folder.path)


def test_a_gate_without_rows_says_what_became_of_it(tmp_path):
    folder = write_run(tmp_path, whole_run())

    async def body(app, pilot):
        await pilot.press("t", "j", "j", "enter")
        assert_shows(app, "✓ pass  G0-PULL-001", "5 files read", "no row to show")
        assert not shows(app, "No run is open")
        await pilot.press("a", "slash", *"zzz", "enter")
        assert_shows(app, "0 of 8 match")

    drive(body, run=folder.path)


def test_a_run_without_a_result_yet_says_so(tmp_path):
    folder = write_run(tmp_path, [RunStarted("h", 1)], engine=alive())

    async def body(app, pilot):
        assert_shows(app, "No result yet: rows come as tensors are compared.", "▶ running starting")

    drive(body, run=folder.path)


def test_files_that_are_others_than_the_run_had_are_told(tmp_path, monkeypatch):
    folder = write_run(tmp_path, whole_run())
    note = "what is measured now is not what the journal has: a file is another one"
    answers_with(monkeypatch, "aprtui.tui.services.tensors.ask", {"notes": [note]})

    async def body(app, pilot):
        await pilot.press("n", "enter")
        await until(pilot, lambda: "a file is another one" in detail_text(app).replace("\n ", " "))

    drive(body, run=folder.path)


def test_what_cannot_be_written_into_the_state_folder_is_told(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr("aprtui.tui.services.lists.write_json", refuse)

    async def body(app, pilot):
        await until(pilot, lambda: any("cannot be written: runs that end later" in text for _, text in app.messages))

    drive(body, playbooks=[tmp_path])
