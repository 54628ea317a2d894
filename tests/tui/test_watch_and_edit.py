"""Saved playbooks: edited where a tolerance is set, judged again at once, or run again as they were run."""

import asyncio
from contextlib import nullcontext
from dataclasses import replace

import pytest
from console import assert_shows, drive, shows, until
from run_folders import NAMES, append, plan_of, tensor, whole_run, write_run
from tui_files import write_playbook

from aprtui.core.events import (
    ComparisonFinished,
    ComparisonStarted,
    RunFinished,
    RunStarted,
    TensorFinished,
    TolerancesChanged,
)
from aprtui.core.outcomes import Outcome
from aprtui.playbook import load_playbook
from aprtui.store.plan import Limits
from aprtui.store.row_status import RowStatus
from aprtui.store.run_view import RunView
from aprtui.tui.screens.run_actions import new_settings, tolerance_place


def starts_of(app, monkeypatch):
    """Arguments of the runs that the console would start."""
    started = []

    async def start(arguments, **_):
        started.append(arguments)

    monkeypatch.setattr(app.starter, "start", start)
    return started


async def watch(app, pilot):
    """Watch what is open; the watcher needs a moment to look at its files."""
    await pilot.press("w")
    await until(pilot, lambda: app.watching)
    await pilot.pause(0.3)


def test_the_line_that_set_a_tolerance_is_found_or_made(playbooks, tmp_path):
    path = write_playbook(playbooks, "aprtui:\n  tolerance:\n    ulp: 2\n")
    assert tolerance_place(load_playbook(path)) == (path, 9)
    path = write_playbook(playbooks, "aprtui:\n  tolerance:\n    ulp: 2\n    rmse_ratio: 2\n    scale_ulp: 1\n")
    view = RunView(write_run(tmp_path, whole_run()))
    view.read(5.0)
    row = view.columns.row(view.columns.tensor(0, NAMES[0]))
    loaded = load_playbook(path)
    assert (row.rule, tolerance_place(loaded, row)) == ("certificate", (path, 11))
    assert tolerance_place(loaded, replace(row, set_by="aprtui.tolerance.rmse_ratio 2 of p")) == (path, 10)
    assert tolerance_place(loaded, replace(row, rule="rounding")) == (path, 9)
    path = write_playbook(playbooks, "aprtui:\n  outtype: f16\n")
    assert tolerance_place(load_playbook(path)) is None
    beside, line = new_settings(load_playbook(path))
    assert beside.name == "demo.aprtui.yaml"
    assert "ulp: 0.5" in beside.read_text().splitlines()[line - 1]
    assert load_playbook(path).settings.tolerance.ulp == 0.5


@pytest.mark.parametrize(
    ("keys", "what"),
    [
        ("aprtui:\n  tolerance:\n    ulp: 3\n", "rejudge"),
        ("differential_tests: {}\n", "start"),
        ("# a comment\n", "nothing"),
        ("aprtui:\n  tolerance:\n    ulpp: 3\n", "invalid"),
    ],
)
def test_a_save_is_judged_again_or_run_again(keys, what, tmp_path, playbooks, monkeypatch):
    path = write_playbook(playbooks, "aprtui:\n  tolerance:\n    ulp: 2\n")
    plan = plan_of(tmp_path, playbook=path)
    facts = replace(plan.playbook, fingerprint=load_playbook(path).fingerprint)
    folder = write_run(tmp_path, whole_run(), plan=replace(plan, playbook=facts))
    asked = []

    async def tell(arguments, seconds=60.0):
        asked.append(arguments)
        return ""

    monkeypatch.setattr("aprtui.tui.services.watch.tell", tell)

    async def body(app, pilot):
        started = starts_of(app, monkeypatch)
        await watch(app, pilot)
        text = "aprtui:\n  tolerance:\n    ulp: 2\n" if what in ("start", "nothing") else ""
        if what == "start":
            text = text.replace("ulp: 2", "ulp: 2\n  outtype: f16")
        write_playbook(playbooks, text + (keys if what != "start" else ""))
        if what == "rejudge":
            await until(pilot, lambda: asked == [["rejudge", str(folder.path)]], 10)
            assert not started
        elif what == "start":
            await until(pilot, lambda: started, 10)
            assert started[0][:2] == ["run", str(path)]
            assert not asked
        elif what == "nothing":
            await until(pilot, lambda: "says what it said" in app.messages[-1][1], 10)
        else:
            await until(pilot, lambda: shows(app, "aprtui.tolerance.ulpp"), 10)
            assert_shows(app, "demo.playbook.yaml, line 9", "the last good run stays")
            # It takes neither the keys nor the view, and goes when the file is right again.
            position = app.screen.table.cursor
            await pilot.press("j")
            assert app.screen.table.cursor == position + 1
            await pilot.press("5")
            assert_shows(app, "[5 Log]", "the last good run stays")
            assert not asked
            assert not started
            write_playbook(playbooks, "aprtui:\n  tolerance:\n    ulp: 2\n")
            await until(pilot, lambda: not shows(app, "the last good run stays"), 10)

    drive(body, run=folder.path, playbooks=[playbooks])


