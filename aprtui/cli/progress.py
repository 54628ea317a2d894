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
        notice = _notice_unless_started(lambda: bar.update(task, description=f"{title}: compiling kernels, only this once"))

        def report(done: int, total: int, _name: str) -> None:
            notice.cancel()
            bar.update(task, completed=done, total=total, description=title)

        try:
            yield report
        finally:
            notice.cancel()


@contextmanager
def _lines(title: str) -> Iterator[Progress]:
    """A line every few seconds; nothing for work that ends sooner."""
    started = last = monotonic()
    notice = _notice_unless_started(lambda: print(f"{title}: {_COMPILING}", file=sys.stderr, flush=True))

    def report(done: int, total: int, _name: str) -> None:
        nonlocal last
        notice.cancel()
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
        notice.cancel()


def _notice_unless_started(show: Callable[[], None]) -> Timer:
    """Shows a notice where the first tensor takes long."""
    timer = Timer(_SECONDS_UNTIL_NOTICE, show)
    timer.daemon = True
    timer.start()
    return timer
