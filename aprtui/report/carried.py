"""Entries of earlier runs in the evidence of a run that covers a part of the gates.

An earlier verdict stands only while everything that it rests on is the same, by digest: the model, given sources, the
converter, the playbook, aprtui and its rules. Anything else is stale, and stale is never green.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from aprtui.core.gate_table import GATES
from aprtui.core.outcomes import Outcome
from aprtui.report.evidence import EvidenceEntry

_LARGEST = 1 << 28
_BASIS = {
    "aprtui_version": "aprtui",
    "rules_version": "the rules",
    "playbook": "the playbook",
    "tolerance_settings": "the playbook's tolerances",
    "model_files": "the model",
    "given_sources": "a given source",
    "converter": "the converter",
}
"""What a verdict rests on: a key of an entry's metadata, and what to call it."""


def carried_entries(path: Path, own: Collection[str], basis: EvidenceEntry) -> list[dict[str, Any]]:
    """Entries of an evidence file for gates that a run did not judge, as they count beside the run's own.

    Args:
        path: The evidence that is there; anything that is no evidence of aprtui's has nothing to carry.
        own: Gates that the run judged.
        basis: Any entry of the run, which names what its verdicts rest on.
    """
    now = basis.to_json()["metadata"]
    carried = [_carried(entry, now) for entry in _entries(path) if entry["gate_id"] not in own]
    order = list(GATES)
    return sorted(carried, key=lambda entry: order.index(entry["gate_id"]))


def _entries(path: Path) -> Iterator[dict[str, Any]]:
    """Entries that aprtui wrote."""
    try:
        if path.stat().st_size > _LARGEST:
            return
        found = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return
    for entry in found if isinstance(found, list) else []:
        if not isinstance(entry, dict) or entry.get("gate_id") not in GATES:
            continue
        metadata = entry.get("metadata")
        if isinstance(metadata, dict) and isinstance(metadata.get("run"), str) and "rules_version" in metadata:
            yield entry


def _carried(entry: dict[str, Any], now: Mapping[str, str]) -> dict[str, Any]:
    metadata = entry["metadata"]
    if "stale" in metadata:
        return entry
    changed = [word for key, word in _BASIS.items() if not _same(key, metadata.get(key), now.get(key))]
    if not changed:
        return entry | {"metadata": metadata | {"carried_from": metadata.get("carried_from", metadata["run"])}}
    why = f"{', '.join(changed)} changed since run {metadata['run']}, which found it {entry.get('outcome')}"
    return entry | {
        "outcome": Outcome.SKIPPED.value,
        "reason": f"stale: {why}",
        "metadata": metadata | {"stale": why},
    }


def _same(key: str, before: object, now: object) -> bool:
    """Files count by digest, wherever they lie; a playbook by what a run follows from."""
    if before == now:
        return True
    if not isinstance(before, str) or not isinstance(now, str) or key not in ("model_files", "playbook"):
        return False
    try:
        a, b = json.loads(before), json.loads(now)
    except ValueError:
        return False
    if key == "playbook":
        return bool(a.get("fingerprint")) and a.get("fingerprint") == b.get("fingerprint")
    return sorted(a.values()) == sorted(b.values())