ROUNDED = replace(tensor(NAMES[0], target="F16", differing=3), name=NAMES[0])


def one_rounded(tmp_path, playbooks):
    """A playbook, and its finished run of one tensor that is rounded too coarsely."""
    path = write_playbook(playbooks)
    events = [RunStarted("h", 1), ComparisonStarted("S~S>G", 0), TensorFinished("S~S>G", ROUNDED)]
    events += [ComparisonFinished("S~S>G", Outcome.FALSIFIED, "NOT EQUIVALENT"), RunFinished(1)]
    plan = plan_of(tmp_path, playbook=path)
    facts = replace(plan.playbook, fingerprint=load_playbook(path).fingerprint)
    return path, write_run(tmp_path, events, plan=replace(plan, playbook=facts)), len(events)


@pytest.mark.parametrize("problem", ["", "the run folder is locked"])
def test_rows_are_judged_again_before_the_journal_has_it(problem, tmp_path, playbooks, monkeypatch):
    """The process that writes the journal takes a second to begin. Where it fails, nothing of that stays."""
    path, folder, _ = one_rounded(tmp_path, playbooks)

    async def body(app, pilot):
        shown = []

        async def tell(arguments, seconds=60.0):
            await until(pilot, lambda: app.screen.row.status is RowStatus.PASSED)
            shown.append(app.screen.row)
            return problem

        monkeypatch.setattr("aprtui.tui.services.watch.tell", tell)
        await until(pilot, lambda: app.screen.row is not None and app.screen.row.status is RowStatus.FAILED)
        app.watcher.remember(path)
        write_playbook(playbooks, "aprtui:\n  tolerance:\n    ulp: 2000\n")
        await app.watcher.saved({path})
        await until(pilot, lambda: shown)
        assert shown[0].limit == 2000
        if problem:
            await until(pilot, lambda: app.current.tolerances.ulp is None)
            await pilot.press("escape")
            await until(pilot, lambda: app.screen.row.status is RowStatus.FAILED)

    drive(body, run=folder.path, playbooks=[playbooks])


def test_a_second_save_shows_at_once_and_the_journal_ends_with_it(tmp_path, playbooks, monkeypatch):
    """While the first one is still being written into the journal, which must not bring its rows back."""
    path, folder, lines_before = one_rounded(tmp_path, playbooks)

    async def body(app, pilot):
        release, written = asyncio.Event(), []

        async def tell(arguments, seconds=60.0):
            now = load_playbook(path).tolerances
            if not written:
                await release.wait()
            else:
                # What was written first has been read, and shown.
                await until(pilot, lambda: any(getattr(line.event, "tolerances", None) for line in app.current.log))
                await pilot.pause(0.3)
            limit = replace(ROUNDED.tolerance, limit=1500.0 if not written else now.ulp)
            lines = [TolerancesChanged(replace(now, ulp=limit.limit))]
            lines += [TensorFinished("S~S>G", replace(ROUNDED, tolerance=limit))]
            append(folder, lines, lines_before + 2 * len(written))
            written.append(limit.limit)
            return ""

        monkeypatch.setattr("aprtui.tui.services.watch.tell", tell)
        await until(pilot, lambda: app.screen.row is not None and app.screen.row.status is RowStatus.FAILED)
        app.watcher.remember(path)
        for limit in (1500, 2000):
            write_playbook(playbooks, f"aprtui:\n  tolerance:\n    ulp: {limit}\n")
            await asyncio.wait_for(app.watcher.saved({path}), 5)
            await until(pilot, lambda limit=limit: app.screen.row.limit == limit)
        limits = []
        changed = app.run_changed
        monkeypatch.setattr(app, "run_changed", lambda found: (changed(found), limits.append(app.screen.row.limit)))
        release.set()
        await until(pilot, lambda: written == [1500, 2000])
        await until(pilot, lambda: not app.watcher.is_writing)
        await pilot.pause(0.6)
        assert app.screen.row.limit == 2000 and set(limits) == {2000}

    drive(body, run=folder.path, playbooks=[playbooks])


@pytest.mark.parametrize("name", ["two.playbook.yaml", "two.aprtui.yaml"])
def test_a_save_of_another_playbook_judges_its_own_run(name, tmp_path, playbooks, monkeypatch):
    """Or of the settings beside it, whatever run is open."""
    saved = write_playbook(playbooks, name="two")
    opened = write_run(tmp_path, whole_run(), playbook=write_playbook(playbooks))
    plan = plan_of(tmp_path, playbook=saved, run_id="20260102-030406-b2c3")
    facts = replace(plan.playbook, fingerprint=load_playbook(saved).fingerprint)
    own = write_run(tmp_path, whole_run(), plan=replace(plan, playbook=facts), run_id=plan.run_id)
    asked = []

    async def tell(arguments, seconds=60.0):
        asked.append(arguments)
        return ""

    monkeypatch.setattr("aprtui.tui.services.watch.tell", tell)

    async def body(app, pilot):
        await until(pilot, lambda: len(app.runs) == 2)
        keys = "aprtui:\n  tolerance:\n    ulp: 7\n"
        if name.endswith(".aprtui.yaml"):
            (playbooks / name).write_text(keys)
        else:
            write_playbook(playbooks, keys, name="two")
        app.playbook_saved(playbooks / name)
        await until(pilot, lambda: asked == [["rejudge", str(own.path)]], 10)

    drive(body, run=opened.path, playbooks=[playbooks])


