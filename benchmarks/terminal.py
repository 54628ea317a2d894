"""Runs a program on a terminal of its own and counts what it writes: what a person sees over a slow line."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import struct
import sys
import termios
from collections.abc import Mapping, Sequence
from time import monotonic, sleep
from types import TracebackType

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))  # noqa: PTH100, PTH120 - before any import


class Terminal:
    """A program under a pseudo-terminal.

    Args:
        arguments: Of `python -m aprtui`.
        size: Columns and rows.
        environment: Added to this process's environment.
        truecolor: Whether the terminal says that it has more than 256 colours.
        module: Whether the arguments are aprtui's; else they are Python's.
    """

    def __init__(
        self,
        arguments: Sequence[str],
        size: tuple[int, int] = (80, 24),
        environment: Mapping[str, str] | None = None,
        *,
        truecolor: bool = True,
        module: bool = True,
    ) -> None:
        self.output = bytearray()
        self.code: int | None = None
        self.is_closed = False
        self.pid, self._master = pty.fork()
        if not self.pid:
            command = ["-m", "aprtui", *arguments] if module else list(arguments)
            self._become(command, environment or {}, truecolor=truecolor)
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", size[1], size[0], 0, 0))
        os.kill(self.pid, signal.SIGWINCH)

    @staticmethod
    def _become(arguments: Sequence[str], environment: Mapping[str, str], *, truecolor: bool) -> None:
        os.environ.update({"TERM": "xterm-256color", "PYTHONPATH": ROOT, **environment})
        for name in {"COLORTERM", "TMUX", "NO_COLOR", "SSH_CONNECTION"} - set(environment):
            os.environ.pop(name, None)
        if truecolor:
            os.environ["COLORTERM"] = "truecolor"
        os.execv(sys.executable, [sys.executable, *arguments])

    def __enter__(self) -> Terminal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.code is None:
            os.kill(self.pid, signal.SIGKILL)
            self.wait(5)
        self.close()

    def read(self, seconds: float, until: bytes = b"") -> bytes:
        """What the program writes in this time, or until it has written something."""
        start, end = len(self.output), monotonic() + seconds
        while (left := end - monotonic()) > 0:
            if until and until in self.output[start:]:
                break
            ready, _, _ = select.select([self._master], [], [], min(left, 0.05))
            if ready:
                try:
                    piece = os.read(self._master, 1 << 16)
                except OSError:
                    piece = b""
                if not piece:
                    self.is_closed = True
                    break
                self.output += piece
        return bytes(self.output[start:])

    @property
    def processor_seconds(self) -> float:
        """Time that the program has computed so far, in all its threads, to a hundredth of a second."""
        with open(f"/proc/{self.pid}/stat") as file:  # noqa: PTH123 - as above
            fields = file.read().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def press(self, keys: bytes) -> None:
        """Type."""
        os.write(self._master, keys)

    def wait(self, seconds: float) -> int | None:
        """The exit code, negative for a signal; None where the program has not ended in this time."""
        end = monotonic() + seconds
        while self.code is None and monotonic() < end:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.code = os.waitstatus_to_exitcode(status)
            else:
                self.read(0.05)
        return self.code

    def wait_without_reading(self, seconds: float) -> int | None:
        """As `wait`, after the line was cut."""
        end = monotonic() + seconds
        while self.code is None and monotonic() < end:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            self.code = os.waitstatus_to_exitcode(status) if pid else None
            sleep(0.02)
        return self.code

    def close(self) -> None:
        """Hang up."""
        if self._master >= 0:
            os.close(self._master)
            self._master = -1
