"""What goes wrong in a worker stays there: one clear entry, every other gate runs, nothing is left over."""

import mmap
import os
import resource
import signal
import subprocess
import sys
import time

import pytest
from engine_runs import ONLY_PAIRS, events_of, processes_of, record_of, run_in, write_playbook
from fixture_files import FIXTURES
from variants import variants

from aprtui.convert.builtin import BuiltinConverter
from aprtui.core.events import Heartbeat, WorkerDied
from aprtui.core.outcomes import ExitCode
from aprtui.engine import run as engine
from aprtui.engine import stderr_log
from aprtui.engine.jobs import measure
from aprtui.engine.selection import select
from aprtui.engine.workers import share
from aprtui.formats.container import Format
from aprtui.store.plan import Limits

MODEL = FIXTURES / "qwen2-tiny/hf"
STEP, VICTIM = "S~S>G", "F-CONV-S-G"
OTHERS = {"F-CONV-S-A", "F-CONV-G-S", "F-CONV-A-S", "F-CONV-A-G", "F-CONV-G-A"}


def only_the_victim(misbehave):
    """A measurement that does this for one comparison and measures the others."""

    def misbehaving(job, report):
        if job.planned.comparison_id == STEP:
            misbehave(job)
        return measure(job, report)

    return misbehaving


def die_of_segv(_job):
    print("about to fall", file=sys.stderr)
    os.kill(os.getpid(), signal.SIGSEGV)


def die_of_kill(_job):
    os.kill(os.getpid(), signal.SIGKILL)


def leave(_job):
    print("goodbye", file=sys.stderr, flush=True)
    os._exit(7)


def read_what_is_gone(job):
    copy = job.files["S>G"].with_name("copy")
    copy.write_bytes(job.files["S>G"].read_bytes())
    with copy.open("r+b") as file, mmap.mmap(file.fileno(), 0) as mapped:
        file.truncate(0)
        mapped[-1]


def fall(_job):
    return 1 // 0


def want_too_much(_job):
    resource.setrlimit(resource.RLIMIT_AS, (8 << 30, 8 << 30))
    bytearray(64 << 30)


def flood(_job):
    piece = b"x" * (1 << 20)
    for _ in range(1 << 10):
        os.write(2, piece)


def hang(_job):
    daemon = "import os, time\nif os.fork() == 0:\n    os.setsid()\n    time.sleep(600)\n"
    subprocess.Popen([sys.executable, "-c", daemon], start_new_session=True)
    time.sleep(600)


segv, killed, exited = only_the_victim(die_of_segv), only_the_victim(die_of_kill), only_the_victim(leave)
shrunk, raised, starved = only_the_victim(read_what_is_gone), only_the_victim(fall), only_the_victim(want_too_much)
flooded, hung = only_the_victim(flood), only_the_victim(hang)
for name in ("segv", "killed", "exited", "shrunk", "raised", "starved", "flooded", "hung"):
    # Workers are told the name of a measurement.
    globals()[name].__qualname__ = name


class Hanging(BuiltinConverter):
    """Starts a program in a session of its own and waits for it, for GGUF."""

    def convert(self, source, target, destination, asked_for):
        if target is Format.GGUF:
            subprocess.run(["sleep", "600"], start_new_session=True, check=False)
        return super().convert(source, target, destination, asked_for)


class Dying(BuiltinConverter):
    """Takes the worker along, for GGUF."""

    def convert(self, source, target, destination, asked_for):
        if target is Format.GGUF:
            os.abort()
        return super().convert(source, target, destination, asked_for)


def run(tmp_path, how=measure, converter=None, selection=ONLY_PAIRS, **limits):
    folder = tmp_path / "run"
    playbook = write_playbook(tmp_path)
    options = {"limits": Limits(**limits), "how": how, "selection": selection}
    code, told = run_in(folder, playbook, MODEL, converter or BuiltinConverter(), **options)
    assert processes_of(folder) == []
    return code, {gate: entry.to_json() for gate, entry in told.entries.items()}


def others_hold(entries):
    assert {entries[gate]["outcome"] for gate in OTHERS} == {"Corroborated"}


@variants(
    ("check", "reason", "last_line"),
    [
        (segv, "the worker died: it was ended by SIGSEGV", "about to fall"),
        (shrunk, "the worker died: a file shrank while it was being read (SIGBUS)", "Fatal Python error: Bus error"),
        (killed, "the worker died: it was killed (SIGKILL), by somebody or for want of memory", None),
        (exited, "the worker died: it ended with exit code 7", "goodbye"),
    ],
    always=2,
)
def test_a_worker_that_dies_is_one_entry(tmp_path, check, reason, last_line):
    code, entries = run(tmp_path, check)
    assert code is ExitCode.ENVIRONMENT
    assert (entries[VICTIM]["outcome"], entries[VICTIM]["reason"]) == ("Crashed", reason)
    assert last_line is None or last_line in entries[VICTIM]["stderr"]
    others_hold(entries)
    (died,) = (event for event in events_of(tmp_path / "run") if isinstance(event, WorkerDied))
    assert died.step == STEP and died.reason in reason
    assert last_line is None or last_line.encode() in (tmp_path / "run/stderr.log").read_bytes()


