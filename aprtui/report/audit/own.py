"""Rules for entries that aprtui wrote: their metadata hold comparisons, levels, tolerances and digests as JSON text."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from aprtui.core.findings import SOURCE_SIDE
from aprtui.core.gates import GateFamily
from aprtui.core.outcomes import Severity
from aprtui.core.scenarios import Ending, OracleKind
from aprtui.report.audit.facts import EntryAudit, Standing
from aprtui.report.audit.reading import StoredEntry

_PASSED, _FAILED = "Corroborated", "Falsified"
_ABOUT_ONE_CONVERSION = GateFamily.PAIR
_JUDGED_WHOLE = (GateFamily.PAIR, GateFamily.ROUND_TRIP, GateFamily.TWO_ROUTES)
"""Families whose comparisons have to hold on every level that they have."""
_ENDINGS_OF_STABLE = (Ending.ANSWERED, Ending.FAILED, Ending.UNREADABLE)


def is_ours(entry: StoredEntry) -> bool:
    """Whether aprtui wrote an entry."""
    return "aprtui_version" in entry.metadata


def has_own_tolerances(entry: StoredEntry) -> bool:
    """Whether a playbook's tolerances took the place of the rules' own."""
    return bool(_object(entry.metadata.get("tolerance_settings")))


def judge_ours(entry: StoredEntry, model_digests: Mapping[str, str]) -> EntryAudit:
    """What an entry of ours is worth; `model_digests` are those of the model at hand, by file name."""
    standing, why, ask = _judge(entry, model_digests)
    return EntryAudit(entry.number, entry.gate_id, entry.outcome, standing, why, ask)


def _judge(entry: StoredEntry, model_digests: Mapping[str, str]) -> tuple[Standing, str, str]:
    other = _other_file(_object(entry.metadata.get("model_files")), model_digests)
    if other is not None:
        return Standing.CONTRADICTS, f"{other} of the model at hand has another digest", "the model that it names"
    comparisons = [item for item in _list(entry.metadata.get("comparisons")) if isinstance(item, dict)]
    if entry.outcome == _PASSED:
        return _passed(entry, comparisons)
    if entry.outcome == _FAILED:
        return _failed(entry, comparisons)
    return Standing.HOLDS, "it claims no result", ""


def _passed(entry: StoredEntry, comparisons: Sequence[Mapping[str, Any]]) -> tuple[Standing, str, str]:
    scenarios = [item for item in _list(entry.metadata.get("scenarios")) if isinstance(item, dict)]
    if scenarios:
        return _ran(entry.gate_id, scenarios)
    if not comparisons:
        if _list(entry.metadata.get("levels")):
            return Standing.WITHOUT_SUBSTANCE, "a pass without the comparison that it asks for", ""
        return Standing.HOLDS, "it asks for no comparison, and names the files", ""
    decisive = comparisons[:1] if entry.metadata.get("family") == _ABOUT_ONE_CONVERSION else comparisons
    if entry.metadata.get("family") in _JUDGED_WHOLE:
        contradiction = next(filter(None, map(_contradiction, decisive)), None)
        if contradiction is not None:
            return Standing.CONTRADICTS, contradiction, ""
    if not any(level.get("checked") for comparison in comparisons for level in _levels(comparison)):
        return Standing.WITHOUT_SUBSTANCE, "a pass in which no level checked anything", ""
    if not all(comparison.get("target_files") for comparison in comparisons):
        return Standing.CANNOT_BE_KNOWN, "no digest says which product passed", "the product's digests"
    return Standing.HOLDS, "its comparisons, levels and digests are there", ""


def _ran(gate: str, scenarios: Sequence[Mapping[str, Any]]) -> tuple[Standing, str, str]:
    """A pass that engines gave."""
    if not all(one.get("answers") or one.get("speed") for one in scenarios):
        return Standing.WITHOUT_SUBSTANCE, "a pass, though a scenario has neither an answer nor a speed", ""
    given = [item for one in scenarios for item in _list(one.get("answers")) if isinstance(item, dict)]
    contradiction = next(filter(None, (_against_the_pass(gate, answer) for answer in given)), None)
    if contradiction is None and gate == "G1-LOAD" and any(one.get("has_loaded") is False for one in scenarios):
        contradiction = "a pass, though an engine did not load the file"
    if contradiction is not None:
        return Standing.CONTRADICTS, contradiction, ""
    if not all(one.get("files") for one in scenarios):
        return Standing.CANNOT_BE_KNOWN, "no digest says which file was run", "the files' digests"
    return Standing.HOLDS, "its answers, engines and digests are there", ""


def _against_the_pass(gate: str, answer: Mapping[str, Any]) -> str | None:
    """What of an answer says the opposite of a gate's pass, as `aprtui.gates.scenarios` judges it."""
    ending = answer.get("ending")
    if gate == "G1-LOAD":
        return None  # How a prompt ends says nothing of loading.
    allowed = _ENDINGS_OF_STABLE if gate == "G3-STABLE" else (Ending.ANSWERED,)
    if ending not in allowed:
        return f"a pass, though a prompt ended: {ending}"
    verdicts = [one for one in _list(answer.get("verdicts")) if isinstance(one, dict)]
    asked = {"G4-VALID": (OracleKind.GARBAGE,), "G2-BASIC": (), "G3-STABLE": ()}.get(gate, tuple(OracleKind))
    failed = next((one for one in verdicts if one.get("outcome") == _FAILED and one.get("oracle") in asked), None)
    if failed is None:
        return None
    return f"a pass, though {failed.get('oracle')} refuses an answer: {failed.get('reason')}"


