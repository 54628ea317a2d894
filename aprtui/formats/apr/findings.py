"""Integrity findings of an APR file, so that all of them name file and place in one way."""

from __future__ import annotations

from pathlib import Path

from aprtui.core.findings import Finding
from aprtui.core.outcomes import Level, Severity

WHOLE_FILE = "file"
"""Subject of findings that belong to no single tensor."""


def fault(
    path: Path, subject: str, message: str, *, expected: str | None = None, found: str | None = None, place: str = ""
) -> Finding:
    """A finding that fails integrity; `place` is where in the file."""
    where = f"{path}, {place}" if place else str(path)
    return Finding(Level.INTEGRITY, subject, message, Severity.FAILURE, expected, found, where)


def note(path: Path, subject: str, message: str) -> Finding:
    """A finding for the report only."""
    return Finding(Level.INTEGRITY, subject, message, Severity.NOTE, place=str(path))
