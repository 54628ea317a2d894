"""Two models layer by layer: what the source's parts take and give is kept, and the other model's parts are held to it.

Each part of the other model runs twice: on what the source's own part was fed (its own error), and in its own chain
(the error it inherits). Where both are equal bit for bit it runs once. A module inside a layer, too, is fed what the
source fed its own, so that an error of attention is not one of the MLP behind it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from math import inf, isfinite, sqrt
from typing import Any

import torch

from aprtui.core.behaviour import ErrorMeasure, LayerError
from aprtui.inference.reference.capture import (
    at_positions,
    blocks_of,
    captured,
    first_of,
    named_first,
    tensor_of,
    with_first,
)
from aprtui.inference.reference.model import Call, Unit
from aprtui.inference.reference.recorder import WHOLE, SourceRecorder


@dataclass(slots=True)
class LockstepObserver:
    """Holds every unit of another model to the source's.

    Attributes:
        source: What the source showed.
        told: Told each unit that has run.
        explained: What a conversion explains of the own error of a module in a unit (NMSE); None where nothing.
        measured: Told each entry.
        errors: One entry for each module and unit, in order of execution.
    """

    source: SourceRecorder
    told: Callable[[Unit], None] = lambda _: None
    explained: Callable[[str, str], float | None] = lambda _unit, _block: None
    measured: Callable[[LayerError], None] = lambda _: None
    errors: list[LayerError] = field(default_factory=list)
    _seen: int = 0

    def run(self, unit: Unit, call: Call, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:  # noqa: ANN401
        """Run the unit on the source's input and on its own."""
        if unit.name not in self.source.order:
            output = call(*args, **kwargs)
            if self.source.order:
                self._add_one_sided(unit.name)
            return output
        self._add_missing(before=unit.name)
        shown = self.source.shown(unit.name)
        taken = first_of(args, kwargs)
        theirs = shown.taken.to(taken.device)
        blocks = blocks_of(unit)
        fed = {} if taken.shape == theirs.shape and not torch.equal(taken, theirs) else shown.fed
        with captured(blocks, fed, self.source.kept) as chain:
            output = call(*args, **kwargs)
        chain.given[WHOLE] = tensor_of(output)
        own = chain
        if fed is not shown.fed:
            with captured(blocks, shown.fed, self.source.kept) as own:
                own_output = call(*with_first(args, theirs), **named_first(args, kwargs, theirs))
            own.given[WHOLE] = tensor_of(own_output)
        for name, expected in shown.given.items():
            if name in own.given:
                alone, inherited = (
                    measure(expected.to(values.device), at_positions(values, self.source.kept))
                    for values in (own.alone.get(name, own.given[name]), chain.given[name])
                )
                explained = self.explained(unit.name, name)
                self.errors.append(LayerError(unit.name, name, alone, inherited, explained))
                self.measured(self.errors[-1])
            else:
                self._add_one_sided(unit.name, name)
        self.told(unit)
        return output

    def _add_one_sided(self, unit: str, block: str = WHOLE) -> None:
        unlike = ErrorMeasure(inf, 1.0, inf)
        self.errors.append(LayerError(unit, block, unlike, unlike, self.explained(unit, block), one_sided=True))
        self.measured(self.errors[-1])

    def _add_missing(self, before: str) -> None:
        """Units that ran in the source before this one and that the other model does not have."""
        at = self.source.order.index(before)
        for name in self.source.order[self._seen : at]:
            self._add_one_sided(name)
        self._seen = at + 1


class ErrorSum:
    """The error of a tensor that comes in pieces, summed in float64."""

    def __init__(self) -> None:
        self._squared = self._power = self._other = self._product = self._largest = 0.0

    def add(self, expected: torch.Tensor, found: torch.Tensor) -> None:
        """Add a piece; pieces of other shapes, and values that are not finite, make the error infinite."""
        if expected.shape != found.shape or not bool(torch.isfinite(found).all()):
            self._squared = self._largest = inf
            return
        a, b = expected.double(), found.double()
        error = b - a
        self._squared += float((error * error).sum())
        self._power += float((a * a).sum())
        self._other += float((b * b).sum())
        self._product += float((a * b).sum())
        self._largest = max(self._largest, float(error.abs().max()) if error.numel() else 0.0)

    def result(self) -> ErrorMeasure:
        """The error so far."""
        if not self._squared:
            return ErrorMeasure(0.0, 0.0, 0.0)
        nmse = self._squared / self._power if self._power else inf
        norms = sqrt(self._power) * sqrt(self._other)
        distance = 1 - self._product / norms if norms and isfinite(self._squared) else 1.0
        return ErrorMeasure(nmse, max(0.0, distance), self._largest)


def measure(expected: torch.Tensor, found: torch.Tensor) -> ErrorMeasure:
    """The error of one tensor."""
    error = ErrorSum()
    error.add(expected, found)
    return error.result()