@pytest.mark.parametrize(
    ("check", "reason"),
    [
        (raised, "aprtui failed: ZeroDivisionError: integer division or modulo by zero"),
        (starved, "there is not enough memory for this"),
    ],
)
def test_a_gate_that_raises_is_one_entry_and_its_worker_goes_on(tmp_path, check, reason):
    code, entries = run(tmp_path, check)
    assert code is ExitCode.ENVIRONMENT
    assert (entries[VICTIM]["outcome"], entries[VICTIM]["reason"]) == ("Crashed", reason)
    assert not [event for event in events_of(tmp_path / "run") if isinstance(event, WorkerDied)]


def test_a_gate_that_writes_a_gigabyte_to_standard_error_passes_and_fills_no_disk(tmp_path, monkeypatch):
    monkeypatch.setattr(stderr_log, "LIMIT", 1 << 20)
    code, entries = run(tmp_path, flooded)
    assert code is ExitCode.PASSED and entries[VICTIM]["outcome"] == "Corroborated"
    log = (tmp_path / "run/stderr.log").read_bytes()
    assert len(log) < (1 << 20) + 100
    assert log.endswith(b"[1072693248 bytes more were written and not kept]\n")


def test_a_gate_that_hangs_runs_out_of_time_with_what_it_started(tmp_path, monkeypatch):
    monkeypatch.setattr(engine, "SECONDS_BETWEEN_HEARTBEATS", 0.2)
    code, entries = run(tmp_path, hung, gate_seconds=6.0)
    assert code is ExitCode.TIMEOUT
    assert (entries[VICTIM]["outcome"], entries[VICTIM]["reason"]) == ("Timeout", "it took longer than 6 s")
    others_hold(entries)
    beats = [event.running for event in events_of(tmp_path / "run") if isinstance(event, Heartbeat)]
    assert (STEP,) in beats and len(beats) >= 5


def test_a_converter_that_hangs_is_ended_with_its_program(tmp_path):
    pairs = select(["F-CONV-?-S", VICTIM])
    code, entries = run(tmp_path, converter=Hanging(), selection=pairs, gate_seconds=6.0)
    assert code is ExitCode.TIMEOUT
    assert entries[VICTIM]["reason"] == "the conversion ran out of time: it took longer than 6 s"
    assert entries["F-CONV-G-S"]["outcome"] == "Skipped"
    assert entries["F-CONV-G-S"]["reason"].startswith("no gguf source: its conversion ran out of time")
    assert entries["F-CONV-A-S"]["outcome"] == "Corroborated"


def test_a_converter_that_takes_the_worker_along_proves_nothing(tmp_path):
    _, entries = run(tmp_path, converter=Dying())
    assert entries[VICTIM]["outcome"] == "Crashed"
    assert entries[VICTIM]["reason"] == "the conversion crashed: the worker died: it was ended by SIGABRT"
    assert "Fatal Python error: Aborted" in entries[VICTIM]["stderr"]
    assert entries["F-CONV-S-A"]["outcome"] == "Corroborated"


def test_the_time_of_the_whole_run(tmp_path):
    code, entries = run(tmp_path, hung, run_seconds=4.0)
    assert code is ExitCode.TIMEOUT
    assert {entry["outcome"] for entry in entries.values()} <= {"Timeout", "Corroborated"}
    assert entries[VICTIM]["reason"] == "the run's time limit of 4 s was reached"


def test_several_workers_reach_the_verdicts_of_one(tmp_path):
    (tmp_path / "one").mkdir()
    (tmp_path / "four").mkdir()
    assert share(8).workers == 4
    one, four = run(tmp_path / "one", jobs=1), run(tmp_path / "four", jobs=8)
    assert {gate: entry["reason"] for gate, entry in one[1].items()} == {
        gate: entry["reason"] for gate, entry in four[1].items()
    }
    assert len({event.worker for event in events_of(tmp_path / "four/run") if hasattr(event, "worker")}) > 1


@pytest.mark.parametrize(("jobs", "workers", "threads"), [(1, 1, 1), (2, 1, 2), (4, 2, 2), (8, 4, 2), (64, 4, 16)])
def test_workers_share_the_processors(jobs, workers, threads):
    assert (share(jobs).workers, share(jobs).threads) == (workers, threads)
    assert (share(jobs, parallel=False).workers, share(jobs, parallel=False).threads) == (1, jobs)


def test_evidence_follows_from_the_journal(tmp_path):
    run(tmp_path)
    record = record_of(tmp_path / "run")
    of_model = record.comparisons.pop("S~S")
    assert [level.level for level in of_model.levels] == ["integrity", "structure", "metadata"]
    assert {found.compared for found in record.comparisons.values()} == {26}
    assert all(len(found.worst) == 10 and len(found.levels) == 5 for found in record.comparisons.values())


def stop_in_the_middle_of_a_message(job, report):
    """Sends the first half of a message and stops, as a worker does that somebody halts."""
    if job.planned.comparison_id == STEP:
        os.write(report._connection.fileno(), b"\x00\x00\x10\x00half a message")
        os.kill(os.getpid(), signal.SIGSTOP)
    return measure(job, report)


def test_a_worker_that_stops_in_the_middle_of_a_message_stops_nobody_else(tmp_path, monkeypatch):
    monkeypatch.setattr(engine, "SECONDS_BETWEEN_HEARTBEATS", 0.2)
    code, entries = run(tmp_path, stop_in_the_middle_of_a_message, gate_seconds=6.0)
    assert code is ExitCode.TIMEOUT and entries[VICTIM]["reason"] == "it took longer than 6 s"
    others_hold(entries)
    assert len([event for event in events_of(tmp_path / "run") if isinstance(event, Heartbeat)]) >= 5
