"""Ctrl-C, SIGTERM and a lost terminal, noticed between two lines of the journal and never within one."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))


class Interrupts:
    """Signals that arrived; wakes up whoever waits for its descriptor.

    Attributes:
        received: Name of the first signal; None while there is none.
    """

    def __init__(self) -> None:
        self.received: str | None = None
        self._read, self._write = os.pipe()
        os.set_blocking(self._write, False)

    def fileno(self) -> int:
        """Can be read once a signal has arrived."""
        return self._read

    def take(self, number: int, _frame: object = None) -> None:
        """The signal handler."""
        if self.received is None:
            self.received = signal.Signals(number).name
            os.write(self._write, b".")

    def close(self) -> None:
        """Give the descriptors back."""
        os.close(self._read)
        os.close(self._write)


@contextmanager
def caught_interrupts() -> Iterator[Interrupts]:
    """Signals are collected for the length of a `with` block; outside the main thread there are none to collect."""
    interrupts = Interrupts()
    is_main = threading.current_thread() is threading.main_thread()
    before = {number: signal.signal(number, interrupts.take) for number in _SIGNALS} if is_main else {}
    try:
        yield interrupts
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        interrupts.close()
