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


def changes(files: Collection[Path], stop: Event) -> Iterator[frozenset[Path]]:
    """The files that changed, once they are quiet for a moment; ends when somebody sets `stop`.

    Args:
        files: Files that may or may not exist.
        stop: Ends the watching.
    """
    from watchfiles import watch  # noqa: PLC0415 - few consoles watch, and each would wait for it at its start

    wanted = {file.absolute(): file for file in files}
    wanted |= {file.resolve(): file for file in files}
    folders = sorted({path.parent for path in wanted if path.parent.is_dir()})
    polling = any(map(is_on_network, folders))
    for found in watch(
        *folders,
        watch_filter=lambda _, path: Path(path) in wanted,
        debounce=_DEBOUNCE_MS,
        step=_QUIET_MS,
        stop_event=stop,
        rust_timeout=500,
        yield_on_timeout=True,
        force_polling=True if polling else None,
        recursive=False,
        raise_interrupt=False,
    ):
        changed = frozenset(wanted[Path(path)] for _, path in found)
        yield changed


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
