"""Run folders, which engine lives, and the register that finds runs from any directory."""

import json
import os
import shutil
import subprocess
import sys
import time
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from run_plans import empty_plan

from aprtui.core.errors import AprtuiError, UsageError
from aprtui.core.events import JournalLine, RunFinished, RunInterrupted, RunStarted
from aprtui.store import process
from aprtui.store.process import ProcessIdentity, this_process
from aprtui.store.register import find_run, register, register_folder, registered_runs
from aprtui.store.run_folder import RunFolder, RunState
from aprtui.store.summary import read_record, state_of

NOW = datetime(2026, 1, 2, tzinfo=UTC)


def new_run(path, *events, engine=None):
    folder = RunFolder(path)
    folder.write_plan(empty_plan(path.name))
    folder.write_engine(engine or this_process())
    raw = b"".join(JournalLine(path.name, number, NOW, event).to_bytes() for number, event in enumerate(events))
    folder.journal.write_bytes(raw)
    return folder


def state(folder):
    return state_of(folder, read_record(folder.reader().new_lines()))


def test_a_plan_comes_back_as_it_was(tmp_path):
    folder = new_run(tmp_path / "r")
    assert folder.plan().run_id == "r" and folder.plan() == folder.plan()
    assert folder.engine() == this_process()


@pytest.mark.parametrize("content", [b"", b"{}", b"[", b"[]", b'{"run_id": 5}', b"[" * 100_000])
def test_a_damaged_plan_is_one_line(tmp_path, content):
    folder = new_run(tmp_path / "r")
    (folder.path / "plan.json").write_bytes(content)
    with pytest.raises(AprtuiError, match=r"plan\.json: cannot be understood"):
        folder.plan()


def test_a_process_is_known_by_more_than_its_number():
    sleeper = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    own = this_process()
    identity = replace(own, pid=sleeper.pid, started=process._start_time(sleeper.pid))
    assert own.is_alive and identity.is_alive and own.started != identity.started
    assert not replace(identity, started=own.started).is_alive
    assert not replace(identity, boot_id="before the machine was started again").is_alive
    assert not replace(identity, host="elsewhere").is_alive
    sleeper.kill()
    while process._start_time(sleeper.pid) is not None:
        time.sleep(0.01)
    # It has ended, and nobody has waited for it yet.
    assert not identity.is_alive
    sleeper.wait()
    assert not identity.is_alive


def test_where_there_is_no_proc_ps_knows(monkeypatch, tmp_path):
    monkeypatch.setattr(process, "_BOOT_ID", tmp_path / "none")
    own = this_process()
    assert own.started and own.is_alive and own.boot_id == ""
    assert not replace(own, started="Thu Jan  1 00:00:00 1970").is_alive


def test_states(tmp_path):
    gone = replace(this_process(), started="0")
    elsewhere = replace(this_process(), host="elsewhere")
    started = RunStarted("h", 1)
    assert state(new_run(tmp_path / "a", started)) is RunState.RUNNING
    assert state(new_run(tmp_path / "b", started, engine=gone)) is RunState.DIED
    assert state(new_run(tmp_path / "c", started, engine=elsewhere)) is RunState.ELSEWHERE
    assert state(new_run(tmp_path / "d", started, RunFinished(0), engine=elsewhere)) is RunState.FINISHED
    assert state(new_run(tmp_path / "e", started, RunInterrupted("x"), engine=gone)) is RunState.INTERRUPTED
    again = RunStarted("h", 1, resumed=True)
    assert state(new_run(tmp_path / "f", started, RunInterrupted("x"), again, engine=gone)) is RunState.DIED


def test_runs_are_found_by_path_id_and_beginning(tmp_path, monkeypatch):
    first, second = new_run(tmp_path / "20260101-aa"), new_run(tmp_path / "20260102-bb")
    register(first)
    register(second)
    monkeypatch.chdir("/")
    assert registered_runs() == [second, first]
    assert find_run("20260101") == first and find_run("20260102-bb") == second
    assert find_run(str(first.path)) == first
    with pytest.raises(UsageError, match="2 runs begin with '2026'"):
        find_run("2026")
    for name in ("nothing", "", "../x"):
        with pytest.raises(UsageError, match="there is no run"):
            find_run(name)


def test_entries_of_runs_that_are_gone_are_removed(tmp_path):
    (tmp_path / "mounted").mkdir()
    kept, removed = new_run(tmp_path / "unmounted/r1"), new_run(tmp_path / "mounted/r2")
    register(kept)
    register(removed)
    (tmp_path / "unmounted").rename(tmp_path / "hidden")
    shutil.rmtree(removed.path)
    assert registered_runs() == []
    assert [path.stem for path in register_folder().glob("*")] == ["r1"]


def test_a_run_that_begins_is_not_taken_for_one_that_is_gone(tmp_path):
    plan = new_run(tmp_path / "other").plan()
    beginning = RunFolder(tmp_path / "r1")
    register(beginning)
    assert registered_runs() == []  # somebody looks before it has a plan
    beginning.write_plan(plan)
    assert registered_runs() == [beginning]


@pytest.mark.parametrize("content", ["", "{", "[]", '{"folder": 5}', '{"other": 1}'])
def test_a_damaged_entry_hides_no_other(tmp_path, content):
    folder = new_run(tmp_path / "r")
    register(folder)
    (register_folder() / "s.json").write_text(content)
    assert registered_runs() == [folder]


def test_entries_are_whole_files(tmp_path):
    register(new_run(tmp_path / "r"))
    (entry,) = register_folder().iterdir()
    assert json.loads(entry.read_text()) == {"folder": str(tmp_path / "r")}


def test_identity_of_a_process_that_never_was():
    assert not ProcessIdentity(this_process().host, this_process().boot_id, 2**22 + 5, "1").is_alive
    assert process._start_time(os.getpid()) is not None
