"""A worker: a process of its own that does one job after another, so that what goes wrong there stays there.

It begins a session, keeps a guard that ends the whole session when the engine is gone, and speaks with the engine
through one pipe. What it or its converter writes to standard output or standard error, the engine collects.
"""

from __future__ import annotations

import faulthandler
import os
import signal
import traceback
from dataclasses import dataclass
from multiprocessing.connection import Connection
from threading import Lock
from time import monotonic
from typing import TYPE_CHECKING, Any

from aprtui.core.errors import AprtuiError
from aprtui.core.events import Event
from aprtui.engine.worker_mark import own_mark

if TYPE_CHECKING:
    from aprtui.engine.jobs import Job

_SECONDS_BETWEEN_PROGRESS = 0.1


@dataclass(frozen=True, slots=True)
class Begun:
    """The worker has loaded what it needs and begins with its job."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a job is: bytes so far, bytes in all, what was read last."""

    done: int
    total: int
    name: str


@dataclass(frozen=True, slots=True)
class Done:
    """A job ended with a result."""

    result: Any


@dataclass(frozen=True, slots=True)
class Failed:
    """A job ended with an error that is nobody's verdict."""

    reason: str


@dataclass(frozen=True, slots=True)
class Interrupted:
    """Somebody interrupted the job."""


Message = Begun | Progress | Done | Failed | Interrupted | Event
"""What a worker says."""


class PipeReport:
    """Sends what a job tells to the engine.

    Args:
        connection: The worker's end of the pipe.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._lock = Lock()
        self._last_progress = 0.0

    def event(self, event: Event) -> None:
        """Something to write into the journal."""
        with self._lock:
            self._connection.send(event)

    def progress(self, done: int, total: int, name: str) -> None:
        """Told at most ten times a second, and at the end."""
        with self._lock:
            now = monotonic()
            if done == total or now - self._last_progress >= _SECONDS_BETWEEN_PROGRESS:
                self._last_progress = now
                self._connection.send(Progress(done, total, name))


def main(pipe: int, lifeline: int) -> None:
    """Work until the engine closes the pipe.

    Args:
        pipe: Descriptor of the worker's end of the pipe.
        lifeline: Descriptor that reaches its end when the engine is gone.
    """
    _start_guard(pipe, lifeline)
    faulthandler.enable()
    connection = Connection(pipe)
    report = PipeReport(connection)
    while True:
        try:
            job: Job = connection.recv()
        except EOFError:
            return
        connection.send(Begun())
        connection.send(_answer(job, report))


def _answer(job: Job, report: PipeReport) -> Message:
    try:
        return Done(job.run(report))
    except AprtuiError as error:
        return Failed(error.message)
    except MemoryError:
        return Failed("there is not enough memory for this")
    except KeyboardInterrupt:
        return Interrupted()
    except Exception as error:
        traceback.print_exc()
        return Failed(f"aprtui failed: {type(error).__name__}: {error}")


def _start_guard(pipe: int, lifeline: int) -> None:
    """Fork a process that waits for the end of the engine, whatever this one is busy with then."""
    if os.fork():
        os.close(lifeline)
        return
    for descriptor in (0, 1, 2, pipe):
        os.close(descriptor)
    while os.read(lifeline, 1):
        pass
    own_mark().end_processes()
    os.killpg(0, signal.SIGKILL)
