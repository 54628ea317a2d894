"""Progress on standard error: a bar with bytes, rate and ETA on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Timer
from time import monotonic

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeRemainingColumn, TransferSpeedColumn
from rich.progress import Progress as RichProgress

from aprtui.compare.weights import Progress

_SECONDS_BETWEEN_LINES = 5.0
_SECONDS_UNTIL_NOTICE = 2.0
_COMPILING = "the first comparison after installing compiles its kernels, which takes about 20 s"


@contextmanager
def progress_reporter(title: str) -> Iterator[Progress]:
    """A progress callback for the length of a `with` block.

    Args:
        title: What is going on, in a word or two.
    """
    with _bar(title) if sys.stderr.isatty() else _lines(title) as report:
        yield report


@contextmanager
def _bar(title: str) -> Iterator[Progress]:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(binary_units=True),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with RichProgress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(title, total=None)
        start = _SlowStart(lambda: bar.update(task, description=f"{title}: compiling kernels, only this once"))

        def report(done: int, total: int, _name: str) -> None:
            start.heard(done)
            bar.update(task, completed=done, total=total, description=title)

        try:
            yield report
        finally:
            start.stop()


@contextmanager
def _lines(title: str) -> Iterator[Progress]:
    """A line every few seconds; nothing for work that ends sooner."""
    started = last = monotonic()
    start = _SlowStart(lambda: print(f"{title}: {_COMPILING}", file=sys.stderr, flush=True))

    def report(done: int, total: int, _name: str) -> None:
        nonlocal last
        start.heard(done)
        now = monotonic()
        if now - last < _SECONDS_BETWEEN_LINES:
            return
        last = now
        rate = done / (now - started)
        left = (total - done) / rate if rate else 0.0
        percent = 100 * done // total if total else 100
        sizes = f"{done / 1e9:.2f} of {total / 1e9:.2f} GB"
        line = f"{title}: {percent} %, {sizes}, {rate / 1e9:.2f} GB/s, {left:.0f} s left"
        print(line, file=sys.stderr, flush=True)

    try:
        yield report
    finally:
        start.stop()


class _SlowStart:
    """Shows a notice where the first part of a comparison takes long.

    Args:
        show: Called from a thread of its own.
    """

    def __init__(self, show: Callable[[], None]) -> None:
        self._show = show
        self._timer: Timer | None = None

    def heard(self, done: int) -> None:
        """A report came; the first of a comparison says that nothing is done yet."""
        self.stop()
        if done == 0:
            self._timer = Timer(_SECONDS_UNTIL_NOTICE, self._show)
            self._timer.daemon = True
            self._timer.start()

    def stop(self) -> None:
        """No notice any more."""
        if self._timer is not None:
            self._timer.cancel()
