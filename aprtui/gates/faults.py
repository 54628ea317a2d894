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

    @property
    def says_something(self) -> bool:
        """Whether it is good or bad: not out of time or memory, without a text, or undecided by every oracle."""
        answer = self.answer
        if answer.ending is Ending.ANSWERED:
            return answer.holds or bool(answer.failed)
        return answer.ending in (Ending.FAILED, Ending.CRASHED)

    def is_of_model(self, measurements: Measurements) -> bool:
        """Whether it is an answer from the model's own file."""
        return self.planned.file == measurements.plan.model.letter

    def by_model(self, measurements: Measurements) -> Given | None:
        """What the same engine answers to the same prompt, in the same tokens, with the model's own file.

        None where it was not asked.
        """
        if self.is_of_model(measurements):
            return None
        return next((one for one in self._of_model(measurements) if one.planned.engine is self.planned.engine), None)

    def by_model_elsewhere(self, measurements: Measurements) -> list[Given]:
        """What other engines answer to the same prompt, in the same tokens, with the model's own file."""
        return [one for one in self._of_model(measurements) if one.planned.engine is not self.planned.engine]

    def _of_model(self, measurements: Measurements) -> Iterator[Given]:
        for one in self._others(measurements):
            if one.is_of_model(measurements) and one.says_something and self._is_comparable(one):
                yield one

    def _is_comparable(self, other: Given) -> bool:
        """Whether both continue the tokens that belong to the prompt, or the same ones, as far as there is any text.

        Where each file gives the prompt tokens of its own, that is the file's doing as well.
        """
        a, b = self.answer, other.answer
        if a.text is None or b.text is None or not (a.note or b.note):
            return True
        return (a.note, a.prompt_tokens) == (b.note, b.prompt_tokens)

    def by_other_engines(self, measurements: Measurements) -> list[Given]:
        """What other engines answer to the same prompt with the same file, of those that saw its own tokens."""
        return [
            one
            for one in self._others(measurements)
            if one.planned.file == self.planned.file
            and one.planned.engine is not self.planned.engine
            and not one.answer.note
            and one.says_something
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


def who_is_it(*, model_here: bool | None, file_elsewhere: bool | None, model_elsewhere: bool | None) -> Who:
    """Where the fault of a bad answer lies, from three other answers to its prompt; None for one that is not there.

    Args:
        model_here: Whether the same engine answers well from the model itself.
        file_elsewhere: Whether another engine answers well from the same file.
        model_elsewhere: Whether another engine answers well from the model itself.
    """
    if file_elsewhere:
        return Who.ENGINE
    if model_here or (model_elsewhere and file_elsewhere is False):
        # The model can answer, and the engine, or another one beside it, cannot do so from this file.
        return Who.FILE
    if model_here is False:
        return Who.ENGINE if model_elsewhere else Who.MODEL
    return Who.MODEL if model_elsewhere is False else Who.OPEN


def whose_fault(given: Given, measurements: Measurements) -> Fault:
    """Whose fault it is that an answer is none, or a bad one."""
    model, others = given.by_model(measurements), given.by_other_engines(measurements)
    elsewhere = others if given.is_of_model(measurements) else given.by_model_elsewhere(measurements)
    file_answer, model_answer = _best(others), _best(elsewhere)
    who = who_is_it(
        model_here=None if model is None else model.is_good,
        file_elsewhere=None if file_answer is None else file_answer.is_good,
        model_elsewhere=None if model_answer is None else model_answer.is_good,
    )
    here, file_engine, model_engine = (
        "" if one is None else str(one.planned.engine) for one in (given, file_answer, model_answer)
    )
    if who is Who.ENGINE and file_answer is not None and file_answer.is_good:
        if given.answer.note:
            return Fault(who, f"it was asked other tokens: {given.answer.note}")
        return Fault(who, f"a fault of the engine: {file_engine} answers well from the same file")
    if who is Who.ENGINE:
        return Fault(who, f"a fault of the engine: {model_engine} answers well from the model itself, {here} does not")
    if who is Who.FILE:
        by = here if model is not None and model.is_good else model_engine
        return Fault(who, f"a fault of the file: {by} answers well from the model itself")
    if who is Who.MODEL:
        by = here if model is not None else model_engine
        return Fault(who, f"{by} does no better with the model itself")
    if file_answer is not None:
        return Fault(who, f"{file_engine} does no better with the same file; the model itself was not asked")
    return Fault(who, "no other engine ran the same file, so that file and engine are not told apart")


def _best(answers: Sequence[Given]) -> Given | None:
    """A good answer where there is one, else any."""
    return next((one for one in answers if one.is_good), next(iter(answers), None))


def agreements(given: Sequence[Given]) -> dict[str, list[str]]:
    """How often two engines continue a prompt with the same ids from the same file and the same tokens."""
    counts: dict[tuple[str, str], list[bool]] = {}
    for at, one in enumerate(given):
        for other in given[at + 1 :]:
            same = [(each.planned.file, each.planned.backend, each.planned.modality) for each in (one, other)]
            if same[0] != same[1]:
                continue
            pair = one.answer, other.answer
            if pair[0].prompt != pair[1].prompt or pair[0].note or pair[1].note or None in (pair[0].ids, pair[1].ids):
                continue
            engines = f"{one.planned.engine} and {other.planned.engine}"
            counts.setdefault((one.planned.file, engines), []).append(pair[0].ids == pair[1].ids)
    texts = [
        f"{file}: {engines} continue {sum(equal)} of {len(equal)} prompts with the same tokens"
        for (file, engines), equal in counts.items()
    ]
    return {"engines_on_the_same_file": texts} if texts else {}
