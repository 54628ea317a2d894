"""Judges a run again under other tolerances, from its journal alone: no weights are read, nothing is converted.

What a tolerance touches is written again: the tensors of a comparison, its weights and behaviour levels, its end, and
the verdicts of the gates that rest on it. Readers need to know nothing of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from aprtui.core.behaviour_level import judge_behaviour
from aprtui.core.events import (
    BehaviourMeasured,
    ComparisonFinished,
    ComparisonStarted,
    Diagnosed,
    Event,
    JournalLine,
    LevelFinished,
    TensorFinished,
)
from aprtui.core.findings import FindingKind, LevelResult, judge_level
from aprtui.core.outcomes import Level, Outcome
from aprtui.core.results import Comparison, TensorResult, classify_weights, tolerance_findings
from aprtui.core.tolerance import ToleranceSettings, judge, with_settings
from aprtui.store.plan import PlannedComparison, RunPlan

_OF_COMPARISONS = (
    *(ComparisonStarted, TensorFinished, LevelFinished, BehaviourMeasured, Diagnosed, ComparisonFinished),
)

NOBODY = -1
"""Number of the worker that measures where nobody does: the results stand already."""


@dataclass
class _Told:
    """What a journal tells of one comparison since it was started last."""

    tensors: list[TensorResult] = field(default_factory=list)
    levels: list[LevelResult] = field(default_factory=list)
    explained: list[Event] = field(default_factory=list)
    finished: ComparisonFinished | None = None


def judge_again(
    plan: RunPlan, lines: Iterable[JournalLine], settings: ToleranceSettings, only: str = ""
) -> Mapping[str, list[Event]]:
    """What to write for each comparison that other tolerances change; pure.

    Args:
        plan: The run's plan.
        lines: Its journal.
        settings: The tolerances that hold now.
        only: The one comparison to look at; all where it is empty.
    """
    planned = {one.comparison_id: one for one in plan.comparisons}
    again = {}
    for comparison, told in _told(lines, only).items():
        events = _again(planned[comparison], told, settings) if comparison in planned else None
        if events is not None:
            again[comparison] = events
    return again


def _told(lines: Iterable[JournalLine], only: str) -> dict[str, _Told]:
    found: dict[str, _Told] = {}
    for line in lines:
        event = line.event
        if not isinstance(event, _OF_COMPARISONS):
            continue
        if only and event.comparison != only:
            continue
        if isinstance(event, ComparisonStarted):
            found[event.comparison] = _Told()
            continue
        told = found.setdefault(event.comparison, _Told())
        if isinstance(event, TensorFinished):
            told.tensors.append(event.tensor)
        elif isinstance(event, LevelFinished):
            told.levels.append(event.level)
        elif isinstance(event, Diagnosed | BehaviourMeasured):
            told.explained.append(event)
        else:
            told.finished = event
    return found


def _again(planned: PlannedComparison, told: _Told, settings: ToleranceSettings) -> list[Event] | None:
    """The events of a comparison under other tolerances; None where nothing changes or it has no result yet."""
    if told.finished is None or not told.levels:
        return None
    tensors = [_judged(tensor, settings) for tensor in told.tensors]
    levels = [_level(level, tensors, told, settings) for level in told.levels]
    if (tensors, levels) == (told.tensors, told.levels):
        return None
    whole = Comparison(
        source=planned.source,
        target=planned.target,
        levels=tuple(levels),
        tensors=tuple(tensors),
        weights=classify_weights(tuple(tensors)),
        not_checked=told.finished.not_checked,
        asked_for=planned.asked_for,
        seconds=told.finished.seconds,
        bytes_read=told.finished.bytes_read,
    )
    finished = replace(told.finished, outcome=whole.outcome, reason=whole.sentence)
    name = planned.comparison_id
    return [
        ComparisonStarted(name, NOBODY),
        *(TensorFinished(name, tensor) for tensor in tensors),
        *(LevelFinished(name, level) for level in levels),
        *(one for one in told.explained if isinstance(one, BehaviourMeasured) or whole.outcome is Outcome.FALSIFIED),
        finished,
    ]


def _judged(tensor: TensorResult, settings: ToleranceSettings) -> TensorResult:
    tolerance = with_settings(tensor.tolerance, settings)
    return replace(tensor, tolerance=tolerance, judgement=judge(tensor.record, tolerance))


def _level(level: LevelResult, tensors: list[TensorResult], told: _Told, settings: ToleranceSettings) -> LevelResult:
    if level.level is Level.WEIGHTS and tensors != told.tensors:
        return _weights(level, tensors)
    measured = next((one for one in told.explained if isinstance(one, BehaviourMeasured)), None)
    if level.level is Level.BEHAVIOUR and measured is not None:
        return judge_behaviour(measured.behaviour, settings)
    return level


def _weights(level: LevelResult, tensors: list[TensorResult]) -> LevelResult:
    """The weights level: findings about tolerances anew, all others as they were."""
    others = [finding for finding in level.findings if finding.kind is not FindingKind.TOLERANCE]
    again = judge_level(
        Level.WEIGHTS,
        [*tolerance_findings(tensors), *others],
        checked=level.checked,
        not_checked=level.not_checked,
    )
    skipped = level.outcome is Outcome.SKIPPED and again.outcome is Outcome.CORROBORATED
    return replace(again, outcome=Outcome.SKIPPED) if skipped else again
