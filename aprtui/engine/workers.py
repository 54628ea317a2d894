"""The workers of a run: as many as the processors carry, each replaced when it dies or its time is up."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from multiprocessing.connection import wait
from pathlib import Path

from aprtui.engine.interrupts import Interrupts
from aprtui.engine.jobs import Job
from aprtui.engine.worker import Message
from aprtui.engine.worker_process import WorkerProcess, reason_of_exit

_MOST_WORKERS = 4


@dataclass(frozen=True, slots=True)
class Share:
    """How the processors are divided.

    Attributes:
        workers: Gates and conversions at the same time.
        threads: Threads of each comparison.
    """

    workers: int
    threads: int


def share(jobs: int, *, parallel: bool = True) -> Share:
    """A worker for every two threads, at most four: a conversion keeps one thread busy, a comparison all it has.

    Args:
        jobs: Threads in all.
        parallel: Whether two conversions may run at the same time; otherwise one worker has all threads.
    """
    workers = max(1, min(jobs // 2, _MOST_WORKERS)) if parallel else 1
    return Share(workers, max(1, jobs // workers))


@dataclass(frozen=True, slots=True)
class Death:
    """A worker ended with its job undone.

    Attributes:
        worker: Its number.
        pid: Its process.
        step: What it was doing.
        seconds: How long.
        reason: How it ended.
        timed_out: Whether its time was up.
        last_lines: What it wrote last.
    """

    worker: int
    pid: int
    step: str
    seconds: float
    reason: str
    timed_out: bool
    last_lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Said:
    """A worker said something.

    Attributes:
        worker: The worker.
        step: What it was doing.
        message: What it said.
    """

    worker: WorkerProcess
    step: str
    message: Message


class Workers:
    """The workers of one run.

    Args:
        run_folder: The run's folder.
        most: How many at the same time.
        limit: Seconds for each job; None for no limit.
        write_stderr: Takes what they write to standard output and standard error.
    """

    def __init__(self, run_folder: Path, most: int, limit: float | None, write_stderr: Callable[[bytes], None]) -> None:
        self._run_folder = run_folder
        self._most = most
        self._limit = limit
        self._write_stderr = write_stderr
        self._living: list[WorkerProcess] = []
        self._started = 0

    @property
    def busy(self) -> list[WorkerProcess]:
        """Those that have something to do."""
        return [worker for worker in self._living if worker.step is not None]

    @property
    def has_room(self) -> bool:
        """Whether another job can begin."""
        return len(self.busy) < self._most

    def begin(self, step: str, job: Job) -> int:
        """Give a job to a worker, a new one where none is idle; its number."""
        worker = next((one for one in self._living if one.step is None), None)
        if worker is None:
            worker = WorkerProcess(self._run_folder, self._started, self._write_stderr)
            self._started += 1
            self._living.append(worker)
        worker.tell(step, job, self._limit)
        return worker.number

    def events(self, timeout: float, interrupts: Interrupts) -> Iterator[Said | Death]:
        """Wait, and tell what workers said and which of them ended.

        Args:
            timeout: Longest time to wait, in seconds.
            interrupts: Ends the waiting.
        """
        left = [worker.seconds_left for worker in self.busy]
        timeout = max(0.0, min([timeout, *(seconds for seconds in left if seconds is not None)]))
        pipes = {worker.connection: worker for worker in self._living}
        errors = {one.stderr.descriptor: one.stderr for one in self._living if not one.stderr.at_end}
        ready = wait([interrupts.fileno(), *pipes, *errors], timeout)
        for descriptor, error in errors.items():
            if descriptor in ready:
                error.read()
        for pipe, worker in pipes.items():
            if pipe in ready:
                yield from self._heard(worker)
        for worker in self.busy:
            if worker.seconds_left is not None and worker.seconds_left <= 0:
                yield self._bury(worker, timed_out=True)

    def end(self) -> None:
        """End all of them with everything that they started."""
        for worker in self._living:
            worker.end()
        self._living.clear()

    def _heard(self, worker: WorkerProcess) -> Iterator[Said | Death]:
        for message in worker.reader.messages():
            # A message may end the job that the worker had: each one is about the job of its moment.
            if worker.step is not None:
                yield Said(worker, worker.step, message)
        if not worker.reader.at_end:
            return
        if worker.step is not None:
            yield self._bury(worker, timed_out=False)
        else:
            self._living.remove(worker)
            worker.end(is_dying=True)

    def _bury(self, worker: WorkerProcess, *, timed_out: bool) -> Death:
        self._living.remove(worker)
        seconds = worker.seconds
        code = worker.end(is_dying=not timed_out)
        assert worker.step is not None
        reason = f"it took longer than {self._limit:g} s" if timed_out else reason_of_exit(code)
        return Death(worker.number, worker.pid, worker.step, seconds, reason, timed_out, worker.stderr.last_lines())
