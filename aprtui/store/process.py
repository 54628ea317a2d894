"""Which process an engine is, in a way that a reused process id or a restarted machine does not change."""

from __future__ import annotations

import os
import socket
import subprocess
from dataclasses import dataclass
from pathlib import Path

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True, slots=True)
class ProcessIdentity:
    """A process on a machine.

    Attributes:
        host: Name of the machine.
        boot_id: Which start of that machine; empty where the system has none.
        pid: Process id.
        started: When the process started, as the system says it: another process with this id has another.
    """

    host: str
    boot_id: str
    pid: int
    started: str

    @property
    def is_here(self) -> bool:
        """Whether it is a process of this machine."""
        return self.host == socket.gethostname()

    @property
    def is_alive(self) -> bool:
        """Whether it runs now; False for what runs on another machine, of which nothing is known."""
        return self.is_here and self.boot_id == _boot_id() and self.started == (_start_time(self.pid) or "gone")


def this_process() -> ProcessIdentity:
    """The identity of this process."""
    pid = os.getpid()
    return ProcessIdentity(socket.gethostname(), _boot_id(), pid, _start_time(pid) or "")


def _boot_id() -> str:
    try:
        return _BOOT_ID.read_text(encoding="ascii").strip()
    except OSError:
        return ""


def _start_time(pid: int) -> str | None:
    """Start time of a process, in clock ticks after boot (proc(5), field 22), else as ps prints it; None if it is gone.

    A process that has ended but that nobody has waited for is gone.
    """
    if _BOOT_ID.exists():
        try:
            after_name = (Path("/proc") / str(pid) / "stat").read_bytes().rpartition(b")")[2].split()
        except OSError:
            return None
        return None if after_name[0] in (b"Z", b"X") else after_name[19].decode()
    command = ["ps", "-o", "lstart=", "-p", str(pid)]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip() or None  # noqa: S603
