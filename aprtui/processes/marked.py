"""Finds every process that a program started, however it was started and whoever its parent is by now.

Converters are programs of other people: they start children, sessions of their own and daemons. All of them inherit
a mark in their environment, by which they are found and ended.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from time import sleep

_PROCESSES = Path("/proc")
_ROUNDS = 20
_SECONDS_BETWEEN_ROUNDS = 0.01


@dataclass(frozen=True, slots=True)
class Mark:
    """An environment variable that a process and all below it inherit.

    Attributes:
        variable: Its name.
        value: A path that ends with "/"; the marks of what runs below it begin with it.
    """

    variable: str
    value: str

    @classmethod
    def of(cls, variable: str, directory: Path, number: int | None = None) -> Mark:
        """The mark of what runs for a directory, or for one numbered part of that."""
        return cls(variable, f"{directory}/" if number is None else f"{directory}/{number}/")

    def processes(self) -> Iterator[int]:
        """Processes of this user that carry it, or one that begins with it; none where there is no /proc."""
        wanted = f"\0{self.variable}={self.value}".encode()
        for folder in _PROCESSES.glob("[0-9]*"):
            with suppress(OSError):
                if wanted in b"\0" + (folder / "environ").read_bytes():
                    yield int(folder.name)

    def end_processes(self) -> None:
        """Kill them, and those that they start meanwhile, whatever session they moved to; this process is spared."""
        for _ in range(_ROUNDS):
            found = [pid for pid in self.processes() if pid != os.getpid()]
            if not found:
                return
            for pid in found:
                with suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, signal.SIGKILL)
            sleep(_SECONDS_BETWEEN_ROUNDS)
