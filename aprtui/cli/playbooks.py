"""`aprtui playbooks`: the playbooks of some folders, and what is wrong with them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from aprtui.cli import options
from aprtui.cli.output import show
from aprtui.cli.playbook_text import complaint_lines, problem_count
from aprtui.core.gates import FORMAT_NAMES
from aprtui.core.outcomes import ExitCode
from aprtui.core.safe_text import safe_text
from aprtui.playbook.listing import Listed, default_places, list_playbooks
from aprtui.settings import load_settings


@click.command(name="playbooks")
@click.argument("places", nargs=-1, metavar="[DIR|FILE]...", type=click.Path(path_type=Path))
@options.output_format
def command(places: tuple[Path, ...], output_format: str) -> int:
    """List playbooks: of the folders named, else aprtui's own and those in ./playbooks.

    A file is listed with all that there is to say about it.

    Exit codes: 0 every playbook loads, 2 one does not.
    """
    listed = {
        place: list(list_playbooks(place)) for place in places or load_settings().playbook_folders or default_places()
    }
    if output_format == "json":
        show(json.dumps([_to_json(entry) for entries in listed.values() for entry in entries], indent=2))
    else:
        show("\n".join(line for place, entries in listed.items() for line in listing_lines(place, entries)))
    broken = any(entry.error for entries in listed.values() for entry in entries)
    return int(ExitCode.USAGE if broken else ExitCode.PASSED)


def listing_lines(place: Path, entries: list[Listed]) -> Iterator[str]:
    """The list of one place."""
    is_file = place.is_file()
    if not is_file:
        yield click.style(safe_text(place), bold=True)
    rows = [_row(entry) for entry in entries]
    widths = [max((len(row[column]) for row in rows), default=0) for column in range(4)]
    for entry, row in zip(entries, rows, strict=True):
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, [*widths, 0], strict=True)).rstrip()
        if is_file and entry.playbook is not None:
            yield from (f"    {line}" for line in complaint_lines(entry.playbook))
    if not entries:
        yield "no playbooks"


def _row(entry: Listed) -> tuple[str, str, str, str, str]:
    document, playbook = entry.document, entry.playbook
    if document is None:
        return safe_text(entry.path.name), "", "", "", f"does not load: {safe_text(entry.error)}"
    cells = (safe_text(document.name, 60), safe_text(document.version, 20), safe_text(document.model, 60))
    if playbook is None:
        problem = f"does not load: {safe_text(entry.error)}" if entry.error else ""
        return (*cells, document.kind.value, problem)
    formats = ", ".join(FORMAT_NAMES[letter] for letter in playbook.model.formats)
    count = problem_count(playbook)
    return (*cells, formats, f"{count} problem{'s' if count > 1 else ''}" if count else "")


def _to_json(entry: Listed) -> dict[str, Any]:
    document, playbook = entry.document, entry.playbook
    facts: dict[str, Any] = {"path": str(entry.path), "error": entry.error or None}
    if document is not None:
        facts |= {
            "kind": document.kind.value,
            "name": document.name,
            "version": document.version,
            "model": document.model,
            "placeholders": list(document.placeholders),
        }
    if playbook is not None:
        facts["formats"] = [FORMAT_NAMES[letter] for letter in playbook.model.formats]
        facts["problems"] = problem_count(playbook)
        facts["complaints"] = [
            {
                "file": str(complaint.file or playbook.path),
                "line": complaint.line,
                "key": complaint.key,
                "kind": complaint.kind.value,
                "message": complaint.message,
            }
            for complaint in playbook.complaints
        ]
    return facts
