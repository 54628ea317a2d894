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
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", dir=path.parent, suffix=".part", delete=False, encoding="utf-8") as part:
        part.write(text)
    Path(part.name).replace(path)
