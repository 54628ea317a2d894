"""Files that are either the old ones or the new ones, whenever somebody looks or the power fails."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path


def write_json(path: Path, value: object) -> None:
    """Replace a file by this JSON; its folder is made."""
    write_text(path, json.dumps(value, indent=2) + "\n")


def write_text(path: Path, text: str) -> None:
    """Replace a file by this text; its folder is made."""
    write_bytes(path, text.encode())


def write_bytes(path: Path, raw: bytes) -> None:
    """Replace a file by these bytes; its folder is made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("wb", dir=path.parent, suffix=".part", delete=False) as part:
        try:
            part.write(raw)
            part.flush()
            Path(part.name).replace(path)
        except OSError:
            Path(part.name).unlink(missing_ok=True)
            raise