@pytest.mark.parametrize(("edit", "was_there"), [(False, False), (True, False), (False, True)])
def test_settings_that_an_editor_leaves_as_they_were_made_are_removed(
    edit, was_there, tmp_path, playbooks, monkeypatch
):
    """Not those that somebody had before, whatever they say."""
    folder = write_run(tmp_path, whole_run(), playbook=write_playbook(playbooks))
    made = playbooks / "demo.aprtui.yaml"
    if was_there:
        new_settings(load_playbook(playbooks / "demo.playbook.yaml"))
    seen, saved = [], []

    def run(command, check):
        seen.append((command, made.read_text()))
        if edit:
            made.write_text(made.read_text().replace("    ulp: 0.5", "    ulp: 4"))

    monkeypatch.setattr("aprtui.tui.screens.run_actions.subprocess.run", run)
    monkeypatch.setattr("aprtui.tui.app.ConsoleApp.suspend", lambda _: nullcontext())
    monkeypatch.setattr("aprtui.tui.app.ConsoleApp.playbook_saved", lambda _, path: saved.append(path))

    async def body(app, pilot):
        await until(pilot, lambda: app.screen.row is not None)
        await pilot.press("E")
        await until(pilot, lambda: seen)
        ((command, text),) = seen
        assert command[-2:] == ["+7", str(made)] and "ulp: 0.5" in text.splitlines()[6]
        assert made.exists() == (edit or was_there) and saved == ([made] if edit or was_there else [])
        if not saved:
            assert any("nothing was set: demo.aprtui.yaml is removed again" in said for _, said in app.messages)

    drive(body, run=folder.path, playbooks=[playbooks])


@pytest.mark.parametrize("has_run", [True, False])
def test_a_save_starts_a_run_of_the_playbook_that_was_saved(has_run, tmp_path, playbooks, monkeypatch):
    """Whatever run is open; and as the run before was started."""
    saved = write_playbook(playbooks, name="two")
    opened = write_run(tmp_path, whole_run(), playbook=write_playbook(playbooks))
    if has_run:
        plan = plan_of(tmp_path, playbook=saved, run_id="20260102-030406-b2c3")
        plan = replace(plan, keeps_products=True, scratch="/kept", limits=Limits(jobs=2))
        write_run(tmp_path, whole_run(), plan=plan, run_id=plan.run_id)

    async def body(app, pilot):
        started = starts_of(app, monkeypatch)
        await until(pilot, lambda: len(app.runs) == 1 + has_run)
        app.watcher.toggle(saved)
        await until(pilot, lambda: app.watching)
        await pilot.pause(0.3)
        write_playbook(playbooks, "aprtui:\n  outtype: f16\n", name="two")
        await until(pilot, lambda: started, 10)
        (arguments,) = started
        assert arguments[:2] == ["run", str(saved)]
        if has_run:
            assert " ".join(arguments[2:]).startswith(f"--model {tmp_path}")
            assert "--scratch /kept" in " ".join(arguments) and "--device cpu --jobs 2" in " ".join(arguments)

    drive(body, run=opened.path, playbooks=[playbooks])


@pytest.mark.parametrize("changed", ["model/config.json", "converter/parts/names.py"])
def test_a_model_or_a_converter_that_changes_starts_a_run(changed, tmp_path, playbooks, monkeypatch):
    """A converter may be a package: its files are watched at any depth."""
    path = write_playbook(playbooks)
    for name in ("model/config.json", "converter/parts/names.py"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_text("one", encoding="utf-8")
    plan = plan_of(tmp_path, playbook=path)
    program = replace(plan.converter, path=str(tmp_path / "converter"))
    folder = write_run(tmp_path, whole_run(), plan=replace(plan, converter=program))

    async def body(app, pilot):
        started = starts_of(app, monkeypatch)
        await watch(app, pilot)
        (tmp_path / changed).write_text("another", encoding="utf-8")
        await until(pilot, lambda: started, 10)
        assert started[0][:2] == ["run", str(path)]

    drive(body, run=folder.path, playbooks=[playbooks], watch_models=True)


def test_a_playbook_that_does_not_load_is_edited_at_its_line(playbooks, monkeypatch):
    write_playbook(playbooks, "aprtui:\n  tolerance:\n    ulpp: 2\n")
    monkeypatch.setenv("EDITOR", "an-editor")

    async def body(app, pilot):
        await pilot.press("E")
        await pilot.pause()
        said = [text for _, text in app.messages]
        assert any("line 9, aprtui.tolerance.ulpp: aprtui has no such key" in text for text in said), said
        assert any(text.endswith("demo.playbook.yaml, line 9") for text in said), said

    drive(body, playbooks=[playbooks])
