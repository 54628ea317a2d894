"""Whether there is room for a run's products, before a full disk looks like a converter's fault."""

from __future__ import annotations

import shutil
from pathlib import Path

from aprtui.core.events import WorkspaceChecked
from aprtui.store.plan import RunPlan

_GIB = 2**30


def check_workspace(plan: RunPlan) -> WorkspaceChecked:
    """Make the directory for products and hold the free space of its disk against the most that lies there at once."""
    path, needed = Path(plan.scratch), plan.peak_bytes
    if not plan.conversions:
        return WorkspaceChecked(str(path), 0, 0)
    try:
        path.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(path).free
    except OSError as error:
        problem = f"the directory for products cannot be used: {error.strerror} ({path})"
        return WorkspaceChecked(str(path), 0, needed, problem)
    problem = ""
    if free < needed:
        problem = (
            f"not enough disk space for products: about {needed / _GIB:.2f} GiB needed, {free / _GIB:.2f} GiB free "
            f"in {path}; name another place with --scratch"
        )
    return WorkspaceChecked(str(path), free, needed, problem)
