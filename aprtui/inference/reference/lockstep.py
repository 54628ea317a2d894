"""Two models layer by layer: what the source's parts take and give is kept, and the other model's parts are held to it.

Each part of the other model runs twice: on what the source's own part was fed (its own error), and in its own chain
(the error it inherits). Where both are equal bit for bit it runs once. What the source showed lies in files, so that
memory does not grow with the number of layers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from math import inf, isfinite, sqrt
from pathlib import Path
from typing import Any

import numpy as np
import torch

from aprtui.core.behaviour import ErrorMeasure, LayerError
from aprtui.inference.reference.model import Call, ReferenceModel, Unit

_WHOLE = ""


@dataclass(slots=True)
class _Shown:
    """What a unit took and gave.

    Attributes:
        taken: Its first argument.
        given: Outputs by module inside it, in order of execution; the whole unit last.
    """

    taken: torch.Tensor
    given: dict[str, torch.Tensor]


class SourceRecorder:
    """Keeps what the source's units take and give, at the positions that count.

    Args:
        model: The source.
        folder: Where files go.
        kept: bool [sequences, positions]: which positions are compared.
    """

    def __init__(self, model: ReferenceModel, folder: Path, kept: torch.Tensor) -> None:
        self.kept = kept
        self.order: list[str] = []
        self._folder = folder
        self._blocks = {unit.name: _blocks(unit) for unit in model.units}

    def run(self, unit: Unit, call: Call, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:  # noqa: ANN401
        """Run the unit and keep what it showed."""
        taken = _first(args, kwargs)
        with _captured(self._blocks[unit.name]) as given:
            output = call(*args, **kwargs)
        given[_WHOLE] = _tensor(output)
        at = len(self.order)
        self.order.append(unit.name)
        np.save(self._folder / f"{at}.npy", taken.cpu().numpy())
        for number, (name, values) in enumerate(given.items()):
            np.save(self._folder / f"{at}.{number}.npy", self._at_kept(values).cpu().numpy())
            (self._folder / f"{at}.{number}.name").write_text(name, encoding="utf-8")
        return output

    def shown(self, unit: str) -> _Shown:
        """What a unit of the source showed."""
        at = self.order.index(unit)
        given, number = {}, 0
        while (path := self._folder / f"{at}.{number}.npy").is_file():
            name = (self._folder / f"{at}.{number}.name").read_text(encoding="utf-8")
            given[name] = torch.from_numpy(np.load(path))
            number += 1
        return _Shown(torch.from_numpy(np.load(self._folder / f"{at}.npy")), given)

    def _at_kept(self, values: torch.Tensor) -> torch.Tensor:
        """float32 [kept positions, features]; a tensor without positions of its own is kept whole."""
        return at_positions(values, self.kept)


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

    def run(self, unit: Unit, call: Call, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:  # noqa: ANN401
        """Run the unit on the source's input and on its own."""
        if unit.name not in self.source.order:
            return call(*args, **kwargs)
        shown = self.source.shown(unit.name)
        taken = _first(args, kwargs)
        theirs = shown.taken.to(taken.device)
        blocks = _blocks(unit)
        with _captured(blocks) as chain:
            output = call(*args, **kwargs)
        chain[_WHOLE] = _tensor(output)
        own = chain
        if taken.shape == theirs.shape and not torch.equal(taken, theirs):
            with _captured(blocks) as own:
                own_output = call(*_with_first(args, theirs), **_named_first(args, kwargs, theirs))
            own[_WHOLE] = _tensor(own_output)
        for name, expected in shown.given.items():
            if name in own:
                pair = [at_positions(values[name], self.source.kept) for values in (own, chain)]
                alone, inherited = (measure(expected.to(values.device), values) for values in pair)
                explained = self.explained(unit.name, name)
                self.errors.append(LayerError(unit.name, name, alone, inherited, explained))
                self.measured(self.errors[-1])
        self.told(unit)
        return output


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


def at_positions(values: torch.Tensor, kept: torch.Tensor) -> torch.Tensor:
    """The rows [kept positions, features] of [sequences, positions, features]; anything else as it is."""
    if values.dim() == 3 and values.shape[:2] == kept.shape:
        return values[kept.to(values.device)]
    return values


def _blocks(unit: Unit) -> dict[str, torch.nn.Module]:
    """The modules directly inside a layer that have weights."""
    return {name: child for name, child in unit.module.named_children() if any(True for _ in child.parameters())}


@contextmanager
def _captured(blocks: dict[str, torch.nn.Module]) -> Iterator[dict[str, torch.Tensor]]:
    """Outputs of modules by name, in the order in which they run."""
    found: dict[str, torch.Tensor] = {}

    def keep(name: str) -> Callable[..., None]:
        def hook(_module: torch.nn.Module, _args: Any, output: Any) -> None:  # noqa: ANN401
            found[name] = _tensor(output)

        return hook

    handles = [module.register_forward_hook(keep(name)) for name, module in blocks.items()]
    try:
        yield found
    finally:
        for handle in handles:
            handle.remove()


def _tensor(output: Any) -> torch.Tensor:  # noqa: ANN401
    first: torch.Tensor = output[0] if isinstance(output, tuple | list) else output
    return first


def _first(args: tuple[Any, ...], kwargs: dict[str, Any]) -> torch.Tensor:
    first: torch.Tensor = args[0] if args else next(iter(kwargs.values()))
    return first


def _with_first(args: tuple[Any, ...], first: torch.Tensor) -> tuple[Any, ...]:
    return (first, *args[1:]) if args else ()


def _named_first(args: tuple[Any, ...], kwargs: dict[str, Any], first: torch.Tensor) -> dict[str, Any]:
    return kwargs if args else {**kwargs, next(iter(kwargs)): first}
