"""Runs one external command so that nothing of it outlives the call: time limit, bounded output, no process left.

A converter is a stranger's program. It may hang, ignore SIGTERM, or leave children behind that still write.
"""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

from aprtui.core.errors import AprtuiError
from aprtui.processes.capture import CapturedStream, StreamCapture
from aprtui.processes.marked import Mark

_ENDING = tuple(signal.Signals[name] for name in ("SIGTERM", "SIGHUP") if name in signal.Signals.__members__)
_GRACE_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class CommandResult:
    """What became of a command.

    Attributes:
        arguments: Program and arguments.
        exit_code: As the system gave it; the negative number of the signal that ended it.
        seconds: Wall time.
        timed_out: It was ended at its time limit.
        stdout: Standard output.
        stderr: Standard error.
    """

    arguments: tuple[str, ...]
    exit_code: int
    seconds: float
    timed_out: bool
    stdout: CapturedStream
    stderr: CapturedStream

    @property
    def ending(self) -> str:
        """How it ended, in words: exit code or signal, with the line that tells why."""
        if self.exit_code < 0:
            how = f"was ended by {_signal_name(-self.exit_code)}"
        else:
            how = f"ended with exit code {self.exit_code}"
        line = self.stderr.error_line or self.stdout.error_line
        return f"{how}: {line}" if line else how


@dataclass(frozen=True, slots=True)
class Place:
    """Where a command runs.

    Attributes:
        directory: Holds all the others, and marks the command's processes.
        run: Working directory.
        temporary: TMPDIR.
    """

    directory: Path
    run: Path
    temporary: Path


def run_command(arguments: Sequence[str], place: Place, *, time_limit: float, log: str = "") -> CommandResult:
    """Run a command to its end, or end it.

    No shell is involved and standard input is closed. The command runs in a session of its own. When it has ended,
    by itself, at its time limit, by an exception in this thread or by SIGTERM of this process, whatever is left of its
    process group is killed, and on Linux every process that inherited its mark too.

    Args:
        arguments: Program and arguments.
        place: Existing directories.
        time_limit: Seconds until SIGTERM; SIGKILL follows two seconds later.
        log: Added to the names of the files that the output is kept in.

    Raises:
        AprtuiError: The program cannot be started, or the system has no process groups.
    """
    begun = monotonic()
    timed_out = False
    try:
        with _termination_as_exception():
            process = _start(arguments, place)
            assert process.stdout is not None
            assert process.stderr is not None
            captures = (StreamCapture(process.stdout), StreamCapture(process.stderr))
            try:
                process.wait(time_limit)
            except subprocess.TimeoutExpired:
                timed_out = True
            finally:
                _end(process)
    finally:
        mark_of(place.directory).end_processes()
    seconds = monotonic() - begun
    stdout, stderr = (
        capture.finish(place.directory / f"{name}{log}.txt")
        for capture, name in zip(captures, ("stdout", "stderr"), strict=True)
    )
    return CommandResult(tuple(arguments), process.returncode, seconds, timed_out, stdout, stderr)


def mark_of(directory: Path) -> Mark:
    """The mark of every process of a command that runs for a directory."""
    return Mark.of("APRTUI_COMMAND", directory)


@contextmanager
def _termination_as_exception() -> Iterator[None]:
    """Let SIGTERM and SIGHUP of this process end the command first, where nobody else handles them.

    The command's own session gets neither of them, so without this it would run on alone.
    """

    def leave(number: int, _frame: object) -> None:
        raise SystemExit(128 + number)

    on_main_thread = threading.current_thread() is threading.main_thread()
    unhandled = [number for number in _ENDING if on_main_thread and signal.getsignal(number) is signal.SIG_DFL]
    for number in unhandled:
        signal.signal(number, leave)
    try:
        yield
    finally:
        for number in unhandled:
            signal.signal(number, signal.SIG_DFL)


def _start(arguments: Sequence[str], place: Place) -> subprocess.Popen[bytes]:
    if os.name != "posix":
        raise AprtuiError("converters other than builtin need process groups, which this system does not have")
    temporary = str(place.temporary)
    mark = mark_of(place.directory)
    own = {"TMPDIR": temporary, "TMP": temporary, "TEMP": temporary, mark.variable: mark.value}
    try:
        return subprocess.Popen(  # noqa: S603  (the user's own converter; no shell)
            list(arguments),
            cwd=place.run,
            env=os.environ | own,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise AprtuiError(f"this program cannot be started: {reason}", file=arguments[0]) from None


def _end(process: subprocess.Popen[bytes]) -> None:
    try:
        if process.poll() is None:
            _signal_group(process, signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                process.wait(_GRACE_SECONDS)
    finally:
        _signal_group(process, signal.SIGKILL)
        process.wait()


def _signal_group(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    # The leader of a session is the leader of a group of the same number, which lives as long as any member.
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
