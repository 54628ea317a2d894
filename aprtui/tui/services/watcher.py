"""Watching files by their folders, so that editors which replace files are seen at every save; NFS is polled.

What changed is told at most once per 300 ms. The folder that runs are written to is never watched.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import suppress
from pathlib import Path

from watchfiles import Change, awatch

_DEBOUNCE_MS = 300
_STEP_MS = 50
_POLL_S = 0.5
_NETWORK = ("nfs", "cifs", "smb", "lustre", "gpfs", "beegfs", "ceph", "fuse", "9p", "afs", "vboxsf")
_MOUNTS = Path("/proc/mounts")


async def saved_files(
    files: Iterable[Path], stop: asyncio.Event, *, poll: bool | None = None
) -> AsyncIterator[set[Path]]:
    """Sets of those files that were saved.

    Args:
        files: The files; they may come and go.
        stop: Ends the watching.
        poll: Whether to poll; None asks what kind of file system they lie on.
    """
    wanted = {file.absolute() for file in files}
    folders = {file.parent for file in wanted if file.parent.is_dir()}
    if not folders:
        return
    if any(is_on_network(folder) for folder in folders) if poll is None else poll:
        async for saved in _polled(wanted, stop):
            yield saved
        return
    # Names as the watcher reports them may have links resolved.
    resolved = {file.resolve(): file for file in wanted} | {file: file for file in wanted}
    changes = awatch(
        *folders,
        watch_filter=lambda change, name: change is not Change.deleted and Path(name) in resolved,
        debounce=_DEBOUNCE_MS,
        step=_STEP_MS,
        stop_event=stop,
        recursive=False,
    )
    async for batch in changes:
        yield {resolved[Path(name)] for _, name in batch}


async def _polled(files: set[Path], stop: asyncio.Event) -> AsyncIterator[set[Path]]:
    """The same by looking at the files; what changes twice within a second is seen twice, unlike with watchfiles."""
    before = await asyncio.to_thread(_states, files)
    while not stop.is_set():
        with suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), _POLL_S)
        now = await asyncio.to_thread(_states, files)
        saved = {file for file, state in now.items() if state is not None and state != before[file]}
        before = now
        if saved and not stop.is_set():
            yield saved


def _states(files: set[Path]) -> dict[Path, tuple[int, int, int] | None]:
    return {file: _state(file) for file in files}


def _state(file: Path) -> tuple[int, int, int] | None:
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


def is_on_network(folder: Path, mounts: Path = _MOUNTS) -> bool:
    """Whether a folder lies on a file system that says nothing of changes made on other hosts."""
    try:
        lines = mounts.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return False
    path = str(folder.resolve())
    best, kind = "", ""
    for line in lines:
        fields = line.split()
        if len(fields) < 3:
            continue
        point = fields[1].replace("\\040", " ")
        inside = path == point or path.startswith(point.rstrip("/") + "/")
        if inside and len(point) >= len(best):
            best, kind = point, fields[2]
    return kind.startswith(_NETWORK)
