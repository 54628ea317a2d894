"""Runs with converters that hang, shout, cheat or ruin their source: one clear entry, and the other gates as ever."""

import json
import shutil
import signal
import stat
import sys
import time
from dataclasses import dataclass

import pytest
from engine_runs import events_of, processes_of, run_in, write_playbook
from fixture_files import FIXTURES

from aprtui.convert import converter_named
from aprtui.convert.builtin import BuiltinConverter
from aprtui.core.events import WorkerDied
from aprtui.core.outcomes import ExitCode, Outcome
from aprtui.engine.selection import Selection
from aprtui.formats.container import Format
from aprtui.formats.output_types import parse_output_type
from aprtui.settings import load_settings
from aprtui.store.plan import Limits

GOOD = FIXTURES / "qwen2-tiny/gguf/bf16.gguf"
START = "import os, shutil, signal, subprocess, sys, time\nsource, target, format = sys.argv[1:]\n"
GOOD_GGUF = f"shutil.copyfile({str(GOOD)!r}, target)\n"
CHILD = "subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'], start_new_session={})\n"
GIGABYTE = (
    "piece = b'x' * 1023 + b'\\n'\nfor _ in range(1024): os.write(1, piece * 1024)\nos.write(1, b'last line\\n')\n"
)
HALF = f"open(target, 'wb').write(open({str(GOOD)!r}, 'rb').read()[:1000])\n"

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="process groups, POSIX signals and /proc")


@pytest.fixture(scope="module")
def good_apr(tmp_path_factory):
    place = tmp_path_factory.mktemp("good")
    return BuiltinConverter().convert(FIXTURES / "qwen2-tiny/hf", Format.APR, place, parse_output_type("lossless"))


@dataclass(frozen=True)
class Run:
    """What became of a run of S-G and S-A."""

    folder: object
    model: object
    code: ExitCode
    entries: dict
    seconds: float

    @property
    def entry(self):
        return self.entries["F-CONV-S-G"]


