"""Notices that a file which a run reads is no longer what it was: verdicts would be about two files.

Size, time and place of a file are looked at after each step. Digests would show more, and cost a read of everything.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path


class Stamps:
    """Files of one run as they were."""

    def __init__(self) -> None:
        self._seen: dict[str, tuple[int, ...]] = {}

    def take(self, files: Iterable[str]) -> None:
        """Take files as they are now."""
        self._seen.update((file, _stamp(file)) for file in files)

    def forget(self, files: Iterable[str]) -> None:
        """Nobody reads these any more."""
        for file in files:
            self._seen.pop(file, None)

    def changed(self) -> str:
        """What became of the first file that is not as it was; empty where all are."""
        for file, before in self._seen.items():
            now = _stamp(file)
            if now != before:
                return f"{file} was {'changed' if now else 'deleted'} while the run went on"
        return ""


def _stamp(file: str) -> tuple[int, ...]:
    """Size, time of the last change and file number; nothing where there is no such file."""
    try:
        found = Path(file).stat()
    except OSError:
        return ()
    return found.st_size, found.st_mtime_ns, found.st_ino
