"""The console is lost under an engine that it started: the run goes on, and the next console finds all of it."""

import os
import signal

import pytest
from engine_runs import events_of, processes_of, run_folder_below, run_in, verdicts, wait_until
from fixture_files import FIXTURES
from terminal import Terminal
from test_terminal import environment
from variants import variants

from aprtui.convert.builtin import BuiltinConverter
from aprtui.core.events import RunFinished, RunInterrupted
from aprtui.playbook import load_playbook
from aprtui.store.run_folder import RunFolder

MODEL = FIXTURES / "qwen2-tiny/hf"
PLAYBOOK = """name: lost
version: "1.0.0"
model:
  hf_repo: org/qwen2-tiny
  local_path: {model}
test_matrix:
  seed: 7
"""


@pytest.fixture(scope="module")
def expected(tmp_path_factory):
    """Verdicts of the run without any console."""
    folder = tmp_path_factory.mktemp("undisturbed")
    (folder / "lost.playbook.yaml").write_text(PLAYBOOK.format(model=MODEL))
    playbook = load_playbook(folder / "lost.playbook.yaml")
    run_in(folder / "run", playbook, MODEL, BuiltinConverter())
    return told(folder / "run")


def told(folder):
    """Verdicts, but for the gate that says how the model was named."""
    return {gate: verdict for gate, verdict in verdicts(folder).items() if gate != "G0-PULL-001"}


def start_in(terminal, tmp_path):
    """Start a run by the keys of the console; its folder and its engine."""
    terminal.read(15, until=b"lost")
    terminal.press(b"r")
    terminal.read(15, until=b"aprtui run")
    for keys in (b"\x1b[B", b"\x1b[C", b"\x1b[C"):
        terminal.press(keys)
        terminal.read(0.3)
    terminal.read(15, until=b"builtin")
    terminal.press(b"\r")
    terminal.read(20, until=b"running")
    folder = run_folder_below(tmp_path / "output")
    wait_until((folder / "pid.json").exists)
    engine = RunFolder(folder).engine()
    assert engine.pid != terminal.pid and os.getsid(engine.pid) == engine.pid
    return folder, engine


def started_and_lost(tmp_path, how):
    """Start a run in the console and lose the console while its engine works; the folder of the run."""
    with Terminal(["--playbooks", str(tmp_path)], environment=environment()) as terminal:
        folder, engine = start_in(terminal, tmp_path)
        if how is signal.SIGHUP:
            terminal.close()
            terminal.wait_without_reading(10)
        else:
            os.kill(terminal.pid, how)
            terminal.wait(10)
        assert engine.is_alive, "the engine had ended before the console did"
        wait_until(lambda: not engine.is_alive, 60)
    assert isinstance(events_of(folder)[-1], RunFinished)
    assert_whole(folder)
    return folder


def assert_whole(folder):
    """Every line of the journal can be read, and no process is left."""
    reader = RunFolder(folder).reader()
    list(reader.new_lines())
    assert reader.passed_over == 0
    assert processes_of(folder) == []


@variants("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGHUP])
def test_a_run_outlives_the_console_that_started_it(how, expected, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "lost.playbook.yaml").write_text(PLAYBOOK.format(model=MODEL))
    assert told(started_and_lost(tmp_path, how)) == expected
    with Terminal(["--playbooks", str(tmp_path)], environment=environment()) as terminal:
        terminal.read(15, until=b"While you were away")
        terminal.press(b"\r")
        terminal.read(15, until=b"finished")
        count = len(expected) + 1
        assert f"gates {count}/{count}".encode() in terminal.read(5, until=f"gates {count}/{count}".encode())


def test_x_in_the_list_of_runs_ends_the_engine_and_r_goes_on(expected, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "lost.playbook.yaml").write_text(PLAYBOOK.format(model=MODEL))
    with Terminal(["--playbooks", str(tmp_path)], environment=environment()) as terminal:
        folder, engine = start_in(terminal, tmp_path)
        terminal.press(b"3")
        terminal.read(5, until=b"gates")
        terminal.press(b"x")
        terminal.read(5, until=b"keep running")
        terminal.press(b"\x1b[C")
        terminal.read(0.3)
        assert engine.is_alive, "the engine had ended before it was stopped"
        terminal.press(b"\r")
        wait_until(lambda: not engine.is_alive, 20)
        terminal.read(10, until=b"interrupted")
        assert isinstance(events_of(folder)[-1], RunInterrupted)
        wait_until(lambda: processes_of(folder) == [])
        assert_whole(folder)
        terminal.press(b"r")
        wait_until(lambda: isinstance(events_of(folder)[-1], RunFinished), 60)
    assert told(folder) == expected
