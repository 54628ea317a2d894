"""The conversion gates: a product compared with its source on every level that the gate asks for."""

from __future__ import annotations

from collections.abc import Sequence

from aprtui.core.findings import Finding, LevelResult
from aprtui.core.gates import Gate
from aprtui.core.outcomes import Level, Outcome
from aprtui.core.results import Comparison


def judge_conversion(gate: Gate, comparison: Comparison, tensor_globs: Sequence[str] = ()) -> tuple[Outcome, str]:
    """Outcome and reason of a conversion gate.

    Falsified if a level fails, Skipped if a level that the gate asks for could not run or only a part of the tensors
    was compared, else Corroborated.

    Args:
        gate: The gate.
        comparison: What was measured.
        tensor_globs: Patterns of the tensors that were compared; empty for all.
    """
    if comparison.outcome is Outcome.FALSIFIED:
        return Outcome.FALSIFIED, f"{comparison.sentence}; {_first_finding(comparison)}"
    results = {result.level: result for result in comparison.levels}
    absent = [level for level in gate.levels if _is_absent(results, level)]
    if absent:
        return Outcome.SKIPPED, f"could not check {', '.join(absent)}"
    if tensor_globs:
        return Outcome.SKIPPED, f"only tensors that match {', '.join(tensor_globs)} were compared"
    return Outcome.CORROBORATED, comparison.sentence


def _is_absent(results: dict[Level, LevelResult], level: Level) -> bool:
    return level not in results or results[level].outcome is Outcome.SKIPPED


def _first_finding(comparison: Comparison) -> str:
    """The first failure in words."""
    failures: list[Finding] = [finding for level in comparison.levels for finding in level.failures]
    first = failures[0]
    more = f" (and {len(failures) - 1} more)" if len(failures) > 1 else ""
    return f"{first.level}: {first.subject}: {first.message}{more}"
