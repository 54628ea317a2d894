"""Writes the JSON schema of playbooks from the table of keys, for editors."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from aprtui.playbook.complaints import section_in
from aprtui.playbook.keys import PlaybookKeys, Section, Use

ROOT = Path(__file__).parents[1]
FILE = ROOT / "playbooks" / "playbook.schema.json"

_OF_APR_QA = {"description": "A key of apr-qa that has no meaning for aprtui."}


def schema() -> dict[str, Any]:
    """The schema: draft 2020-12, tolerant where apr-qa's files are, strict under `aprtui`."""
    found = PlaybookKeys.model_json_schema()
    definitions = found.pop("$defs")
    for section in sections(PlaybookKeys):
        _complete(found if section is PlaybookKeys else definitions[section.__name__], section)
    for definition in definitions.values():
        definition.pop("title", None)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **found,
        "title": "Playbook of aprtui",
        "$defs": dict(sorted(definitions.items())),
    }


def sections(section: type[Section]) -> Iterator[type[Section]]:
    """A section and all sections inside it."""
    yield section
    for field in section.model_fields.values():
        if (deeper := section_in(field.annotation)) is not None:
            yield from sections(deeper)


def _complete(definition: dict[str, Any], section: type[Section]) -> None:
    for name, field in section.model_fields.items():
        stated = definition["properties"][name]
        # Defaults are values inside aprtui, not what a playbook says; titles repeat the names.
        stated.pop("default", None)
        stated.pop("title", None)
        text = " ".join((field.description or "").split())
        stated["description"] = f"{text} ({Use.LATER})" if Use.LATER in field.metadata else text
    for name in sorted(section.not_for_aprtui):
        definition["properties"][name] = dict(_OF_APR_QA)


def text() -> str:
    """The file."""
    return json.dumps(schema(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    FILE.write_text(text(), encoding="utf-8")
