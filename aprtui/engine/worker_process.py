"""The engine's side of a worker: starts it, tells it what to do, notices how it ended, ends it with all it started."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from time import monotonic

from aprtui.engine.jobs import Job
from aprtui.engine.message_reader import MessageReader
from aprtui.engine.worker_mark import worker_mark

SECONDS_TO_START = 60.0
"""Time that a worker may take before it begins with its first job; loading compiled kernels takes a second or two."""

LAST_LINES = 20
_LONGEST_LINE = 400
_SECONDS_TO_DIE = 5.0
_PIECE = 1 << 16
_PIECES_AT_ONCE = 16

_SIGNALS = {
    signal.SIGBUS: "a file shrank while it was being read (SIGBUS)",
    signal.SIGKILL: "it was killed (SIGKILL), by somebody or for want of memory",
}


class StandardError:
    """What a worker writes: passed on, and its last lines kept.

    Args:
        descriptor: End of the pipe to read.
        write: Takes the bytes.
    """

    def __init__(self, descriptor: int, write: Callable[[bytes], None]) -> None:
        self.descriptor = descriptor
        self.at_end = False
        self._write = write
        self._tail = b""
        os.set_blocking(descriptor, False)

    def read(self) -> None:
        """Take what is there, but not for ever: other workers wait."""
        for _ in range(_PIECES_AT_ONCE):
            try:
                piece = os.read(self.descriptor, _PIECE)
            except BlockingIOError:
                return
            if not piece:
                self.at_end = True
                return
            self._write(piece)
            self._tail = (self._tail + piece)[-LAST_LINES * _LONGEST_LINE :]

    def forget(self) -> None:
        """What was written before belongs to another job."""
        self._tail = b""

    def last_lines(self) -> tuple[str, ...]:
        """The last lines as text."""
        lines = deque(self._tail.decode(errors="replace").splitlines(), LAST_LINES)
        return tuple(line[-_LONGEST_LINE:] for line in lines)


class WorkerProcess:
    """One worker.

    Args:
        run_folder: The run's folder.
        number: Number of the worker in the run.
        write_stderr: Takes what it writes to standard output and standard error.
    """

    def __init__(self, run_folder: Path, number: int, write_stderr: Callable[[bytes], None]) -> None:
        self.number = number
        self.step: str | None = None
        self.begun = 0.0
        self._limit: float | None = None
        self._deadline: float | None = None
        self._mark = worker_mark(run_folder, number)
        self.connection, theirs = Pipe()
        self.reader = MessageReader(self.connection)
        lifeline, self._lifeline = os.pipe()
        errors, their_errors = os.pipe()
        try:
            self._process = self._start(theirs, lifeline, their_errors)
        finally:
            theirs.close()
            os.close(lifeline)
            os.close(their_errors)
        self.stderr = StandardError(errors, write_stderr)

    def _start(self, pipe: Connection, lifeline: int, errors: int) -> subprocess.Popen[bytes]:
        # What this process imports is what the worker imports; PYTHONPATH would reach converters, too.
        code = (
            f"import sys; sys.path[:] = {sys.path!r}; from aprtui.engine.worker import main; "
            f"main({pipe.fileno()}, {lifeline})"
        )
        return subprocess.Popen(  # noqa: S603
            [sys.executable, "-c", code],
            stdin=subprocess.DEVNULL,
            stdout=errors,
            stderr=errors,
            pass_fds=(pipe.fileno(), lifeline),
            start_new_session=True,
            env={**os.environ, self._mark.variable: self._mark.value},
        )

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def seconds(self) -> float:
        """How long it has been busy with its job."""
        return monotonic() - self.begun

    @property
    def seconds_left(self) -> float | None:
        """Until its time is up; None where it has no limit."""
        return None if self._deadline is None else self._deadline - monotonic()

    def tell(self, step: str, job: Job, limit: float | None) -> None:
        """Give it a job.

        Args:
            step: Id of the gate or conversion.
            job: What to do.
            limit: Seconds from when it begins; None for no limit.
        """
        self.step, self._limit = step, limit
        self.stderr.forget()
        self.begun = monotonic()
        self._deadline = None if limit is None else self.begun + limit + SECONDS_TO_START
        with suppress(BrokenPipeError):  # It is dead, which `wait` will say.
            self.connection.send(job)

    def has_begun(self) -> None:
        """Its time counts from now."""
        self.begun = monotonic()
        self._deadline = None if self._limit is None else self.begun + self._limit

    def end(self, *, is_dying: bool = False) -> int:
        """End it with everything that it started.

        Args:
            is_dying: It closed its pipe and may need a moment to end by itself.

        Returns:
            Its exit code, negative for the signal that ended it.
        """
        code = self._exit_code(_SECONDS_TO_DIE if is_dying else 0.0)
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        self._mark.end_processes()
        self._process.wait()
        self.stderr.read()
        self.reader.close()
        self.connection.close()
        for descriptor in (self._lifeline, self.stderr.descriptor):
            os.close(descriptor)
        return self._process.returncode if code is None else code

    def _exit_code(self, patience: float) -> int | None:
        try:
            return self._process.wait(patience)
        except subprocess.TimeoutExpired:
            return None


def reason_of_exit(code: int) -> str:
    """How a process ended, as a sentence."""
    if code >= 0:
        return f"it ended with exit code {code}"
    try:
        ended_by = signal.Signals(-code)
    except ValueError:
        return f"it was ended by signal {-code}"
    return _SIGNALS.get(ended_by, f"it was ended by {ended_by.name}")
