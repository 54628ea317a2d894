"""Why a run fails, over all its conversions: the three questions, and each cause once with the places it shows in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from aprtui.core.causes import Question
from aprtui.core.diagnosis import Answer, Diagnosis, NamedCause, QuestionAnswered
from aprtui.core.events import ComparisonFinished
from aprtui.core.findings import LevelResult
from aprtui.core.gates import GateFamily
from aprtui.core.outcomes import Outcome
from aprtui.store.plan import RunPlan


class Compared(Protocol):
    """What any reader of a journal keeps of a comparison."""

    @property
    def levels(self) -> Sequence[LevelResult]:
        """Results of its levels."""

    @property
    def finished(self) -> ComparisonFinished | None:
        """How it ended; None where it has not."""

    @property
    def diagnosis(self) -> Diagnosis | None:
        """Why it fails; None where it holds, or was not explained."""


@dataclass(frozen=True, slots=True)
class CauseInRun:
    """One cause.

    Attributes:
        shown: Its members in words, each with the ids of the comparisons that show just these, and as one of them does.
    """

    shown: Mapping[str, tuple[NamedCause, tuple[str, ...]]]

    @property
    def first(self) -> NamedCause:
        """As the first comparison shows it."""
        return next(named for named, _ in self.shown.values())

    @property
    def comparisons(self) -> tuple[str, ...]:
        """Ids of all comparisons that show it."""
        return tuple(dict.fromkeys(one for _, places in self.shown.values() for one in places))


@dataclass(frozen=True, slots=True)
class RunCauses:
    """Why a run fails.

    Attributes:
        questions: The three questions, in a fixed order.
        causes: In the order of the plan's comparisons, each one's worst first.
        unexplained: Failures that no cause explains, over all comparisons.
    """

    questions: tuple[QuestionAnswered, ...]
    causes: tuple[CauseInRun, ...]
    unexplained: int


def run_causes(plan: RunPlan, comparisons: Mapping[str, Compared]) -> RunCauses:
    """Causes of a run's conversions, from the comparisons of products with their own sources, by id.

    What else compares (both ends of a round trip, a product with the model) shows the same faults again.
    """
    found = {one: comparisons[one] for one in _of_conversions(plan) if one in comparisons}
    diagnoses = {one: record.diagnosis for one, record in found.items() if record.diagnosis is not None}
    causes: dict[str, dict[str, tuple[NamedCause, tuple[str, ...]]]] = {}
    for comparison, diagnosis in diagnoses.items():
        for named in diagnosis.causes:
            shown = causes.setdefault(named.code, {})
            known, places = shown.get(named.where, (named, ()))
            shown[named.where] = (known, tuple(dict.fromkeys((*places, comparison))))
    complete = len(found) == len(list(_of_conversions(plan))) and all(map(_measured, found.values()))
    questions = tuple(_answered(question, found, diagnoses, complete=complete) for question in Question)
    unexplained = sum(len(diagnosis.unexplained) for diagnosis in diagnoses.values())
    return RunCauses(questions, tuple(map(CauseInRun, causes.values())), unexplained)


def _of_conversions(plan: RunPlan) -> Iterator[str]:
    """Each product of a pair or of a round trip's hop with its own source."""
    wanted: dict[str, None] = {}
    for gate in plan.gates:
        if gate.gate.family is GateFamily.PAIR:
            wanted.update(dict.fromkeys(gate.comparisons[:1]))  # Evidence alone may hold a pair without any.
        elif gate.gate.family is GateFamily.ROUND_TRIP:
            wanted.update(dict.fromkeys(gate.comparisons[:-1]))
        elif gate.gate.routes:
            wanted.update(dict.fromkeys(gate.comparisons))
    yield from wanted


def _measured(one: Compared) -> bool:
    return one.finished is not None and bool(one.levels)


def _holds_level(one: Compared, question: Question) -> bool:
    return any(level.level is question.level and level.outcome is not Outcome.SKIPPED for level in one.levels)


def _answered(
    question: Question, found: Mapping[str, Compared], diagnoses: Mapping[str, Diagnosis], *, complete: bool
) -> QuestionAnswered:
    answers = {
        comparison: next(one for one in diagnosis.questions if one.question is question)
        for comparison, diagnosis in diagnoses.items()
    }
    yes = {comparison: one for comparison, one in answers.items() if one.answer is Answer.YES}
    if yes:
        first = next(iter(yes))
        more = f" (and in {len(yes) - 1} more comparisons)" if len(yes) > 1 else ""
        count = sum(one.count for one in yes.values())
        return QuestionAnswered(question, Answer.YES, count, f"{first}: {yes[first].evidence}{more}")
    unknown = next((one for one in answers.values() if one.answer is Answer.UNKNOWN), None)
    if unknown is not None:
        return QuestionAnswered(question, Answer.UNKNOWN, 0, unknown.evidence)
    if not complete:
        return QuestionAnswered(question, Answer.UNKNOWN, 0, "not every conversion was compared")
    absent = next((one for one, record in found.items() if not _holds_level(record, question)), None)
    if absent is not None:
        return QuestionAnswered(question, Answer.UNKNOWN, 0, f"{absent}: the {question.level} level was not compared")
    evidence = next((one.evidence for one in answers.values()), "no comparison fails")
    return QuestionAnswered(question, Answer.NO, 0, evidence)
