"""Runs of playbooks for tests: in this process, or by a command that a test can kill."""

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

from aprtui.engine.jobs import measure
from aprtui.engine.plan import Places, Start, make_plan
from aprtui.engine.run import run_plan
from aprtui.engine.selection import EVERYTHING, select
from aprtui.engine.worker_mark import worker_mark
from aprtui.models import Wanted, find_sources, resolve_model
from aprtui.playbook import load_playbook
from aprtui.store.plan import Limits
from aprtui.store.run_folder import RunFolder
from aprtui.store.summary import read_record

ROOT = Path(__file__).parents[1]


class Collecting:
    """Keeps what a run tells."""

    def __init__(self):
        self.entries = {}
        self.begun = []

    def started(self, step):
        self.begun.append(step)

    def progress(self, step, done, total):
        pass

    def finished(self, entry):
        self.entries[entry.gate_id] = entry


def write_playbook(folder, keys="", name="test"):
    path = folder / f"{name}.playbook.yaml"
    path.write_text(
        f'name: {name}\nversion: "1.0.0"\nmodel:\n  hf_repo: org/qwen2-tiny\ntest_matrix:\n  seed: 7\n{keys}',
        encoding="utf-8",
    )
    return load_playbook(path)


ONLY_PAIRS = select(["F-CONV-?-?", "G0-VALIDATE-001"])
"""The pairs and a gate that converts nothing: enough where a test is about the machinery."""

PAIRS = ["F-CONV-S-G", "F-CONV-S-A", "F-CONV-G-S", "F-CONV-A-S", "F-CONV-A-G", "F-CONV-G-A"]


def plan_in(
    folder, playbook, model, converter, *, limits=None, selection=EVERYTHING, sources=(), scratch=None, apr="apr"
):
    resolved = resolve_model(Wanted("", named=model))
    start = Start(resolved, find_sources(resolved.path, sources), apr=apr)
    places = Places(folder, folder.parent / "evidence.json", scratch)
    return make_plan(playbook, start, converter, places=places, limits=limits or Limits(), selection=selection)


def run_in(folder, playbook, model, converter, *, how=measure, **options):
    """Exit code and what was told, of a run in this folder; goes on with what is there."""
    plan = plan_in(folder, playbook, model, converter, **options)
    told = Collecting()
    return run_plan(plan, RunFolder(folder), converter, told, how=how), told


def events_of(folder):
    return [line.event for line in RunFolder(folder).reader().new_lines()]


def record_of(folder):
    return read_record(RunFolder(folder).reader().new_lines())


def verdicts(folder):
    return {gate: (found.outcome.value, found.reason) for gate, found in record_of(folder).verdicts().items()}


def start(output, *arguments):
    """`aprtui run` as a process of its own session."""
    command = [sys.executable, "-m", "aprtui", "run", *map(str, arguments), "--output-dir", str(output)]
    return subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    )


@contextmanager
def halted(output, model):
    """Process and folder of a run that cannot end by itself: its worker is halted."""
    path = write_playbook(output.parent).path
    process = start(output, path, "--model", model, "--converter", "builtin", "--jobs", 1)
    folder = run_folder_below(output)
    try:
        wait_until(lambda: processes_of(folder))
        os.kill(processes_of(folder)[0], signal.SIGSTOP)
        yield process, folder
    finally:
        process.kill()
        process.communicate(timeout=60)
        worker_mark(folder).end_processes()


def aprtui(*arguments, timeout=120):
    """Exit code and both outputs of a command."""
    command = [sys.executable, "-m", "aprtui", *map(str, arguments)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=timeout)
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode, done.stdout, done.stderr


def wait_until(holds, seconds=30.0):
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.02)


def run_folder_below(output):
    """The only run below a directory, once its engine has written who it is."""
    wait_until(lambda: list(output.glob("*/runs/*/pid.json")))
    (pid,) = output.glob("*/runs/*/pid.json")
    return pid.parent


def processes_of(folder):
    """Workers, their guards and what they started, except those that ended and wait to be collected."""
    return [pid for pid in worker_mark(folder).processes() if pid != os.getpid()]


def outcomes_in(evidence):
    return {entry["gate_id"]: (entry["outcome"], entry["reason"]) for entry in json.loads(evidence.read_text())}
