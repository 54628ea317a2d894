"""Everything that a page about one tensor shows: both sides, the judgement, where the errors sit, blocks and elements.

The tensor is read twice, in bounded memory: once for the statistics record and the certificate, as every comparison
does, and once for what waits for decisions about the whole tensor.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import sqrt
from pathlib import Path

import numpy as np

from aprtui.compare.tensor_block import BlockDetail, BlockGrid, WorstBlock, block_detail, has_blocks, read_elements
from aprtui.compare.tensor_errors import Float64s, error_ulps, span_errors
from aprtui.compare.tensor_places import MOST_CELLS, HeatGrid, HeatMap, Histogram, Region, WorstElements
from aprtui.compare.weights import (
    measure_segment,
    reason_not_compared,
    segments,
    stored_below,
    tensor_result,
    whole_certifier,
)
from aprtui.core.errors import UsageError
from aprtui.core.results import TensorResult
from aprtui.core.tolerance import OWN_RULES, ToleranceSettings
from aprtui.formats.layout.plan import TensorPair
from aprtui.formats.views import Stored, View


@dataclass(frozen=True, slots=True)
class Asked:
    """What to look at more closely.

    Attributes:
        block: Number of the block to take apart; None for the worst.
        rows: Rows [first, last) of the heat map; None for all.
        columns: Columns [first, last) of the heat map; None for all.
    """

    block: int | None = None
    rows: tuple[int, int] | None = None
    columns: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class SideStatistics:
    """The values of one side; mean, deviation and extremes are those of its finite elements.

    Attributes:
        min, max, mean, std: Of the finite elements, NaN where there is none; `std` is the population's.
        zeros: Elements equal to zero.
        nan: Elements that are not a number.
        inf: Infinite elements.
    """

    min: float
    max: float
    mean: float
    std: float
    zeros: int
    nan: int
    inf: int


@dataclass(frozen=True, slots=True)
class StoredFacts:
    """Where a tensor lies.

    Attributes:
        name: As its file spells it.
        file: The file.
        offset: First byte.
        nbytes: Bytes.
        dtype: Type.
        shape: Row-major shape.
    """

    name: str
    file: Path
    offset: int
    nbytes: int
    dtype: str
    shape: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class SideDetail:
    """One side.

    Attributes:
        stored: The stored tensors that are read; none where the side is computed from the configuration.
        statistics: Of its elements, through the layout's view.
    """

    stored: tuple[StoredFacts, ...]
    statistics: SideStatistics


@dataclass(frozen=True, slots=True)
class WorstElement:
    """An element that is far off.

    Attributes:
        index: In the shape of the target.
        source: What it should be.
        target: What it is.
        difference: Target - source.
        ulp: |difference| in ULP of the target's type at the source's value.
    """

    index: tuple[int, ...]
    source: float
    target: float
    difference: float
    ulp: float


@dataclass(frozen=True, slots=True)
class ElementValues:
    """Both values of every element of a small rectangle, row by row."""

    rows: tuple[int, int]
    columns: tuple[int, int]
    source: tuple[tuple[float, ...], ...]
    target: tuple[tuple[float, ...], ...]


@dataclass(frozen=True, slots=True)
class TensorDetail:
    """One tensor of a comparison.

    Attributes:
        result: What the comparison says of it.
        source: The source side.
        target: The target side.
        histogram: Finite errors other than zero by decade of |error|.
        outside: Those of them outside the tolerance, by decade; a decade that has none may be missing.
        heat: Where they sit.
        worst: At most 20 elements, those outside the tolerance first, then by |error|.
        block: The block that was asked for, else the worst; None where the target stores no blocks.
        elements: Both values of a region of at most 64 x 64 elements that was asked for; None otherwise.
    """

    result: TensorResult
    source: SideDetail
    target: SideDetail
    histogram: dict[int, int]
    outside: dict[int, int]
    heat: HeatMap
    worst: tuple[WorstElement, ...]
    block: BlockDetail | None
    elements: ElementValues | None


def tensor_detail(
    pair: TensorPair,
    asked: Asked,
    *,
    settings: ToleranceSettings = OWN_RULES,
    importance_matrix: bool = False,
) -> TensorDetail:
    """Measure one pair.

    Args:
        pair: Source view and stored target.
        asked: What to look at more closely.
        settings: Tolerances of the playbook in place of the rules' own.
        importance_matrix: The target's file says that one was used.

    Raises:
        UsageError: The pair cannot be compared, or what was asked for does not exist.
    """
    reason = reason_not_compared(pair)
    if reason is not None:
        raise UsageError(f"{pair.name} was not compared: {reason}")
    region = _region(pair, asked)
    target = Stored(pair.target)
    partials = [
        measure_segment(pair, segment, importance_matrix=importance_matrix) for segment in segments(pair.source, target)
    ]
    certifier = whole_certifier(pair.target.dtype, partials)
    result = tensor_result(pair, partials, settings)
    histogram, heat, worst, worst_block = Histogram(), HeatGrid(region, target.columns), WorstElements(), WorstBlock()
    sides, outside = (_Values(), _Values()), Histogram()
    for span in span_errors(pair, result.tolerance, certifier):
        sides[0].add(span.source)
        sides[1].add(span.target)
        if span.blocks is not None and certifier is not None:
            worst_block.add(span.blocks, certifier)
        if span.differing.any():
            histogram.add(span.magnitude)
            outside.add(span.magnitude[span.outside])
            heat.add(span)
            worst.add(span)
    number = _block_to_show(pair, asked, worst_block, worst)
    return TensorDetail(
        result=result,
        source=SideDetail(tuple(_stored(pair.source)), sides[0].statistics()),
        target=SideDetail(tuple(_stored(target)), sides[1].statistics()),
        histogram=histogram.counts(),
        outside=outside.counts(),
        heat=heat.result(),
        worst=tuple(_worst(pair, worst)),
        block=None if number is None else block_detail(pair, number, result.tolerance, certifier),
        elements=_elements(pair, region) if asked.rows or asked.columns else None,
    )


def _region(pair: TensorPair, asked: Asked) -> Region:
    view = Stored(pair.target)
    bounds = []
    for what, span, size in (("rows", asked.rows, view.rows), ("columns", asked.columns, view.columns)):
        first, last = span or (0, size)
        if not (0 <= first < last <= size or (span is None and not size)):
            raise UsageError(f"{pair.name} has no {what} {first}:{last}", todo=f"it has {size} {what}, from 0 on")
        bounds.append((first, last - first))
    return Region(*bounds[0], *bounds[1])


def _block_to_show(pair: TensorPair, asked: Asked, certified: WorstBlock, worst: WorstElements) -> int | None:
    if asked.block is not None or not has_blocks(pair.target.dtype):
        return asked.block
    if certified.index is not None:
        return certified.index
    return BlockGrid(pair.target).block_of(int(worst.index[0])) if len(worst.index) else None


def _stored(view: View) -> Iterator[StoredFacts]:
    for one in dict.fromkeys(stored.tensor for stored in stored_below(view)):
        yield StoredFacts(one.name, one.file, one.offset, one.nbytes, one.dtype.value, one.shape)


def _worst(pair: TensorPair, worst: WorstElements) -> Iterator[WorstElement]:
    ulps = error_ulps(worst.source, worst.magnitude, pair.target.dtype)
    for place, (flat, source, target) in enumerate(zip(worst.index, worst.source, worst.target, strict=True)):
        index = tuple(int(one) for one in np.unravel_index(int(flat), pair.target.shape or (1,)))
        yield WorstElement(index, float(source), float(target), float(target) - float(source), float(ulps[place]))


def _elements(pair: TensorPair, region: Region) -> ElementValues | None:
    """The values of a region; None where it is larger than a heat map has cells."""
    if region.rows > MOST_CELLS or region.columns > MOST_CELLS:
        return None
    columns = Stored(pair.target).columns
    starts = [row * columns + region.column for row in range(region.row, region.row + region.rows)]
    source, target = (
        tuple(tuple(read_elements(view, start, start + region.columns).tolist()) for start in starts)
        for view in (pair.source, Stored(pair.target))
    )
    rows, cells = (region.row, region.row + region.rows), (region.column, region.column + region.columns)
    return ElementValues(rows, cells, source, target)


class _Values:
    """Statistics of one side, span by span: means and squares are merged by Chan's formula, which does not cancel."""

    def __init__(self) -> None:
        self._count, self._mean, self._squares = 0, 0.0, 0.0
        self._min, self._max = np.inf, -np.inf
        self._zeros = self._nan = self._inf = 0

    def add(self, values: Float64s) -> None:
        finite = values[np.isfinite(values)]
        self._nan += int(np.count_nonzero(np.isnan(values)))
        self._inf += int(np.count_nonzero(np.isinf(values)))
        self._zeros += int(np.count_nonzero(values == 0))
        if not len(finite):
            return
        with np.errstate(over="ignore"):
            mean, count = float(finite.mean()), self._count + len(finite)
            squares = float(np.square(finite - mean).sum())
        apart = mean - self._mean
        self._squares += squares + apart * apart * self._count * len(finite) / count
        self._mean += apart * len(finite) / count
        self._count = count
        self._min, self._max = min(self._min, float(finite.min())), max(self._max, float(finite.max()))

    def statistics(self) -> SideStatistics:
        if not self._count:
            return SideStatistics(np.nan, np.nan, np.nan, np.nan, self._zeros, self._nan, self._inf)
        std = sqrt(self._squares / self._count)
        return SideStatistics(self._min, self._max, self._mean, std, self._zeros, self._nan, self._inf)
