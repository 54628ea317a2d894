"""The order of a run: the model, then each conversion before the gates that need it, each made once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from aprtui.core.events import ConversionFailed, ConversionFinished
from aprtui.store.plan import PlannedConversion, PlannedGate, RunPlan

MODEL = "model"
"""The first step: reading the run's model."""


class Schedule:
    """Which steps can begin, which never will, which products nobody needs any more.

    Args:
        plan: The plan.
    """

    def __init__(self, plan: RunPlan) -> None:
        self.gates: dict[str, PlannedGate] = {gate.gate_id: gate for gate in plan.gates}
        self.conversions: dict[str, PlannedConversion] = {one.conversion_id: one for one in plan.conversions}
        self.made: dict[str, ConversionFinished] = {}
        self.failed: dict[str, ConversionFailed] = {}
        self._model_is_read = False
        self._begun: set[str] = set()

    def model_read(self, finished_before: Iterable[str]) -> None:
        """Gates can begin; some need not."""
        self._model_is_read = True
        for gate in finished_before:
            del self.gates[gate]

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
        for gate in self.gates.values():
            for needed in gate.needs:
                conversion = self.conversions[needed]
                has_source = conversion.source is None or conversion.source in self.made
                if has_source and needed not in self._begun:
                    yield needed
            if gate.gate_id not in self._begun and all(needed in self.made for needed in gate.needs):
                yield gate.gate_id

    def gate_done(self, gate: str) -> None:
        """A gate has its verdict."""
        del self.gates[gate]

    def without_product(self) -> list[tuple[PlannedGate, ConversionFailed]]:
        """Gates that cannot run, each with the conversion that failed."""
        return [
            (gate, self.failed[needed])
            for gate in self.gates.values()
            if (needed := next((one for one in gate.needs if one in self.failed), None)) is not None
        ]

    def unneeded(self) -> list[str]:
        """Conversions whose products no gate that is left needs; each is named once."""
        needed = {one for gate in self.gates.values() for one in gate.needs}
        unneeded = [conversion for conversion in self.made if conversion not in needed]
        for conversion in unneeded:
            del self.made[conversion]
        return unneeded
