"""Round trips hop by hop: which hop fails, and the first hop where each tensor changed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from aprtui.core.outcomes import Outcome
from aprtui.gates.verdict import Measured, Measurements, Verdict, absent_levels, finding_text, not_measured, only_a_part


def judge_round_trip(measurements: Measurements) -> Verdict:
    """Outcome and reason of a round trip, whose comparisons are its hops in their order and then both ends.

    A hop whose source was not made is the fault of the hop that did not make it, which stands before it.
    """
    *hops, ends = measurements.all
    details = {"first_changed": _first_changed(hops)}
    for number, hop in enumerate(hops, start=1):
        verdict = not_measured(hop) or _failed(hop)
        if verdict is not None:
            return Verdict(verdict.outcome, f"{_place(number, hop)}: {verdict.reason}", details, verdict.stderr)
    verdict = not_measured(ends) or _failed(ends)
    if verdict is not None:
        return Verdict(verdict.outcome, f"every hop holds, both ends do not: {verdict.reason}", details, verdict.stderr)
    for number, hop in enumerate(hops, start=1):
        absent = absent_levels(hop, measurements.gate.levels)
        if absent:
            reason = f"{_place(number, hop)}: could not check {', '.join(absent)}"
            return Verdict(Outcome.SKIPPED, reason, details)
    part = only_a_part(measurements.plan)
    if part:
        return Verdict(Outcome.SKIPPED, part, details)
    return Verdict(Outcome.CORROBORATED, f"every hop holds; {_changes(hops)}", details)


def _failed(hop: Measured) -> Verdict | None:
    finished, failures = hop.finished, hop.failures
    if failures:
        return Verdict(Outcome.FALSIFIED, f"{finished.reason}; {finding_text(failures)}")
    if finished.outcome in (Outcome.CRASHED, Outcome.TIMEOUT):
        return Verdict(finished.outcome, finished.reason, stderr=finished.stderr)
    return None


def _place(number: int, hop: Measured) -> str:
    return f"hop {number}, {hop.title}"


def _first_changed(hops: Sequence[Measured]) -> list[dict[str, Any]]:
    """For each hop the tensors that are as they were until there and differ after it."""
    seen: set[str] = set()
    changed = []
    for number, hop in enumerate(hops, start=1):
        names = [name for name in hop.record.changed if name not in seen]
        seen.update(names)
        changed.append({"hop": number, "conversion": hop.planned.target, "tensors": names})
    return changed


def _changes(hops: Sequence[Measured]) -> str:
    changed = [(one["hop"], len(one["tensors"])) for one in _first_changed(hops) if one["tensors"]]
    if not changed:
        return "no tensor changed"
    parts = [f"{count} tensors at hop {hop}, within tolerance" for hop, count in changed]
    return f"changed first: {', '.join(parts)}"