@pytest.fixture
def run(tmp_path, monkeypatch, good_apr):
    """Runs a playbook with a converter that does this for GGUF, and well for APR, as a user configures it."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    model = tmp_path / "model"
    shutil.copytree(FIXTURES / "qwen2-tiny/hf", model)
    for path in (model, *model.iterdir()):
        path.chmod(path.stat().st_mode | stat.S_IWUSR)

    def run(code, time_limit=30.0, limits=None, gates=("F-CONV-S-G", "F-CONV-S-A", "G0-VALIDATE-001")):
        script = tmp_path / "converter.py"
        copy = f"if format == 'apr':\n    shutil.copyfile({str(good_apr)!r}, target)\n    sys.exit()\n"
        script.write_text(START + copy + code)
        command = [sys.executable, str(script), "{source}", "{target}", "{format}"]
        settings = tmp_path / "config/aprtui/settings.toml"
        settings.parent.mkdir(parents=True)
        settings.write_text(f"[converters.mine]\ncommand = {json.dumps(command)}\ntime_limit_s = {time_limit}\n")
        converter = converter_named("mine", load_settings())
        begun = time.monotonic()
        playbook, selection = write_playbook(tmp_path), Selection(gates)
        exit_code, told = run_in(tmp_path / "run", playbook, model, converter, selection=selection, limits=limits)
        seconds = time.monotonic() - begun
        assert processes_of(tmp_path / "run") == []
        return Run(tmp_path / "run", model, exit_code, told.entries, seconds)

    return run


def others_pass(result):
    return all(entry.outcome is Outcome.CORROBORATED for gate, entry in result.entries.items() if gate != "F-CONV-S-G")


def test_a_good_one(run):
    result = run(GOOD_GGUF)
    assert result.code is ExitCode.PASSED and result.entry.outcome is Outcome.CORROBORATED and others_pass(result)
    assert result.entry.exit_code == 0


def test_one_that_hangs(run):
    result = run("print('working', flush=True)\ntime.sleep(60)\n", time_limit=1)
    assert result.entry.outcome is Outcome.TIMEOUT and result.code is ExitCode.TIMEOUT
    assert result.entry.reason == "the conversion ran out of time: mine was ended at its time limit of 1 s; " + (
        "its last line: working"
    )
    assert (result.entry.exit_code, result.entry.stderr) == (-signal.SIGTERM, "working")
    assert others_pass(result) and result.seconds < 15


def test_one_that_hangs_longer_than_a_gate_may_take(run):
    result = run(CHILD.format(True) + "time.sleep(60)\n", limits=Limits(gate_seconds=6))
    assert result.entry.outcome is Outcome.TIMEOUT and result.code is ExitCode.TIMEOUT
    assert result.entry.reason == "the conversion ran out of time: it took longer than 6 s"
    assert others_pass(result) and result.seconds < 15
    assert [event.step for event in events_of(result.folder) if isinstance(event, WorkerDied)] == ["S>G"]


def test_one_that_ignores_sigterm_and_has_children(run):
    code = "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + CHILD.format(False) + CHILD.format(True)
    result = run(code + "time.sleep(60)\n", time_limit=1)
    assert result.entry.outcome is Outcome.TIMEOUT and result.code is ExitCode.TIMEOUT
    assert "mine was ended at its time limit of 1 s" in result.entry.reason
    assert result.entry.exit_code == -signal.SIGKILL
    assert others_pass(result) and result.seconds < 15


def test_one_that_leaves_children(run):
    result = run(CHILD.format(False) + CHILD.format(True) + GOOD_GGUF)
    assert result.code is ExitCode.PASSED and others_pass(result) and result.seconds < 15


def test_one_that_prints_a_gigabyte(run):
    result = run(GIGABYTE + GOOD_GGUF)
    assert result.code is ExitCode.PASSED and result.entry.outcome is Outcome.CORROBORATED
    assert result.entry.stderr.endswith("last line") and len(result.entry.stderr) < 20_000
    assert sum(file.stat().st_size for file in result.folder.rglob("*") if file.is_file()) < 1 << 20


def test_one_that_prints_a_gigabyte_and_fails(run):
    result = run(GIGABYTE + "sys.exit('no space left')\n")
    assert result.entry.outcome is Outcome.FALSIFIED and result.code is ExitCode.FALSIFIED
    assert result.entry.reason == "the conversion failed: mine ended with exit code 1: no space left"
    assert result.entry.exit_code == 1 and others_pass(result)
    assert result.entry.stderr.splitlines()[-1] == "no space left"


def test_half_a_file(run):
    result = run(HALF)
    assert result.entry.outcome is Outcome.FALSIFIED and result.code is ExitCode.FALSIFIED
    assert "integrity: file: " in result.entry.reason and "model.gguf" in result.entry.reason
    assert result.entry.exit_code == 0 and others_pass(result)


def test_half_a_file_and_a_crash(run):
    result = run(HALF + "os.kill(os.getpid(), signal.SIGSEGV)\n")
    assert result.entry.outcome is Outcome.FALSIFIED and result.code is ExitCode.FALSIFIED
    assert result.entry.reason == "the conversion failed: mine was ended by SIGSEGV"
    assert result.entry.exit_code == -signal.SIGSEGV and others_pass(result)


def test_a_directory_instead_of_a_file(run):
    result = run("os.mkdir(target)\nopen(os.path.join(target, 'notes.txt'), 'w').write('x')\n")
    assert result.entry.outcome is Outcome.FALSIFIED and result.code is ExitCode.FALSIFIED
    assert result.entry.reason.endswith("S-G/model.gguf: mine wrote a directory instead of a file") and others_pass(
        result
    )


def test_what_it_says_is_shown_fit_for_a_terminal(run):
    result = run("sys.stderr.write('\\x1b[31mError: \\u202e[bold]bad[/bold]\\x1b[0m\\n'); sys.exit(9)\n")
    assert result.entry.outcome is Outcome.FALSIFIED
    assert result.entry.reason == "the conversion failed: mine ended with exit code 9: Error: \\u202e[bold]bad[/bold]"
    assert "\x1b" not in json.dumps(result.entry.to_json()["metadata"])


@pytest.mark.parametrize("name", ["model.safetensors", "config.json"])
def test_one_that_deletes_its_source(run, name):
    result = run(GOOD_GGUF + f"os.remove(os.path.join(source, {name!r}))\n")
    assert result.entry.outcome is Outcome.CRASHED and result.code is ExitCode.ENVIRONMENT
    assert f"{name}: the source was deleted during its conversion" in result.entry.reason
    check_what_stands(result, f"{result.model / name} was deleted while the run went on")


@pytest.mark.parametrize("name", ["model.safetensors", "config.json"])
def test_one_that_rewrites_its_source(run, name):
    code = f"file = open(os.path.join(source, {name!r}), 'r+b'); file.seek(-3, 2); file.write(b'abc'); file.close()\n"
    result = run(GOOD_GGUF + code)
    assert result.entry.outcome is Outcome.CRASHED and result.code is ExitCode.ENVIRONMENT
    assert f"{name}: the source was changed during its conversion" in result.entry.reason
    check_what_stands(result, f"{result.model / name} was changed while the run went on")


def check_what_stands(result, reason):
    """Verdicts from before the damage; nothing is blamed on a conversion of what is left of the model."""
    assert result.entries["G0-VALIDATE-001"].outcome is Outcome.CORROBORATED
    after = result.entries["F-CONV-S-A"]
    assert (after.outcome, after.reason) == (Outcome.CRASHED, reason)


def test_one_that_rewrites_a_product(run):
    gates = ("F-CONV-S-A", "F-CONV-G-S", "F-CONV-S-G", "G0-VALIDATE-001")
    code = "if format == 'safetensors':\n    open(source, 'ab').write(b'more'); sys.exit()\n"
    result = run(code + GOOD_GGUF, gates=gates)
    entry = result.entries.pop("F-CONV-G-S")
    assert entry.outcome is Outcome.CRASHED and result.code is ExitCode.ENVIRONMENT
    assert "S-G/model.gguf: the source was changed during its conversion" in entry.reason
    assert result.entry.outcome is Outcome.CORROBORATED and others_pass(result)
