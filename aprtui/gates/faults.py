"""Whose fault an answer is: the same prompt to the same file in another engine, and to the model in the same engine."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from aprtui.core.events import ScenarioFinished
from aprtui.core.scenarios import Answer, Ending
from aprtui.gates.verdict import Measurements
from aprtui.store.plan import PlannedScenario


class Who(StrEnum):
    """Where a fault lies."""

    MODEL = "the model"
    FILE = "the file"
    ENGINE = "the engine"
    OPEN = "not told apart"


@dataclass(frozen=True, slots=True)
class Fault:
    """Whose fault something is.

    Attributes:
        who: Whose.
        text: What shows it.
    """

    who: Who
    text: str


@dataclass(frozen=True, slots=True)
class Given:
    """One answer with where it comes from.

    Attributes:
        planned: The scenario.
        result: Its result.
        answer: One of its answers.
    """

    planned: PlannedScenario
    result: ScenarioFinished
    answer: Answer

    @property
    def place(self) -> str:
        """File, engine and backend in words."""
        return f"{self.planned.file} in {self.planned.engine} on {self.planned.backend}"

    @property
    def is_good(self) -> bool:
        """Whether there is an answer that no oracle refuses."""
        return self.answer.ending is Ending.ANSWERED and self.answer.holds

    def by_model(self, measurements: Measurements) -> Given | None:
        """What the same engine answers to the same prompt, in the same tokens, with the model's own file.

        None where it was not asked.
        """
        model = measurements.plan.model.letter
        if self.planned.file == model:
            return None
        return next(
            (
                one
                for one in self._others(measurements)
                if one.planned.file == model and one.planned.engine is self.planned.engine and self._is_comparable(one)
            ),
            None,
        )

    def _is_comparable(self, other: Given) -> bool:
        """Whether both continue the same tokens, as far as there is any text."""
        a, b = self.answer, other.answer
        return a.text is None or b.text is None or (a.note, a.prompt_tokens) == (b.note, b.prompt_tokens)

    def by_other_engines(self, measurements: Measurements) -> list[Given]:
        """What other engines answer to the same prompt with the same file, of those that saw its own tokens."""
        return [
            one
            for one in self._others(measurements)
            if one.planned.file == self.planned.file
            and one.planned.engine is not self.planned.engine
            and not one.answer.note
            and one.answer.ending not in (Ending.TOO_LONG, Ending.NOT_RUN)
        ]

    def _others(self, measurements: Measurements) -> Iterator[Given]:
        """Answers of the run to the same prompt on the same backend."""
        for planned in measurements.plan.scenarios:
            result = measurements.record.scenarios.get(planned.scenario_id)
            asked = planned.backend, planned.modality
            if result is None or asked != (self.planned.backend, self.planned.modality):
                continue
            for answer in result.answers:
                if answer.prompt == self.answer.prompt:
                    yield Given(planned, result, answer)


def whose_fault(given: Given, measurements: Measurements) -> Fault:
    """Whose fault it is that an answer is none, or a bad one."""
    model, others = given.by_model(measurements), given.by_other_engines(measurements)
    good = [one for one in others if one.is_good]
    if given.answer.note and good:
        return Fault(Who.ENGINE, f"it was asked other tokens: {given.answer.note}")
    if good:
        return Fault(Who.ENGINE, f"a fault of the engine: {good[0].planned.engine} answers well from the same file")
    if model is not None and not model.is_good:
        return Fault(Who.MODEL, f"{given.planned.engine} does no better with the model itself")
    if others:
        words = f"{others[0].planned.engine} does no better with the same file"
        is_model = given.planned.file == measurements.plan.model.letter
        return Fault(Who.MODEL if is_model else Who.FILE, f"a fault of the file: {words}")
    if model is not None:
        return Fault(Who.FILE, f"a fault of the file: {given.planned.engine} answers well from the model itself")
    return Fault(Who.OPEN, "no other engine ran the same file, so that file and engine are not told apart")


def agreements(given: Sequence[Given]) -> dict[str, list[str]]:
    """How often two engines continue a prompt with the same ids from the same file and the same tokens."""
    counts: dict[tuple[str, str], list[bool]] = {}
    for at, one in enumerate(given):
        for other in given[at + 1 :]:
            if one.planned.file != other.planned.file or one.planned.backend is not other.planned.backend:
                continue
            pair = one.answer, other.answer
            if pair[0].prompt != pair[1].prompt or pair[0].note or pair[1].note or None in (pair[0].ids, pair[1].ids):
                continue
            engines = f"{one.planned.engine} and {other.planned.engine}"
            counts.setdefault((one.planned.file, engines), []).append(pair[0].ids == pair[1].ids)
    texts = [
        f"{file}: {engines} continue {sum(same)} of {len(same)} prompts with the same tokens"
        for (file, engines), same in counts.items()
    ]
    return {"engines_on_the_same_file": texts} if texts else {}
