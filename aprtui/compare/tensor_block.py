"""One stored block beside what it encodes: scale, codes, values, and what each clause of the certificate measured."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aprtui.compare.certificate import BlockMeasures, Certifier
from aprtui.compare.tensor_errors import Float64s, SpanBlocks, block_flags
from aprtui.core.dtypes import DType, Family
from aprtui.core.errors import UsageError
from aprtui.core.tolerance import FORMULA_TYPES, Tolerance
from aprtui.formats.chunk import Chunk
from aprtui.formats.codecs import decode_chunk
from aprtui.formats.codecs.block_layout import LAYOUTS, BlockLayout, unpack
from aprtui.formats.container import StoredTensor
from aprtui.formats.layout.plan import TensorPair
from aprtui.formats.views import Stored, View


@dataclass(frozen=True, slots=True)
class ClauseFact:
    """One clause of the certificate on one block (docs/certificate.md).

    Attributes:
        clause: "codes", "scale" or "zero".
        holds: Whether the block keeps it.
        measured: What was measured, by name: `code_steps` outside the cell, `scale_ulp` from the formula, `error_ratio`
            and `step_ratio` over their bounds of 1, `zero_scale` 1 where the scale is zero.
    """

    clause: str
    holds: bool
    measured: dict[str, float]


@dataclass(frozen=True, slots=True)
class StoredParts:
    """What a block stores; value = scale * sub_scale * levels[code] - min * sub_min.

    Attributes:
        scale: The scale.
        min: The minimum, subtracted; None where the type has none.
        sub_scales: Integer scale of each sub-block; empty where there are none.
        sub_mins: Integer multiplier of the minimum for each sub-block; empty where there are none.
        codes: Code of each element, counted from 0.
        levels: Value of each code in steps.
    """

    scale: float
    min: float | None
    sub_scales: tuple[int, ...]
    sub_mins: tuple[int, ...]
    codes: tuple[int, ...]
    levels: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class BlockDetail:
    """One block of the target.

    Attributes:
        index: Number of the block in the tensor.
        row: Row of its first element.
        column: Column of its first element.
        parts: What it stores; None for types of which only values can be read.
        source: What the elements should be.
        decoded: What they are.
        clauses: Of the certificate; empty where the tensor is not certified.
    """

    index: int
    row: int
    column: int
    parts: StoredParts | None
    source: tuple[float, ...]
    decoded: tuple[float, ...]
    clauses: tuple[ClauseFact, ...]


def has_blocks(dtype: DType) -> bool:
    """Whether single blocks of a type can be shown; AprQ8 has one scale for the whole tensor."""
    return dtype.info.family is Family.BLOCK and dtype.info.block > 1


@dataclass(frozen=True, slots=True)
class BlockGrid:
    """How the elements of a tensor lie in blocks.

    Attributes:
        tensor: A tensor whose type has blocks.
    """

    tensor: StoredTensor

    @property
    def _per_row(self) -> int:
        """Blocks of a row; 0 where blocks run on across rows."""
        block = self.tensor.dtype.info.block
        return 0 if self.tensor.runs_on else -(-self.tensor.columns // block)

    @property
    def blocks(self) -> int:
        """Blocks of the tensor."""
        tensor = self.tensor
        if not self._per_row:
            return -(-tensor.elements // tensor.dtype.info.block)
        return tensor.elements // max(1, tensor.columns) * self._per_row

    def block_of(self, element: int) -> int:
        """The block of an element."""
        block = self.tensor.dtype.info.block
        if not self._per_row:
            return element // block
        row, column = divmod(element, self.tensor.columns)
        return row * self._per_row + column // block

    def span(self, block: int) -> tuple[int, int]:
        """Elements [start, stop) of a block, without padding."""
        size, columns = self.tensor.dtype.info.block, self.tensor.columns
        if not self._per_row:
            return block * size, min((block + 1) * size, self.tensor.elements)
        row, place = divmod(block, self._per_row)
        return row * columns + place * size, row * columns + min((place + 1) * size, columns)


class WorstBlock:
    """Finds the block that is furthest from honest: violations first, then codes, bounds, scale; the first of equals.

    Attributes:
        index: Its number; None before any was added.
    """

    def __init__(self) -> None:
        self.index: int | None = None
        self._blocks = 0
        self._key: tuple[float, ...] = ()

    def add(self, blocks: SpanBlocks, certifier: Certifier) -> None:
        """Take the next blocks."""
        clauses = certifier.deciding(blocks.measures)
        measured = (
            blocks.flags.any_clause.astype(np.float64),
            clauses.code_steps,
            np.maximum(clauses.error_ratio, clauses.step_ratio),
            clauses.scale_ulp,
        )
        keys = [np.nan_to_num(one, nan=np.inf) for one in measured]
        if len(keys[0]):
            number = int(np.lexsort((-np.arange(len(keys[0])), *reversed(keys)))[-1])
            key = tuple(float(one[number]) for one in keys)
            if self.index is None or key > self._key:
                self.index, self._key = self._blocks + number, key
        self._blocks += len(keys[0])


def read_elements(view: View, start: int, stop: int) -> Float64s:
    """Elements [start, stop) of a view wherever its granules lie, float64."""
    low, chunk = _cover(view, start, stop)
    values = np.asarray(decode_chunk(chunk), np.float64).reshape(-1)
    return values[start - low : stop - low]


def _cover(view: View, start: int, stop: int) -> tuple[int, Chunk]:
    granule = view.granule
    low = start // granule * granule
    return low, view.read(low, min(-(-stop // granule) * granule, view.elements))


def block_detail(pair: TensorPair, number: int, tolerance: Tolerance, certifier: Certifier | None) -> BlockDetail:
    """Read one block of the target and what it encodes.

    Args:
        pair: Source view and stored target of the same shape.
        number: Of the block.
        tolerance: What is allowed.
        certifier: Fed with the whole tensor; None where it is not certified.

    Raises:
        UsageError: The target has no such block.
    """
    grid, dtype = BlockGrid(pair.target), pair.target.dtype
    if not has_blocks(dtype):
        raise UsageError(f"{pair.name} is stored as {dtype}, which has no blocks to show", todo="leave --block out")
    if not 0 <= number < grid.blocks:
        last = grid.blocks - 1
        raise UsageError(f"{pair.name} has no block {number}", todo=f"its blocks are numbered 0 to {last}")
    start, stop = grid.span(number)
    target = Stored(pair.target)
    source, decoded = (read_elements(view, start, stop) for view in (pair.source, target))
    raw = _raw_block(target, start, stop)
    row, column = divmod(start, target.columns)
    return BlockDetail(
        index=number,
        row=row,
        column=column,
        parts=_parts(LAYOUTS[dtype], raw, stop - start) if dtype in LAYOUTS else None,
        source=tuple(source.tolist()),
        decoded=tuple(decoded.tolist()),
        clauses=() if certifier is None else _clauses(source, raw, tolerance, certifier),
    )


def _parts(layout: BlockLayout, raw: NDArray[np.uint8], elements: int) -> StoredParts:
    parts = unpack(layout, raw)
    return StoredParts(
        scale=float(parts.scale[0]),
        min=None if layout.offset_at is None else float(parts.offset[0]),
        sub_scales=_integers(parts.sub_scales) if layout.sub_scales else (),
        sub_mins=_integers(parts.sub_mins) if layout.sub_mins else (),
        codes=tuple(parts.codes[0, :elements].tolist()),
        levels=tuple(layout.levels.tolist()),
    )


def _integers(values: NDArray[np.float32]) -> tuple[int, ...]:
    return tuple(int(value) for value in values[0])


def _raw_block(target: Stored, start: int, stop: int) -> NDArray[np.uint8]:
    """The bytes of one block, uint8 [1, nbytes]."""
    info = target.dtype.info
    low, chunk = _cover(target, start, stop)
    at = (start - low) // info.block * info.nbytes
    return np.ascontiguousarray(chunk.data[at : at + info.nbytes]).reshape(1, info.nbytes)


def _clauses(
    source: Float64s, raw: NDArray[np.uint8], tolerance: Tolerance, certifier: Certifier
) -> tuple[ClauseFact, ...]:
    dtype = tolerance.dtype
    chunk = Chunk(dtype, raw.reshape(-1), 1, len(source), 0 if dtype.info.flat else raw.size)
    measures: BlockMeasures = Certifier(dtype, importance_matrix=certifier.importance_matrix).update(
        source.astype(np.float32).reshape(1, -1), chunk
    )
    flags, clauses = block_flags(measures, tolerance, certifier), certifier.deciding(measures)
    if dtype in FORMULA_TYPES and clauses is measures.plain:
        scale = {"scale_ulp": float(clauses.scale_ulp[0])}
    else:
        scale = {"error_ratio": float(clauses.error_ratio[0]), "step_ratio": float(clauses.step_ratio[0])}
    return (
        ClauseFact("codes", not flags.codes[0], {"code_steps": float(clauses.code_steps[0])}),
        ClauseFact("scale", not flags.scales[0], scale),
        ClauseFact("zero", not flags.zeros[0], {"zero_scale": float(measures.zero_scale[0])}),
    )
