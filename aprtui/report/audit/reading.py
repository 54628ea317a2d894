"""Reads evidence files as they are found: apr-qa's array, the object of its schema, or ours."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aprtui.core.errors import AprtuiError

_LARGEST = 1 << 28
_TODO = "name an evidence.json of apr-qa or of aprtui"


@dataclass(frozen=True, slots=True)
class StoredEntry:
    """An entry as its file holds it; missing texts are empty.

    Attributes:
        number: Place in the file, from 1.
        gate_id: The gate.
        outcome: A word.
        reason: Why.
        output: What was measured, or the output of a command.
        stderr: Standard error of a command.
        exit_code: Of a command; None where none ran.
        prompt: Of the scenario.
        modality: Of the scenario.
        model: "org/name".
        metadata: What the writer added.
    """

    number: int
    gate_id: str
    outcome: str
    reason: str
    output: str
    stderr: str
    exit_code: int | None
    prompt: str
    modality: str
    model: str
    metadata: Mapping[str, Any] = field(default_factory=dict)


def read_entries(path: Path) -> tuple[StoredEntry, ...]:
    """The entries of an evidence file.

    Raises:
        AprtuiError: The file cannot be read, or holds no entries.
    """
    try:
        if path.stat().st_size > _LARGEST:
            raise AprtuiError(f"the file has more than {_LARGEST >> 20} MiB", file=path, todo=_TODO)
        content = json.loads(path.read_bytes())
    except OSError as error:
        raise AprtuiError(f"cannot be read: {error.strerror}", file=path) from None
    except (ValueError, RecursionError):
        raise AprtuiError("the file is not JSON", file=path, todo=_TODO) from None
    items = content.get("evidence") if isinstance(content, dict) else content
    if not isinstance(items, list):
        raise AprtuiError("the file holds no list of entries", file=path, todo=_TODO)
    for number, item in enumerate(items, 1):
        if not isinstance(item, dict) or not isinstance(item.get("gate_id"), str):
            raise AprtuiError("the entry has no gate_id", file=path, place=f"entry {number}", todo=_TODO)
    return tuple(_entry(number, item) for number, item in enumerate(items, 1))


def _entry(number: int, item: Mapping[str, Any]) -> StoredEntry:
    scenario = item.get("scenario")
    scenario = scenario if isinstance(scenario, dict) else {}
    model = scenario.get("model")
    model = model if isinstance(model, dict) else {}
    metadata = item.get("metadata")
    code = item.get("exit_code")
    return StoredEntry(
        number=number,
        gate_id=item["gate_id"],
        outcome=_outcome(item.get("outcome")),
        reason=_text(item.get("reason")),
        output=_text(item.get("output")),
        stderr=_text(item.get("stderr")),
        exit_code=code if isinstance(code, int) and not isinstance(code, bool) else None,
        prompt=_text(scenario.get("prompt")),
        modality=_text(scenario.get("modality")),
        model=f"{_text(model.get('org'))}/{_text(model.get('name'))}",
        metadata=metadata if isinstance(metadata, dict) else {},
    )


def _outcome(value: object) -> str:
    """A bare word, or the only key of apr-qa's schema."""
    return next(iter(value), "") if isinstance(value, dict) and len(value) == 1 else _text(value)


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
