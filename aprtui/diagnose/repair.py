"""Writes the repaired model: the product's own bytes where a repair can move them, the source's where they are lost.

Names, shapes, metadata and tokenizer are written as the built-in converter writes them for the product's format.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

from aprtui.convert.builtin.product import Progress, write_tensors
from aprtui.convert.builtin.tensors import ProductTensor, product_tensors
from aprtui.core.causes import Repair, cause_named
from aprtui.core.dtypes import DType, Family
from aprtui.core.outcomes import Level
from aprtui.diagnose.onion import Explained
from aprtui.diagnose.proof import Proved
from aprtui.formats.codecs import ENCODABLE
from aprtui.formats.layout.plan import TensorPair
from aprtui.formats.model import Model
from aprtui.formats.output_types import OutputTypes, parse_output_type
from aprtui.formats.views import Stored, View


class Taken(StrEnum):
    """Where the bytes of a repaired tensor come from."""

    KEPT = "kept as they are"
    REARRANGED = "rearranged"
    SOURCE = "taken from the source"
    LEFT = "left as they are, though they are wrong"


@dataclass(frozen=True, slots=True)
class Repaired:
    """What became of a repaired model.

    Attributes:
        path: The file, or the directory of SafeTensors.
        tensors: Where the bytes of each tensor come from, by canonical name.
        lacks: What the file lacks that the source has.
    """

    path: Path
    tensors: Mapping[str, Taken]
    lacks: tuple[str, ...]


def write_repaired(
    source: Model,
    target: Model,
    explained: Explained,
    path: Path,
    *,
    asked_for: OutputTypes | None,
    progress: Progress | None = None,
) -> Repaired:
    """Write the product as the diagnosis repairs it.

    Args:
        source: A.
        target: B.
        explained: The diagnosis of B.
        path: The file to write; for SafeTensors the directory.
        asked_for: Output type of tensors that B lacks; lossless by default.
        progress: Told while tensors are written.

    Raises:
        AprtuiError: The file cannot be written, or the source cannot be laid out for the format.
    """
    asked = asked_for or parse_output_type("lossless")
    repair = _Repair(explained)
    tensors: list[ProductTensor] = []
    taken: dict[str, Taken] = {}
    for wanted in product_tensors(source, target.format, asked):
        tensor, taken[wanted.canonical] = repair.tensor(wanted)
        tensors.append(tensor)
    lacks = write_tensors(source, target.format, path, tensors, asked_for=asked, progress=progress)
    return Repaired(path, taken, lacks)


class _Repair:
    def __init__(self, explained: Explained) -> None:
        self.proved = explained.proved
        self.pairs = {pair.name: pair for pair in (*explained.plan.pairs, *explained.pairs)}
        # Bytes whose place is not known, and types that should be others.
        self.replaced = {
            member
            for named in explained.diagnosis.causes
            if named.cause.level is Level.INTEGRITY
            or (named.cause.level is Level.STRUCTURE and named.cause.repair is Repair.RESTORE)
            for member in named.members
        }
        self.holders = {
            step.origin: item.pair.target
            for item in self.proved.values()
            for step in item.found.steps
            if step.origin and len(item.found.steps) == 1
        }

    def tensor(self, wanted: ProductTensor) -> tuple[ProductTensor, Taken]:
        """One tensor of the repaired model."""
        name = wanted.canonical
        pair = self.pairs.get(name)
        if pair is None or name in self.replaced:
            return wanted, Taken.SOURCE
        if name not in self.proved:
            taken = Taken.KEPT if pair.repaired is None else Taken.REARRANGED
            return self._as_target(wanted, pair, pair.view, taken)
        return self._explained(wanted, self.proved[name], pair)

    def _explained(self, wanted: ProductTensor, item: Proved, pair: TensorPair) -> tuple[ProductTensor, Taken]:
        repairs = {cause_named(step.code).repair for step in item.found.steps}
        if repairs & {Repair.CONVERT_AGAIN, Repair.NONE}:
            return self._as_target(wanted, pair, pair.view, Taken.LEFT)
        if repairs == {Repair.REARRANGE} or item.pair.name in self.holders:
            holder = self.holders.get(item.pair.name)
            view = Stored(holder) if holder is not None else _undone(item)
            if view is not None:
                return self._as_target(wanted, pair, view, Taken.REARRANGED)
        return _from_source(wanted, pair.target.dtype), Taken.SOURCE

    def _as_target(
        self, wanted: ProductTensor, pair: TensorPair, view: View, taken: Taken
    ) -> tuple[ProductTensor, Taken]:
        """The product's values under the layout of the file to be written."""
        placed = _placed(pair.source, wanted.view, view)
        if placed is None or placed.shape != wanted.view.shape or _decodes_blocks(placed, pair.target.dtype):
            return _from_source(wanted, pair.target.dtype), Taken.SOURCE
        return replace(wanted, view=placed, dtype=placed.dtype), taken


def _from_source(wanted: ProductTensor, dtype: DType) -> ProductTensor:
    """The source's tensor in the product's type, where that can be encoded."""
    return replace(wanted, dtype=dtype) if dtype in ENCODABLE or dtype is DType.APR_Q8 else wanted


def _decodes_blocks(view: View, stored: DType) -> bool:
    """Whether blocks would have to be encoded a second time."""
    return stored.info.family is Family.BLOCK and view.dtype.info.family is not Family.BLOCK


def _undone(item: Proved) -> View | None:
    """The product as it should be: what was done to the source, undone from the last step to the first."""
    return _undo(item.found.target, item.found.source, lambda made: made is item.pair.source)


def _placed(expected: View, wanted: View, view: View) -> View | None:
    """A view in the product's layout as a view in the layout to be written; both come from one source tensor."""
    if expected.rules == wanted.rules:
        return view
    stored = _undo(view, expected, lambda made: isinstance(made, Stored))
    return stored if isinstance(wanted, Stored) else None


def _undo(view: View, made: View, is_reached: Callable[[View], bool]) -> View | None:
    """A view of what `made` shows, back to where its chain reaches something; None where a step cannot be undone."""
    while not is_reached(made):
        if len(made.below) != 1:
            return None
        undone = made.undo(view)
        if undone is None:
            return None
        view, made = undone, made.below[0]
    return view
