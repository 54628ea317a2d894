"""stderr.log: what workers and converters write, up to a limit, so that one of them cannot fill the disk."""

from __future__ import annotations

from pathlib import Path

LIMIT = 16 << 20
"""Bytes of stderr.log."""


class StderrLog:
    """Appends to a file until it is full; what comes later is counted.

    Args:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        self._file = path.open("ab", buffering=0)
        self._left = max(0, LIMIT - self._file.tell())
        self._dropped = 0

    def write(self, piece: bytes) -> None:
        """Append what still fits."""
        kept = piece[: self._left]
        self._left -= len(kept)
        self._dropped += len(piece) - len(kept)
        if kept:
            self._file.write(kept)

    def close(self) -> None:
        """Say what was left out."""
        if self._dropped:
            self._file.write(f"\n[{self._dropped} bytes more were written and not kept]\n".encode())
        self._file.close()
