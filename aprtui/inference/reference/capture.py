"""What the modules inside a layer take and give while it runs, and what they give when they are fed something else."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch

from aprtui.inference.reference.model import Unit


@dataclass(slots=True)
class Captured:
    """Tensors by module, in the order in which the modules ran.

    Attributes:
        fed: First arguments.
        given: Outputs.
        alone: Outputs of those that ran once more on another input.
    """

    fed: dict[str, torch.Tensor] = field(default_factory=dict)
    given: dict[str, torch.Tensor] = field(default_factory=dict)
    alone: dict[str, torch.Tensor] = field(default_factory=dict)


def blocks_of(unit: Unit) -> dict[str, torch.nn.Module]:
    """The modules directly inside a layer that have weights, and the norms inside those (of queries and keys)."""
    return {name: module for name, module in unit.module.named_modules() if name and _is_block(name, module)}


def _is_block(name: str, module: torch.nn.Module) -> bool:
    own = [parameter.dim() for parameter in module.parameters(recurse=False)]
    return set(own) == {1} if "." in name else any(True for _ in module.parameters())


@contextmanager
def captured(
    blocks: Mapping[str, torch.nn.Module], instead: Mapping[str, torch.Tensor], kept: torch.Tensor
) -> Iterator[Captured]:
    """Capture while a `with` block runs the layer.

    Args:
        blocks: Modules by name.
        instead: Inputs, at the positions that count, on which a module runs once more where its own differs.
        kept: bool [sequences, positions]: which positions count.
    """
    found = Captured()
    again: set[str] = set()

    def keep(name: str) -> Callable[..., None]:
        def hook(module: torch.nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> None:  # noqa: ANN401
            if again:  # It is run once more, and what is inside it with it.
                return
            taken = found.fed[name] = first_of(args, kwargs)
            found.given[name] = tensor_of(output)
            wanted = instead.get(name)
            if wanted is None or (theirs := _instead_of(taken, wanted, kept)) is None:
                return
            again.add(name)
            try:
                alone = module(*with_first(args, theirs), **named_first(args, kwargs, theirs))
            finally:
                again.discard(name)
            found.alone[name] = tensor_of(alone)

        return hook

    handles = [module.register_forward_hook(keep(name), with_kwargs=True) for name, module in blocks.items()]
    try:
        yield found
    finally:
        for handle in handles:
            handle.remove()


def _instead_of(taken: torch.Tensor, wanted: torch.Tensor, kept: torch.Tensor) -> torch.Tensor | None:
    """An input with other values at the positions that count; None where it has them already, or another shape."""
    wanted, mine = wanted.to(taken.device), at_positions(taken, kept)
    if mine.shape != wanted.shape or mine.dtype != wanted.dtype or torch.equal(mine, wanted):
        return None
    if mine is taken:
        return wanted
    return taken.masked_scatter(kept.to(taken.device).unsqueeze(-1), wanted)


def at_positions(values: torch.Tensor, kept: torch.Tensor) -> torch.Tensor:
    """The rows [kept positions, features] of [sequences, positions, features]; anything else as it is."""
    if values.dim() == 3 and values.shape[:2] == kept.shape:
        return values[kept.to(values.device)]
    return values


def tensor_of(output: Any) -> torch.Tensor:  # noqa: ANN401
    """What a module gives, without what it gives beside it."""
    first: torch.Tensor = output[0] if isinstance(output, tuple | list) else output
    return first


def first_of(args: tuple[Any, ...], kwargs: dict[str, Any]) -> torch.Tensor:
    """The first argument of a call."""
    first: torch.Tensor = args[0] if args else next(iter(kwargs.values()))
    return first


def with_first(args: tuple[Any, ...], first: torch.Tensor) -> tuple[Any, ...]:
    """Positional arguments with another first one."""
    return (first, *args[1:]) if args else ()


def named_first(args: tuple[Any, ...], kwargs: dict[str, Any], first: torch.Tensor) -> dict[str, Any]:
    """Named arguments with another first one, where there are no positional ones."""
    return kwargs if args else {**kwargs, next(iter(kwargs)): first}
