"""Progress on standard error: a bar with bytes, rate and ETA on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic

from aprtui.compare.comparison import Progress

_SECONDS_BETWEEN_LINES = 5.0


@contextmanager
def progress_reporter(title: str) -> Iterator[Progress]:
    """A progress callback for the length of a `with` block.

    Args:
        title: What is going on, in a word or two.
    """
    if sys.stderr.isatty():
        with _bar(title) as report:
            yield report
    else:
        yield _line_reporter(title)


@contextmanager
def _bar(title: str) -> Iterator[Progress]:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        Progress as RichProgress,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(binary_units=True),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with RichProgress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(title, total=None)
        yield lambda done, total, _name: bar.update(task, completed=done, total=total)


def _line_reporter(title: str) -> Progress:
    """A line every few seconds; nothing for work that ends sooner."""
    started = last = monotonic()

    def report(done: int, total: int, name: str) -> None:
        nonlocal last
        now = monotonic()
        if now - last < _SECONDS_BETWEEN_LINES:
            return
        last = now
        rate = done / (now - started)
        left = (total - done) / rate if rate else 0.0
        percent = 100 * done // total if total else 100
        print(
            f"{title}: {percent} %, {done / 1e9:.2f} of {total / 1e9:.2f} GB, {rate / 1e9:.2f} GB/s, {left:.0f} s left",
            file=sys.stderr,
            flush=True,
        )

    return report
