"""The user's register of runs, which lets them be found from any directory.

One small file per run, so that engines that start at the same time do not disturb each other. It is a convenience:
a run is found by its path without it.
"""

from __future__ import annotations

import json
from pathlib import Path

from aprtui.core.errors import AprtuiError, UsageError
from aprtui.paths import state_folder
from aprtui.store.atomic import write_json
from aprtui.store.bundle import is_bundle, open_bundle
from aprtui.store.run_folder import RunFolder

_NEWEST = 50


def register_folder() -> Path:
    """One file for each run."""
    return state_folder() / "runs"


def register(folder: RunFolder) -> None:
    """Enter a run; not one that was unpacked from a bundle, whose id may be that of a run of this user."""
    if folder.is_bundle:
        return
    run = folder.path.absolute()
    run.mkdir(parents=True, exist_ok=True)  # An entry without its folder is removed by whoever looks.
    write_json(register_folder() / f"{run.name}.json", {"folder": str(run)})


def registered_runs() -> list[RunFolder]:
    """Runs whose folder is still there, newest first; entries of those that are gone are removed."""
    runs = []
    for entry in sorted(register_folder().glob("*.json"), reverse=True):
        try:
            folder = RunFolder(Path(json.loads(entry.read_bytes())["folder"]))
        except (OSError, ValueError, KeyError, TypeError):
            continue
        if folder.exists:
            runs.append(folder)
        elif folder.path.parent.exists() and not folder.path.exists():
            # A folder whose whole place is missing may lie on a disk that is not mounted; one without a plan begins.
            entry.unlink(missing_ok=True)
    return runs


def run_of_process(pid: int) -> RunFolder | None:
    """The run that a process of this machine works on, or worked on last."""
    for folder in registered_runs()[:_NEWEST]:
        try:
            engine = folder.engine()
        except AprtuiError:
            continue
        if engine.pid == pid and engine.is_here:
            return folder
    return None


def find_run(name: str) -> RunFolder:
    """A run by the path of its folder or of a bundle, or by its id or the first characters of it.

    A bundle is unpacked into a temporary folder.

    Raises:
        UsageError: There is none, there are several, or the bundle is damaged.
        AprtuiError: The bundle cannot be read.
    """
    by_path = RunFolder(Path(name))
    if by_path.exists:
        return RunFolder(by_path.path.resolve())
    if is_bundle(by_path.path):
        return open_bundle(by_path.path)
    found = [folder for folder in registered_runs() if name and folder.path.name.startswith(name)]
    if len(found) == 1:
        return found[0]
    if not found:
        raise UsageError(f"there is no run {name!r}", todo="`aprtui ps --all` lists the runs of this user")
    ids = ", ".join(folder.path.name for folder in found[:5])
    raise UsageError(f"{len(found)} runs begin with {name!r}: {ids}", todo="write more of the id")


def try_register(folder: RunFolder) -> str | None:
    """Enter a run; a register that cannot be written is no reason not to run.

    Returns:
        What is wrong; None where nothing is.
    """
    try:
        register(folder)
    except OSError as error:
        return AprtuiError(f"the run is not registered: {error.strerror}", file=register_folder()).message
    return None
