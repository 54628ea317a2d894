"""Rules for entries that aprtui wrote: their levels, digests and counts are in their metadata, as JSON text."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from aprtui.report.audit.facts import EntryAudit, Standing
from aprtui.report.audit.reading import StoredEntry

_DIGESTS = ("source_files", "target_files")


def is_ours(entry: StoredEntry) -> bool:
    """Whether aprtui wrote an entry."""
    return "conversion_commands" in entry.metadata or any(name in entry.metadata for name in _DIGESTS)


def judge_ours(entry: StoredEntry, model_digests: Mapping[str, str]) -> EntryAudit:
    """What an entry of ours is worth; `model_digests` are those of the model at hand, by file name."""
    standing, why, ask = _judge(entry, model_digests)
    return EntryAudit(entry.number, entry.gate_id, entry.outcome, standing, why, ask)


def _judge(entry: StoredEntry, model_digests: Mapping[str, str]) -> tuple[Standing, str, str]:
    if entry.outcome in ("Skipped", "Crashed", "Timeout"):
        return Standing.HOLDS, "it claims no result", ""
    other = _other_files(_object(entry.metadata.get("source_files")), model_digests)
    if other:
        return Standing.CONTRADICTS, f"it was measured on another {other} than the model at hand", "the model it names"
    levels = _levels(entry.metadata.get("levels"))
    failed = [name for name, level in levels.items() if level.get("outcome") == "Falsified"]
    empty = [name for name, level in levels.items() if not level.get("checked")]
    if entry.outcome == "Corroborated":
        if failed:
            return Standing.CONTRADICTS, f"a pass, though its level {failed[0]} is falsified", ""
        if levels and len(empty) == len(levels):
            return Standing.WITHOUT_SUBSTANCE, "a pass in which no level checked anything", ""
        if "target_files" not in entry.metadata:
            return Standing.CANNOT_BE_KNOWN, "no digest says which product passed", "the product's digest"
        return Standing.HOLDS, "its levels, digests and commands are there", ""
    if levels and not failed:
        return Standing.CONTRADICTS, "a failure, though none of its levels is falsified", ""
    return Standing.HOLDS, "the reason says what failed", ""


def _object(value: object) -> Mapping[str, Any]:
    parsed = _parsed(value)
    return parsed if isinstance(parsed, dict) else {}


def _levels(value: object) -> dict[str, Mapping[str, Any]]:
    parsed = _parsed(value)
    if isinstance(parsed, dict):
        return {str(name): level for name, level in parsed.items() if isinstance(level, dict)}
    items = parsed if isinstance(parsed, list) else []
    return {str(item.get("level")): item for item in items if isinstance(item, dict)}


def _parsed(value: object) -> object:
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return None


def _other_files(stated: Mapping[str, Any], model_digests: Mapping[str, str]) -> str | None:
    """A file of the model at hand with another digest than the entry states."""
    for path, digest in stated.items():
        name = str(path).rpartition("/")[2]
        known = model_digests.get(name)
        if known is not None and isinstance(digest, str) and digest != known:
            return name
    return None
