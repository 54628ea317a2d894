"""The order of a run: the model, then each conversion before the steps that need it, each made once; time last."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

from aprtui.core.events import ConversionFinished
from aprtui.store.plan import PlannedConversion, PlannedScenario, PlannedStep, RunPlan

MODEL = "model"
"""The first step: reading the run's model."""


class Schedule:
    """Which steps can begin, and which products nobody needs any more.

    Attributes:
        left: Comparisons and scenarios without a result, by id.
        conversions: All, by id.
        made: Products that are there, by the conversion's id.

    Args:
        plan: The plan.
    """

    def __init__(self, plan: RunPlan) -> None:
        self.left: dict[str, PlannedStep] = {one.step: one for one in plan.steps}
        self.conversions: dict[str, PlannedConversion] = {one.conversion_id: one for one in plan.conversions}
        self.made: dict[str, ConversionFinished] = {}
        self._model_is_read = False
        self._begun: set[str] = set()

    def model_read(self, finished_before: Collection[str]) -> None:
        """Comparisons and scenarios can begin; some need not."""
        self._model_is_read = True
        for step in finished_before:
            del self.left[step]

    def ready(self) -> str | None:
        """The next step that can begin; it counts as begun."""
        step = next(self._ready_steps(), None)
        if step is not None:
            self._begun.add(step)
        return step

    def _ready_steps(self) -> Iterator[str]:
        if not self._model_is_read:
            yield from {MODEL} - self._begun
            return
        for planned in self.left.values():
            needed = self.missing(planned)
            if not needed and isinstance(planned, PlannedScenario) and planned.is_timed and not self._is_quiet():
                return
            for step in needed or (planned.step,):
                source = self.conversions[step].source if step in self.conversions else None
                has_source = source is None or source not in self.conversions or source in self.made
                if has_source and step not in self._begun:
                    yield step

    def _is_quiet(self) -> bool:
        """Whether nothing else is going on, so that time can be measured: steps that do stand at the end."""
        left = self.left.values()
        timed = all(isinstance(one, PlannedScenario) and one.is_timed for one in left)
        return timed and self._begun.isdisjoint({*self.left, *(step for one in left for step in self.missing(one))})

    def missing(self, planned: PlannedStep) -> tuple[str, ...]:
        """Conversions that have to be made before a comparison or a scenario, first things first."""
        return tuple(dict.fromkeys(one for file in planned.files for one in self._unmade(file)))

    def _unmade(self, file: str) -> list[str]:
        """A conversion and those that it starts from, as far as they are not made, first things first."""
        chain: list[str] = []
        while file in self.conversions and file not in self.made:
            chain.append(file)
            file = self.conversions[file].source
        return chain[::-1]

    def without(self, conversion: str) -> list[PlannedStep]:
        """Comparisons and scenarios that cannot run without the product of a conversion."""
        return [one for one in self.left.values() if conversion in self.missing(one)]

    def done(self, step: str) -> None:
        """A comparison or a scenario has its result."""
        del self.left[step]

    def unneeded(self) -> list[ConversionFinished]:
        """Products that nothing that is left needs; each is named once."""
        needed = {file for one in self.left.values() for file in self._needed(one.files)}
        unneeded = [conversion for conversion in self.made if conversion not in needed]
        return [self.made.pop(conversion) for conversion in unneeded]

    def _needed(self, files: Iterable[str]) -> Iterator[str]:
        """Products that files come from: each file itself, or what is there of the chain that leads to it."""
        for file in files:
            unmade = self._unmade(file)
            yield self.conversions[unmade[0]].source if unmade else file
