"""Views that change the shape: transpose, reshape, another name."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from aprtui.core.dtypes import DType
from aprtui.formats.chunk import Chunk
from aprtui.formats.views.base import Indices, InPlace, OneBelow, View, decoded, float_chunk, is_plain

_PANEL_ELEMENTS = 1 << 20


@dataclass(frozen=True)
class Transposed(OneBelow):
    """A matrix with rows and columns exchanged."""

    @property
    def shape(self) -> tuple[int, ...]:
        """The two dimensions reversed."""
        return (self.of.shape[1], self.of.shape[0])

    @property
    def dtype(self) -> DType:
        """Encoding of the view below where elements have bytes of their own, else float32."""
        return self.of.dtype if is_plain(self.of.dtype) else DType.F32

    @property
    def rule(self) -> str:
        """The operation."""
        return "transposed"

    def gather(self, rows: Indices) -> Chunk:
        """Columns of the view below, read panel by panel so that memory stays bounded."""
        below = self.of
        panel = max(1, _PANEL_ELEMENTS // max(1, below.columns))
        pieces = []
        for start in range(0, below.rows, panel):
            numbers = np.arange(start, min(start + panel, below.rows), dtype=np.int64)
            chunk = below.gather(numbers)
            if not is_plain(chunk.dtype):
                chunk = decoded(chunk, len(numbers), below.columns)
            items = chunk.data.view(f"V{chunk.dtype.info.nbytes}").reshape(len(numbers), below.columns)
            pieces.append(np.ascontiguousarray(items[:, rows].T))
        table = np.concatenate(pieces, axis=1)
        data = np.ascontiguousarray(table).reshape(-1).view(np.uint8)
        return Chunk(self.dtype, data, len(rows), self.columns, data.size // max(1, len(rows)))

    def undo(self, view: View) -> View:
        """Transposing again."""
        return Transposed(view)


@dataclass(frozen=True)
class Reshaped(OneBelow):
    """The same elements in another shape."""

    new_shape: tuple[int, ...]

    @property
    def shape(self) -> tuple[int, ...]:
        """The new shape."""
        return self.new_shape

    @property
    def dtype(self) -> DType:
        """Encoding of the view below where its rows or elements can be cut anew, else float32."""
        keeps = self.of.columns == self.columns or is_plain(self.of.dtype)
        return self.of.dtype if keeps else DType.F32

    @property
    def rule(self) -> str:
        """The new shape."""
        return f"reshaped to {list(self.new_shape)}"

    def gather(self, rows: Indices) -> Chunk:
        """Rows of the new shape, cut from the rows below that cover them."""
        if self.of.columns == self.columns or not len(rows):
            return self.of.gather(rows)
        pieces = [self._run(int(run[0]), len(run)) for run in np.split(rows, np.flatnonzero(np.diff(rows) != 1) + 1)]
        data = np.concatenate(pieces)
        return Chunk(self.dtype, data, len(rows), self.columns, self.columns * self.dtype.info.nbytes)

    def _run(self, first: int, count: int) -> NDArray[np.uint8]:
        """Bytes of consecutive rows, cut from the rows below that cover them."""
        width = max(1, self.of.columns)
        start, stop = first * self.columns, (first + count) * self.columns
        low, high = start // width, -(-stop // width)
        chunk = self.of.gather(np.arange(low, high, dtype=np.int64))
        if not is_plain(chunk.dtype):
            chunk = decoded(chunk, high - low, width)
        size = chunk.dtype.info.nbytes
        return chunk.data[(start - low * width) * size : (stop - low * width) * size]

    def undo(self, view: View) -> View:
        """Back to the shape below."""
        return Reshaped(view, self.of.shape)


@dataclass(frozen=True)
class PaddedRowsReadFlat(OneBelow):
    """Rows padded to whole blocks of `width`, then read as one run that knows nothing of the padding.

    Padding of a stored K-quant is what its blocks decode to there; of other views it is zero.
    """

    width: int

    @property
    def dtype(self) -> DType:
        """Read as float32."""
        return DType.F32

    @property
    def rule(self) -> str:
        """What went wrong."""
        return "padded rows read flat"

    def gather(self, rows: Indices) -> Chunk:
        """Rows of the right length, cut from the run of padded rows."""
        padded = -(-self.columns // self.width) * self.width
        places = rows[:, None] * self.columns + np.arange(self.columns)
        source_rows, columns = np.divmod(places, padded)
        needed, inverse = np.unique(source_rows, return_inverse=True)
        chunk = self.of.gather(needed.astype(np.int64))
        if chunk.row_bytes == padded // max(1, chunk.dtype.info.block) * chunk.dtype.info.nbytes:
            chunk = replace(chunk, columns=padded)
        values = decoded(chunk, len(needed), chunk.columns).data.view(np.float32).reshape(len(needed), -1)
        values = np.pad(values, ((0, 0), (0, padded - values.shape[1])))
        return float_chunk(values[inverse.reshape(places.shape), columns])


@dataclass(frozen=True)
class Aliased(InPlace):
    """Another tensor's elements under this name, as a tied head uses the embedding."""

    reason: str

    @property
    def rule(self) -> str:
        """Why the name stands for another tensor."""
        return self.reason

    def undo(self, view: View) -> View:
        """An alias changes nothing."""
        return view

    def _changed(self, chunk: Chunk) -> Chunk:
        return chunk
