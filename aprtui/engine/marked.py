"""Finds every process that a worker started, however it was started and whoever its parent is by now.

Converters are programs of other people: they start children, sessions of their own and daemons. All of them inherit
a mark in their environment, by which they are found and ended after the worker.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

MARK = "APRTUI_WORKER"
_ROUNDS = 20


def mark_of(run_folder: Path, worker: int | None = None) -> str:
    """The mark of a worker, or the beginning that all marks of a run share."""
    run = run_folder.resolve()
    return f"{run}/" if worker is None else f"{run}/{worker}/"


def marked_processes(mark: str) -> Iterator[int]:
    """Processes of this user whose mark begins so; none where there is no /proc."""
    wanted = f"\0{MARK}={mark}".encode()
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if wanted in b"\0" + (folder / "environ").read_bytes():
                yield int(folder.name)


def end_marked_processes(mark: str) -> None:
    """End them, and those that they start meanwhile; this process is spared."""
    for _ in range(_ROUNDS):
        found = [pid for pid in marked_processes(mark) if pid != os.getpid()]
        if not found:
            return
        for pid in found:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
