"""The console on a real terminal: what reaches it, and what a lost terminal or a kill leaves behind."""

import base64
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from run_folders import NAMES, alive, append, tensor, whole_run, write_run
from terminal import ROOT, Terminal
from test_hostile_names import CORPUS, hostile_run, hostile_runs

from aprtui.cli.console import has_terminal
from aprtui.core.events import ComparisonStarted, RunStarted, TensorFinished
from aprtui.store.run_view import RunView
from aprtui.tui import crash

ALLOWED = re.compile(
    rb"\x1b\[[0-9;:]*[mHJKABCDhlrtnq]|\x1b\[\?[0-9;]*[hl]|\x1b\[\?[0-9;]*\$p|\x1b\[[<>=?][0-9;]*[u cmqh]?"
    rb"|\x1b\]22;[a-z]+\x07|\x1b[78=>]|\x1b\(B|\x1b\[[0-9;]*[ ]q|\x1b\[c|\x1b\[>c"
)
"""Sequences that Textual itself writes: cursor, colours, modes, questions."""


def environment():
    return {name: os.environ[name] for name in ("XDG_STATE_HOME", "XDG_CONFIG_HOME", "HOME")}


def test_no_sequence_of_a_name_reaches_the_terminal(tmp_path):
    folder = hostile_run(tmp_path)
    with Terminal(["open", str(folder.path)], environment=environment()) as terminal:
        terminal.read(15, until=b"CRSH")
        for keys in (b"\x04", b"\x04", b"\r", b"]", b"]", b"\x1b", b"5", b"3", b"y"):
            terminal.press(keys)
            terminal.read(0.3)
        terminal.press(b"\x1b")
        terminal.read(0.3)
        written = bytes(terminal.output)
    assert_no_sequence_of_a_name(written)


def test_no_sequence_of_a_name_reaches_the_terminal_from_a_dialog(tmp_path):
    """The attach card, the list, an error, the choice of a run, export, launch, the question of stop, a comparison."""
    hostile_runs(tmp_path)
    escape = (b"\x1b", b"palette")
    steps = [(b"x", b"keep running"), (b"\x1b", b"dismiss"), escape, (b"3", b"RESULT"), (b"\x04", b""), (b"\x04", b"")]
    steps += [(b"g\r", b"cannot be shown"), escape, (b"j", b"")]
    for key, shown in ((b"c", b"another run"), (b"e", b"write"), (b"r", b"Converter"), (b"R", b"Converter")):
        steps += [(key, shown), (b"\x1b[6~", b""), escape]
    steps += [(b"x", b"keep running"), escape, (b"c", b"another run"), (b"\r", b"GATE OR TENSOR")]
    with Terminal(["--playbooks", str(tmp_path)], environment=environment()) as terminal:
        terminal.read(20, until=b"While you were away")
        for keys, expected in steps:
            terminal.press(keys)
            assert expected in terminal.read(8 if expected else 0.5, until=expected), (keys, expected)
            terminal.read(0.2)
        written = bytes(terminal.output)
    assert_no_sequence_of_a_name(written)


def assert_no_sequence_of_a_name(written):
    left = ALLOWED.sub(b"", written)
    assert b"\x1b" not in left, left[max(0, left.find(b"\x1b") - 40) : left.find(b"\x1b") + 60]
    assert not re.search(rb"[\x00-\x08\x0b\x0c\x0e-\x1a\x1c-\x1f\x7f]", left)
    for name in CORPUS:
        if "\x1b" in name or "\x9b" in name or "\x9d" in name:
            assert name.encode() not in written
    assert b"\xc2\x9b" not in written
    assert b"\xc2\x9d" not in written


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL, signal.SIGHUP])
def test_an_engine_outlives_its_console(how, tmp_path):
    """Whatever ends the console: the journal is whole, and the next console goes on reading it."""
    folder = write_run(tmp_path, [RunStarted("h", 1), ComparisonStarted("S~S>G", 0)], engine=alive())
    with Terminal(["open", str(folder.path)], environment=environment()) as terminal:
        terminal.read(15, until=b"running")
        append(folder, [TensorFinished("S~S>G", tensor(NAMES[0], violations=4))], 2)
        terminal.read(5, until=b"1 FAIL")
        if how is signal.SIGHUP:
            terminal.close()
            assert terminal.wait_without_reading(10) is not None
        else:
            os.kill(terminal.pid, how)
            code = terminal.wait(10)
            assert code == (143 if how is signal.SIGTERM else -9)
        if how is signal.SIGTERM:
            assert b"\x1b[?1049l" in terminal.output, "the terminal was not given back"
    append(folder, [TensorFinished("S~S>G", tensor(NAMES[1], violations=4))], 3)
    view = RunView(folder)
    view.read(1.0)
    assert (view.comparisons[0].tensors_done, view.passed_over) == (2, 0)
    with Terminal(["--playbooks", str(tmp_path)], environment=environment()) as terminal:
        terminal.read(15, until=b"While you were away")
        terminal.press(b"\r")
        assert b"2 FAIL" in terminal.read(10, until=b"2 FAIL")


