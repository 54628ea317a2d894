"""The order of a run: the model, then each conversion before the comparisons that need it, each made once."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

from aprtui.core.events import ConversionFinished
from aprtui.store.plan import PlannedComparison, PlannedConversion, RunPlan

MODEL = "model"
"""The first step: reading the run's model."""


class Schedule:
    """Which steps can begin, and which products nobody needs any more.

    Attributes:
        comparisons: Those without a result, by id.
        conversions: All, by id.
        made: Products that are there, by the conversion's id.

    Args:
        plan: The plan.
    """

    def __init__(self, plan: RunPlan) -> None:
        self.comparisons: dict[str, PlannedComparison] = {one.comparison_id: one for one in plan.comparisons}
        self.conversions: dict[str, PlannedConversion] = {one.conversion_id: one for one in plan.conversions}
        self.made: dict[str, ConversionFinished] = {}
        self._model_is_read = False
        self._begun: set[str] = set()

    def model_read(self, finished_before: Collection[str]) -> None:
        """Comparisons can begin; some need not."""
        self._model_is_read = True
        for comparison in finished_before:
            del self.comparisons[comparison]

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
        for comparison in self.comparisons.values():
            needed = self.missing(comparison)
            for step in needed or (comparison.comparison_id,):
                source = self.conversions[step].source if step in self.conversions else None
                has_source = source is None or source not in self.conversions or source in self.made
                if has_source and step not in self._begun:
                    yield step

    def missing(self, comparison: PlannedComparison) -> tuple[str, ...]:
        """Conversions that have to be made before a comparison, first things first."""
        return tuple(dict.fromkeys(one for file in comparison.files for one in self._unmade(file)))

    def _unmade(self, file: str) -> list[str]:
        """A conversion and those that it starts from, as far as they are not made, first things first."""
        chain: list[str] = []
        while file in self.conversions and file not in self.made:
            chain.append(file)
            file = self.conversions[file].source
        return chain[::-1]

    def without(self, conversion: str) -> list[PlannedComparison]:
        """Comparisons that cannot run without the product of a conversion."""
        return [one for one in self.comparisons.values() if conversion in self.missing(one)]

    def done(self, comparison: str) -> None:
        """A comparison has its result."""
        del self.comparisons[comparison]

    def unneeded(self) -> list[ConversionFinished]:
        """Products that no comparison that is left needs; each is named once."""
        needed = {file for one in self.comparisons.values() for file in self._needed(one.files)}
        unneeded = [conversion for conversion in self.made if conversion not in needed]
        return [self.made.pop(conversion) for conversion in unneeded]

    def _needed(self, files: Iterable[str]) -> Iterator[str]:
        """Products that files come from: each file itself, or what is there of the chain that leads to it."""
        for file in files:
            unmade = self._unmade(file)
            yield self.conversions[unmade[0]].source if unmade else file