def _contradiction(comparison: Mapping[str, Any]) -> str | None:
    """What of a comparison says the opposite of a pass."""
    failed = next((level for level in _levels(comparison) if level.get("outcome") == _FAILED), None)
    if failed is not None and not _is_of_source(failed):
        return f"a pass, though its level {failed.get('level')} is falsified"
    for row in _list(comparison.get("tolerances")):
        if isinstance(row, dict) and row.get("failed"):
            return f"a pass, though {row['failed']} tensors are outside their tolerance ({row.get('rule')})"
    return None


def _is_of_source(level: Mapping[str, Any]) -> bool:
    """Whether all that fails is damage of the source, which the product may share: a pass all the same."""
    findings = [one for one in _list(level.get("findings")) if isinstance(one, dict)]
    failing = [one for one in findings if one.get("severity") == Severity.FAILURE]
    sides = {(one.get("subject"), one.get("message")) for one in failing if _on_source(one)}
    return bool(failing) and all((one.get("subject"), one.get("message")) in sides for one in failing)


def _on_source(finding: Mapping[str, Any]) -> bool:
    return str(finding.get("place") or "").partition(",")[0] == SOURCE_SIDE


def _failed(entry: StoredEntry, comparisons: Sequence[Mapping[str, Any]]) -> tuple[Standing, str, str]:
    about_one = entry.metadata.get("family") == _ABOUT_ONE_CONVERSION
    if about_one and comparisons and all(comparison.get("outcome") == _PASSED for comparison in comparisons):
        return Standing.CONTRADICTS, "a failure, though every comparison of it passes", ""
    return Standing.HOLDS, "the reason says what failed", ""


def _levels(comparison: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [level for level in _list(comparison.get("levels")) if isinstance(level, dict)]


def _object(value: object) -> Mapping[str, Any]:
    parsed = _parsed(value)
    return parsed if isinstance(parsed, dict) else {}


def _list(value: object) -> list[Any]:
    parsed = _parsed(value)
    return parsed if isinstance(parsed, list) else []


def _parsed(value: object) -> object:
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return None


def _other_file(stated: Mapping[str, Any], model_digests: Mapping[str, str]) -> str | None:
    """A file of the model at hand with another digest than the entry states."""
    for path, digest in stated.items():
        name = str(path).rpartition("/")[2]
        known = model_digests.get(name)
        if known is not None and isinstance(digest, str) and digest != known:
            return name
    return None