def test_a_defect_restores_the_terminal_and_leaves_a_report_without_values(tmp_path):
    program = (
        "import sys\nsys.argv = ['aprtui']\n"
        "from aprtui.tui.screens.help import HelpDialog\n"
        "def broken(self):\n    token = 'hf_abcdefghijklmnop'\n    raise ZeroDivisionError(token)\n"
        "HelpDialog.compose = broken\n"
        "from aprtui.cli import main\nmain()\n"
    )
    with Terminal(["-c", program], environment=environment(), module=False) as terminal:
        terminal.read(15, until=b"help")
        terminal.press(b"?")
        assert terminal.wait(15) == 70
        terminal.read(0.5)
        text = terminal.output[terminal.output.rindex(b"\x1b[?1049l") :].decode()
    assert "aprtui: the console failed (ZeroDivisionError)" in text
    assert "hf_abcdefgh" not in text
    (report,) = (Path(environment()["XDG_STATE_HOME"]) / "aprtui").glob("crash-*.txt")
    assert "ZeroDivisionError: [redacted]" in report.read_text()
    assert "broken" in report.read_text()


def test_secrets_are_taken_out_of_reports(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    text = f"Authorization: Bearer abc.def {tmp_path}/x api_key=123 ghp_0123456789abcdef token: zzz"
    assert crash.redacted(text) == "Authorization: [redacted] ~/x [redacted] [redacted] [redacted]"


def test_without_a_terminal_the_console_says_what_to_do():
    done = subprocess.run(
        [sys.executable, "-m", "aprtui"],
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
        cwd=ROOT,
    )
    assert done.returncode == 2
    assert "the console needs a terminal" in done.stderr


@pytest.mark.parametrize("redirected", ["", "stdin", "stdout", "stderr"])
def test_each_stream_has_to_be_a_terminal(monkeypatch, redirected):
    for name in ("stdin", "stdout", "stderr"):
        monkeypatch.setattr(f"sys.{name}", SimpleNamespace(isatty=lambda name=name: name != redirected))
    found = has_terminal()
    monkeypatch.undo()
    assert found is (redirected == "")


def test_256_colours_where_the_terminal_does_not_say_that_it_has_more(tmp_path):
    folder = write_run(tmp_path, whole_run())
    with Terminal(["open", str(folder.path)], environment=environment(), truecolor=False) as terminal:
        terminal.read(15, until=b"FAIL")
        terminal.read(1)
        assert b"38;5;" in terminal.output
        assert b"38;2;" not in terminal.output


@pytest.mark.parametrize("how", ["default", "option", "environment", "settings"])
def test_the_mouse_can_be_left_to_the_terminal(how, tmp_path):
    folder = write_run(tmp_path, whole_run())
    added, before = {}, []
    if how == "option":
        before = ["--no-mouse"]
    elif how == "environment":
        added = {"APRTUI_MOUSE": "0"}
    elif how == "settings":
        settings = Path(os.environ["XDG_CONFIG_HOME"]) / "aprtui" / "settings.toml"
        settings.parent.mkdir(parents=True)
        settings.write_text("[console]\nmouse = false\n")
    with Terminal([*before, "open", str(folder.path)], environment=environment() | added) as terminal:
        terminal.read(15, until=b"FAIL")
        terminal.read(0.5)
        assert (b"\x1b[?1003h" in terminal.output) is (how == "default")


def copy_the_name(terminal):
    """By its keys, of the first failure."""
    terminal.read(15, until=b"FAIL")
    terminal.press(b"n")
    terminal.read(0.3)
    terminal.press(b"y")
    terminal.read(5, until=b"What to copy")
    terminal.press(b"\r")


@pytest.mark.parametrize("inside_tmux", [False, True])
def test_a_copy_goes_to_the_terminal_or_through_tmux(inside_tmux, tmp_path):
    folder = write_run(tmp_path, whole_run())
    added = {}
    if inside_tmux:
        program = tmp_path / "bin" / "tmux"
        program.parent.mkdir()
        program.write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/asked\ncat > {tmp_path}/buffer\n')
        program.chmod(0o755)
        added = {"TMUX": "/tmp/x,1,0", "PATH": f"{program.parent}:{os.environ['PATH']}"}
    with Terminal(["open", str(folder.path)], environment=environment() | added) as terminal:
        copy_the_name(terminal)
        terminal.read(5, until=b"through tmux" if inside_tmux else b"clipboard")
        sequence = b"\x1b]52;c;" + base64.b64encode(NAMES[2].encode())
        assert (sequence in terminal.output) is not inside_tmux
    if inside_tmux:
        assert (tmp_path / "asked").read_text() == "load-buffer -w -\n"
        assert (tmp_path / "buffer").read_text() == NAMES[2]


@pytest.mark.parametrize(
    ("way", "readonly", "said"),
    [
        ("osc52", False, b"set-clipboard"),
        ("osc52", True, b"set-clipboard"),
        ("file", False, b"name is in"),
        ("file", True, b"read-only"),
    ],
)
def test_a_copy_goes_the_way_that_was_asked_for(way, readonly, said, tmp_path):
    """Also inside tmux; a console that is read-only leaves no file."""
    folder = write_run(tmp_path, whole_run())
    added = {"TMUX": "/tmp/x,1,0", "APRTUI_CLIPBOARD": way}
    before = ["--readonly"] if readonly else []
    with Terminal([*before, "open", str(folder.path)], environment=environment() | added) as terminal:
        copy_the_name(terminal)
        terminal.read(5, until=said)
        assert said in terminal.output
        assert (b"\x1b]52;c;" + base64.b64encode(NAMES[2].encode()) in terminal.output) is (way == "osc52")
    assert (Path(environment()["XDG_STATE_HOME"]) / "aprtui/clipboard.txt").exists() is not readonly


def test_no_color_and_sixteen_colours(tmp_path):
    folder = write_run(tmp_path, whole_run())
    with Terminal(
        ["open", str(folder.path)], environment=environment() | {"TERM": "screen"}, truecolor=False
    ) as terminal:
        terminal.read(15, until=b"FAIL")
        terminal.read(1)
        assert b"38;2;" not in terminal.output
        assert b"38;5;" not in terminal.output
    with Terminal(["open", str(folder.path)], environment=environment() | {"NO_COLOR": "1"}) as terminal:
        terminal.read(15, until=b"FAIL")
        terminal.read(1)
        colours = set(re.findall(rb"[34]8;2;(\d+);(\d+);(\d+)", bytes(terminal.output)))
        assert colours
        assert all(red == green == blue for red, green, blue in colours)


def test_live_runs_are_remembered_for_the_next_start(tmp_path):
    write_run(tmp_path, [RunStarted("h", 1)], engine=alive())
    with Terminal(["--playbooks", str(tmp_path)], environment=environment()) as terminal:
        terminal.read(15, until=b"While you were away")
        seen = Path(environment()["XDG_STATE_HOME"]) / "aprtui/console/live-runs.json"
        end = time.monotonic() + 5
        while not seen.exists() and time.monotonic() < end:
            terminal.read(0.1)
        assert json.loads(seen.read_text())["live"] == ["20260102-030405-a1b2"]
