"""A few rows of a tensor: hypotheses are tried on them before anything is measured as a whole."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aprtui.compare.weights import measure_pair, tolerance_of
from aprtui.core.dtypes import DType
from aprtui.core.tolerance import judge
from aprtui.formats.chunk import Chunk
from aprtui.formats.codecs import decode_chunk
from aprtui.formats.layout.plan import TensorPair
from aprtui.formats.views.base import Indices, OneBelow, View

Floats = NDArray[np.float32]

SPAN = 1 << 20
"""Elements that are decoded at a time."""

_ROWS = 6
_LARGEST = 1 << 18
_BAND_OF_WHOLE_TENSOR_TYPES = 1e-2


@dataclass(frozen=True, eq=False)
class RowSample(OneBelow):
    """Some rows of a view as a tensor of their own.

    Attributes:
        chosen: int64 row numbers.
    """

    chosen: Indices

    @property
    def shape(self) -> tuple[int, ...]:
        """As many rows as were chosen."""
        return (len(self.chosen), self.of.columns)

    @property
    def rule(self) -> str:
        """A sample."""
        return "sample"

    def gather(self, rows: Indices) -> Chunk:
        """Rows of the view below."""
        return self.of.gather(self.chosen[rows])


def sample_rows(view: View, worst_element: int = -1) -> Indices:
    """Row numbers to look at: the one with the worst element, and some that few permutations leave in place."""
    rows, columns = view.rows, max(1, view.columns)
    count = max(1, min(_ROWS, _LARGEST // columns, rows))
    seed = np.random.default_rng(rows)
    picked = [worst_element // columns] if worst_element >= 0 else []
    picked += [rows // 2, 1, rows - 2, *seed.integers(0, rows, 4 * _ROWS).tolist()]
    chosen = list(dict.fromkeys(row for row in picked if 0 <= row < rows))[:count]
    return np.array(sorted(chosen or [0]), np.int64)


def floats(view: View, rows: Indices) -> Floats:
    """Rows decoded, float32 [rows, columns]; float64 is rounded."""
    chunk = view.gather(rows)
    return decode_chunk(chunk).astype(np.float32).reshape(len(rows), max(1, view.columns))


def likeness(a: Floats, b: Floats) -> float:
    """Pearson correlation of the elements that are finite on both sides; 0 where one side is constant."""
    with np.errstate(all="ignore"):
        x, y = a.astype(np.float64).ravel(), b.astype(np.float64).ravel()
    finite = np.isfinite(x) & np.isfinite(y)
    x, y = x[finite], y[finite]
    if x.size < 2:
        return 0.0
    with np.errstate(all="ignore"):
        x, y = x - x.mean(), y - y.mean()
        size = float(np.sqrt((x @ x) * (y @ y)))
        value = float(x @ y) / size if size > 0 else 0.0
    return value if np.isfinite(value) else 0.0


def passes_on(pair: TensorPair, rows: Indices, *, importance_matrix: bool = False) -> bool:
    """Whether a pair is within its tolerance on these rows."""
    sampled = TensorPair(pair.name, RowSample(pair.source, rows), pair.target, pair.uses, RowSample(pair.view, rows))
    record = measure_pair(sampled, importance_matrix=importance_matrix)
    if pair.view.dtype is DType.APR_Q8:
        # Its one scale follows from the largest element of the whole tensor, which a sample does not have.
        return record.nmse < _BAND_OF_WHOLE_TENSOR_TYPES
    return judge(record, tolerance_of(pair)).passed
