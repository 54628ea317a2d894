"""Tells when one of a few files was saved, replaced, made or deleted; on network disks by looking now and then.

Directories are watched, not files: editors save by renaming a new file over the old one.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path
from threading import Event

_NETWORK = ("nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "fuse.sshfs", "lustre", "beegfs", "ceph", "glusterfs")
"""File systems whose changes by other machines the kernel does not tell."""

_DEBOUNCE_MS = 1600
_QUIET_MS = 300
_LOOK_MS = 500


def files_of_program(path: Path) -> list[Path]:
    """What a converter consists of: one file, or the Python files of a package."""
    return sorted(path.rglob("*.py")) if path.is_dir() else [path]


def changes(files: Collection[Path], stop: Event) -> Iterator[frozenset[Path]]:
    """The files that changed, once they are quiet for a moment; ends when somebody sets `stop`.

    Args:
        files: Files that may or may not exist.
        stop: Ends the watching.

    Yields:
        Also nothing at all now and then, so that whoever waits can look elsewhere.
    """
    wanted = {file.absolute(): file for file in files}
    wanted |= {file.resolve(): file for file in files}
    folders = sorted({path.parent for path in wanted if path.parent.is_dir()})
    if any(map(is_on_network, folders)):
        yield from _polled(files, stop)
        return
    from watchfiles import watch  # noqa: PLC0415 - few consoles watch, and each would wait for it at its start

    for found in watch(
        *folders,
        watch_filter=lambda _, path: Path(path) in wanted,
        debounce=_DEBOUNCE_MS,
        step=_QUIET_MS,
        stop_event=stop,
        rust_timeout=_LOOK_MS,
        yield_on_timeout=True,
        recursive=False,
        raise_interrupt=False,
    ):
        yield frozenset(wanted[Path(path)] for _, path in found)


def _polled(files: Collection[Path], stop: Event) -> Iterator[frozenset[Path]]:
    """Looks at a few files; watchfiles' own polling compares whole seconds and would miss the second of two saves."""
    before, changed = {file: _stamp(file) for file in files}, frozenset[Path]()
    while not stop.wait(_LOOK_MS / 1000):
        now = {file: _stamp(file) for file in files}
        just = frozenset(file for file in files if now[file] != before[file])
        before = now
        if just:
            changed |= just
            yield frozenset()
        else:
            yield changed
            changed = frozenset()


def _stamp(file: Path) -> tuple[int, int, int] | None:
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


def is_on_network(path: Path, mounts: Path = Path("/proc/mounts")) -> bool:
    """Whether a path lies on a network disk (Linux; elsewhere no).

    Args:
        path: Any path.
        mounts: The kernel's table of mounts.
    """
    try:
        lines = mounts.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return False
    resolved = path.resolve()
    best, kind = -1, ""
    for line in lines:
        fields = line.split()
        if len(fields) < 3:
            continue
        # Blanks in names are written as octal escapes.
        place = Path(fields[1].replace("\\040", " "))
        if resolved.is_relative_to(place) and len(place.parts) > best:
            best, kind = len(place.parts), fields[2]
    return kind in _NETWORK
