"""The mark by which a run's workers, and every program that they started, are found and ended."""

from __future__ import annotations

import os
from pathlib import Path

from aprtui.processes.marked import Mark

_VARIABLE = "APRTUI_WORKER"


def worker_mark(run_folder: Path, worker: int | None = None) -> Mark:
    """The mark of a worker, or the one that those of all workers of a run begin with."""
    return Mark.of(_VARIABLE, run_folder.resolve(), worker)


def own_mark() -> Mark:
    """The mark that this worker was started with."""
    return Mark(_VARIABLE, os.environ[_VARIABLE])
