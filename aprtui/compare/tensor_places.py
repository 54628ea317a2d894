"""Where the errors of a tensor sit: a histogram over decades, a heat map, the worst elements; memory bounded."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aprtui.compare.tensor_errors import Float64s, SpanErrors

MOST_CELLS = 64
"""Rows and columns of a heat map, at most."""

WORST_KEPT = 20

_LOWEST_DECADE, _HIGHEST_DECADE = -324, 308
_EDGES = np.array([float(f"1e{decade}") for decade in range(_LOWEST_DECADE, _HIGHEST_DECADE + 1)])


class Histogram:
    """Finite errors other than zero by decade: decade d counts 10^d <= |error| < 10^(d + 1)."""

    def __init__(self) -> None:
        self._counts = np.zeros(len(_EDGES), np.int64)

    def add(self, magnitude: Float64s) -> None:
        """Count errors, float64 [n]."""
        counted = magnitude[(magnitude > 0) & np.isfinite(magnitude)]
        if counted.size:
            # The smallest double, 4.9e-324, is the first edge.
            decades = np.searchsorted(_EDGES, counted, side="right") - 1
            self._counts += np.bincount(decades, minlength=len(_EDGES))

    def counts(self) -> dict[int, int]:
        """Count by decade, from the lowest to the highest that has any, without gaps."""
        found = np.flatnonzero(self._counts)
        if not len(found):
            return {}
        return {place + _LOWEST_DECADE: int(self._counts[place]) for place in range(found[0], found[-1] + 1)}


@dataclass(frozen=True, slots=True)
class Region:
    """A rectangle of a tensor's elements; rows and columns as of a `View`.

    Attributes:
        row: First row.
        rows: How many.
        column: First column.
        columns: How many.
    """

    row: int
    rows: int
    column: int
    columns: int


@dataclass(frozen=True, slots=True)
class HeatMap:
    """A region cut into cells.

    Attributes:
        rows: Rows of cells.
        columns: Columns of cells.
        row: First row of elements.
        column: First column of elements.
        row_step: Rows of elements in a cell; fewer in the last.
        column_step: Columns of elements in a cell.
        max_error: Largest |error| of each cell, row by row; `inf` where one side is not a number.
        violations: Elements outside the tolerance in each cell.
    """

    rows: int
    columns: int
    row: int
    column: int
    row_step: int
    column_step: int
    max_error: tuple[tuple[float, ...], ...]
    violations: tuple[tuple[int, ...], ...]


class HeatGrid:
    """Fills a heat map from spans.

    Args:
        region: What to show.
        tensor_columns: Length of the tensor's rows.
    """

    def __init__(self, region: Region, tensor_columns: int) -> None:
        self._region, self._tensor_columns = region, max(1, tensor_columns)
        self._steps = [max(1, -(-size // MOST_CELLS)) for size in (region.rows, region.columns)]
        sizes = (region.rows, region.columns)
        self._shape = tuple(-(-size // step) for size, step in zip(sizes, self._steps, strict=True))
        self._largest = np.zeros(self._shape[0] * self._shape[1])
        self._violations = np.zeros(len(self._largest), np.int64)

    def add(self, span: SpanErrors) -> None:
        """Take the elements of a span that differ and lie in the region."""
        places = np.flatnonzero(span.differing | span.outside)
        rows, columns = np.divmod(places + span.start, self._tensor_columns)
        rows, columns = rows - self._region.row, columns - self._region.column
        inside = (rows >= 0) & (rows < self._region.rows) & (columns >= 0) & (columns < self._region.columns)
        if not inside.any():
            return
        places = places[inside]
        cells = rows[inside] // self._steps[0] * self._shape[1] + columns[inside] // self._steps[1]
        np.maximum.at(self._largest, cells, span.magnitude[places])
        self._violations += np.bincount(cells[span.outside[places]], minlength=len(self._violations))

    def result(self) -> HeatMap:
        """The map of everything added."""
        largest, violations = self._largest.reshape(self._shape), self._violations.reshape(self._shape)
        return HeatMap(
            rows=self._shape[0],
            columns=self._shape[1],
            row=self._region.row,
            column=self._region.column,
            row_step=self._steps[0],
            column_step=self._steps[1],
            max_error=tuple(map(tuple, largest.tolist())),
            violations=tuple(map(tuple, violations.tolist())),
        )


class WorstElements:
    """The elements that are furthest off: those outside the tolerance first, then by |error|, then by index.

    Attributes:
        index: int64 [k]; flat row-major indices, worst first.
        source: float64 [k].
        target: float64 [k].
        magnitude: float64 [k].
    """

    def __init__(self) -> None:
        self.index: NDArray[np.int64] = np.zeros(0, np.int64)
        self.source, self.target, self.magnitude = np.zeros(0), np.zeros(0), np.zeros(0)
        self._outside = np.zeros(0, np.bool_)

    def add(self, span: SpanErrors) -> None:
        """Take the worst elements of a span."""
        places = np.flatnonzero(span.differing)
        if len(places) > WORST_KEPT:
            # One number for the partition: whatever is outside goes before whatever is not.
            size = np.minimum(span.magnitude[places], np.finfo(np.float64).max)
            rank = np.where(span.outside[places], -2.0, -1.0) - size / (1.0 + size)
            kth = np.partition(rank, WORST_KEPT - 1)[WORST_KEPT - 1]
            places = places[rank <= kth]
        index = np.concatenate([self.index, places + span.start])
        outside = np.concatenate([self._outside, span.outside[places]])
        magnitude = np.concatenate([self.magnitude, span.magnitude[places]])
        order = np.lexsort((index, -magnitude, ~outside))[:WORST_KEPT]
        self.index, self._outside, self.magnitude = index[order], outside[order], magnitude[order]
        self.source = np.concatenate([self.source, span.source[places]])[order]
        self.target = np.concatenate([self.target, span.target[places]])[order]
