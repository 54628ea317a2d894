"""Digests of files for evidence and caches: XXH3 at memory speed, an identity and not a seal against forgery."""

from __future__ import annotations

from pathlib import Path

import xxhash

_PIECE = 1 << 22


def file_digest(path: Path) -> str:
    """`xxh3:` and 32 hexadecimal digits of the file's bytes, read in 4 MiB pieces."""
    digest = xxhash.xxh3_128()
    with path.open("rb") as file:
        while piece := file.read(_PIECE):
            digest.update(piece)
    return f"xxh3:{digest.hexdigest()}"
