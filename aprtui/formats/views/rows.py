"""Views that move whole rows or columns: permutation, slice, concatenation."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from aprtui.core.dtypes import DType
from aprtui.formats.chunk import Chunk
from aprtui.formats.views.base import Indices, OneBelow, View, decoded, is_plain


def rotary_order(heads: int, head_dim: int, *, rotary_dim: int | None = None) -> Indices:
    """Row order that turns half-split rotary pairs (Hugging Face) into adjacent pairs (GGUF's llama).

    llama.cpp `LlamaModel.permute`: `reshape(heads, 2, head_dim / 2, ...).swapaxes(1, 2)`.

    Args:
        heads: Heads of this tensor (kv heads for k).
        head_dim: Rows per head.
        rotary_dim: Rows per head that rotate; all by default.

    Returns:
        int64 [heads * head_dim]: for each target row the source row.
    """
    rotary = head_dim if rotary_dim is None else rotary_dim
    inside = np.arange(head_dim, dtype=np.int64)
    inside[:rotary] = inside[:rotary].reshape(2, rotary // 2).T.reshape(-1)
    return (np.arange(heads, dtype=np.int64)[:, None] * head_dim + inside).reshape(-1)


@dataclass(frozen=True, eq=False)
class RowsPermuted(OneBelow):
    """Rows in another order: row r is row `order[r]` of the view below. A vector counts as one column."""

    order: Indices
    reason: str

    @property
    def dtype(self) -> DType:
        """Encoding of the view below; float32 for a vector of blocks."""
        return self.of.dtype if self._by_row else DType.F32 if self.of.dtype.info.block > 1 else self.of.dtype

    @property
    def rule(self) -> str:
        """Why the rows move."""
        return self.reason

    @property
    def _by_row(self) -> bool:
        return len(self.of.shape) > 1

    def gather(self, rows: Indices) -> Chunk:
        """Rows of the view below under the permutation."""
        if self._by_row:
            return self.of.gather(self.order[rows])
        whole = self.of.read(0, self.of.elements)
        if whole.dtype.info.block > 1:
            whole = decoded(whole, 1, whole.elements)
        items = whole.data.reshape(self.of.elements, -1)
        data = np.ascontiguousarray(items[self.order]).reshape(-1)
        return Chunk(whole.dtype, data, 1, self.of.elements, data.size, whole.scale)

    def undo(self, view: View) -> View | None:
        """The opposite permutation; None where some rows come twice and others are lost."""
        if len(np.unique(self.order)) < len(self.order):
            return None
        return RowsPermuted(view, np.argsort(self.order).astype(np.int64), f"{self.reason}, undone")


@dataclass(frozen=True, eq=False)
class ColumnsPermuted(OneBelow):
    """Elements of every row in another order: column c is column `order[c]` of the view below."""

    order: Indices
    reason: str

    @property
    def dtype(self) -> DType:
        """Encoding of the view below where elements have bytes of their own, else float32."""
        return self.of.dtype if is_plain(self.of.dtype) else DType.F32

    @property
    def rule(self) -> str:
        """Why the columns move."""
        return self.reason

    def gather(self, rows: Indices) -> Chunk:
        """Rows of the view below, each under the permutation."""
        chunk = self.of.gather(rows)
        if not is_plain(chunk.dtype):
            chunk = decoded(chunk, len(rows), self.columns)
        items = chunk.data.view(f"V{chunk.dtype.info.nbytes}").reshape(len(rows), self.columns)
        data = np.ascontiguousarray(items[:, self.order]).reshape(-1).view(np.uint8)
        return Chunk(chunk.dtype, data, len(rows), self.columns, data.size // max(1, len(rows)))

    def undo(self, view: View) -> View:
        """The opposite permutation."""
        return ColumnsPermuted(view, np.argsort(self.order).astype(np.int64), f"{self.reason}, undone")


@dataclass(frozen=True)
class Sliced(OneBelow):
    """Rows [start, stop) of the first dimension."""

    start: int
    stop: int

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape with a shorter first dimension."""
        return (self.stop - self.start, *self.of.shape[1:])

    @property
    def dtype(self) -> DType:
        """Encoding of the view below; float32 for a vector of blocks."""
        return DType.F32 if len(self.of.shape) == 1 and self.of.dtype.info.block > 1 else self.of.dtype

    @property
    def rule(self) -> str:
        """The range."""
        return f"rows {self.start}:{self.stop}"

    def gather(self, rows: Indices) -> Chunk:
        """Rows of the view below, moved by the start."""
        if len(self.of.shape) > 1:
            inner = self.of.rows // self.of.shape[0]
            return self.of.gather(rows + self.start * inner)
        whole = self.of.read(0, self.of.elements)
        if whole.dtype.info.block > 1:
            whole = decoded(whole, 1, whole.elements)
        items = whole.data.reshape(self.of.elements, -1)
        data = np.ascontiguousarray(items[self.start : self.stop]).reshape(-1)
        return Chunk(whole.dtype, data, 1, self.stop - self.start, data.size, whole.scale)


@dataclass(frozen=True)
class Concatenated(View):
    """Parts below each other along the first dimension; parts of several encodings are read as float32."""

    parts: tuple[View, ...]
    reason: str = "concatenated"

    @property
    def shape(self) -> tuple[int, ...]:
        """The parts' shape with the first dimensions added up."""
        return (sum(part.shape[0] for part in self.parts), *self.parts[0].shape[1:])

    @property
    def dtype(self) -> DType:
        """The parts' encoding where they agree and it starts each row anew, else float32."""
        first = self.parts[0].dtype
        same = all(part.dtype == first for part in self.parts) and not first.info.flat
        return first if same and (len(self.shape) > 1 or first.info.block == 1) else DType.F32

    @property
    def below(self) -> tuple[View, ...]:
        """The parts."""
        return self.parts

    @property
    def rule(self) -> str:
        """Why the parts belong together."""
        return self.reason

    @property
    def moves_bytes_only(self) -> bool:
        """Parts keep their bits where they share one encoding."""
        return all(part.moves_bytes_only and part.dtype == self.dtype for part in self.parts)

    def gather(self, rows: Indices) -> Chunk:
        """Rows of whichever part holds them."""
        if len(self.shape) == 1:
            chunks = [self._fit(part.read(0, part.elements)) for part in self.parts]
            data = np.concatenate([chunk.data for chunk in chunks])
            return Chunk(self.dtype, data, 1, self.elements, data.size)
        ends = np.cumsum([0, *(part.rows for part in self.parts)])
        pieces: list[tuple[Indices, Chunk]] = []
        for part, (low, high) in zip(self.parts, pairwise(ends), strict=True):
            places = np.flatnonzero((rows >= low) & (rows < high))
            if len(places):
                pieces.append((places, self._fit(part.gather(rows[places] - low))))
        row_bytes = pieces[0][1].row_bytes
        table = np.empty((len(rows), row_bytes), np.uint8)
        for places, chunk in pieces:
            table[places] = chunk.data.reshape(len(places), row_bytes)
        return Chunk(self.dtype, table.reshape(-1), len(rows), self.columns, row_bytes)

    def _fit(self, chunk: Chunk) -> Chunk:
        return chunk if chunk.dtype == self.dtype else decoded(chunk, chunk.rows, chunk.columns)
