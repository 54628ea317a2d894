"""Views that change values or how bits are read: add, scale, reinterpret, shift."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aprtui.core.dtypes import DType
from aprtui.formats.chunk import Chunk
from aprtui.formats.views.base import Indices, InPlace, OneBelow, View, decoded, float_chunk

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class _Elementwise(InPlace):
    """Float32 arithmetic on each element."""

    constant: float

    @property
    def dtype(self) -> DType:
        """Results are float32."""
        return DType.F32

    @property
    def moves_bytes_only(self) -> bool:
        """Values change."""
        return False

    def _changed(self, chunk: Chunk) -> Chunk:
        floats = decoded(chunk, chunk.rows, chunk.columns)
        values = floats.data.view(np.float32).reshape(chunk.rows, chunk.columns)
        with np.errstate(all="ignore"):
            return float_chunk(self._apply(values, np.float32(self.constant)))

    @abstractmethod
    def _apply(self, values: Floats, constant: np.float32) -> Floats: ...


class Added(_Elementwise):
    """Each element plus a constant (gemma's norm weights + 1), in float32; in float16 where the view below holds F16.

    llama.cpp's converter leaves an F16 source in float16 for this sum and widens the result (conversion/base.py).
    """

    def _changed(self, chunk: Chunk) -> Chunk:
        if chunk.dtype is not DType.F16:
            return super()._changed(chunk)
        with np.errstate(all="ignore"):
            sums = chunk.data.view("<f2") + np.float16(self.constant)
        return float_chunk(sums.astype(np.float32).reshape(chunk.rows, chunk.columns))

    @property
    def rule(self) -> str:
        """The constant."""
        return f"{self.constant:+g}"

    def _apply(self, values: Floats, constant: np.float32) -> Floats:
        return values + constant

    def undo(self, view: View) -> View:
        """The opposite constant; exact only up to float32 rounding."""
        return Added(view, -self.constant)


class Scaled(_Elementwise):
    """Each element times a constant, in float32."""

    @property
    def rule(self) -> str:
        """The factor."""
        return f"times {self.constant:g}"

    def _apply(self, values: Floats, constant: np.float32) -> Floats:
        return values * constant

    def undo(self, view: View) -> View | None:
        """The reciprocal factor; none for zero."""
        return Scaled(view, 1 / self.constant) if self.constant else None


@dataclass(frozen=True)
class Decoded(InPlace):
    """The values of blocks as float32, as a conversion to a plain type stores them."""

    @property
    def dtype(self) -> DType:
        """Results are float32."""
        return DType.F32

    @property
    def rule(self) -> str:
        """That they are no blocks any more."""
        return "decoded"

    def _changed(self, chunk: Chunk) -> Chunk:
        return decoded(chunk, chunk.rows, chunk.columns)


@dataclass(frozen=True)
class Reinterpreted(InPlace):
    """The same bits read as another type of the same block geometry (bf16 as f16, Q4_0 as AprQ4)."""

    as_dtype: DType

    @property
    def dtype(self) -> DType:
        """The other type."""
        return self.as_dtype

    @property
    def rule(self) -> str:
        """The type that the bits are read as."""
        return f"{self.of.dtype} bits read as {self.as_dtype}"

    @property
    def moves_bytes_only(self) -> bool:
        """The bits stay, whatever they are read as."""
        return self.of.moves_bytes_only

    def _changed(self, chunk: Chunk) -> Chunk:
        return Chunk(self.as_dtype, chunk.data, chunk.rows, chunk.columns, chunk.row_bytes, chunk.scale)

    def undo(self, view: View) -> View:
        """Read as the type below again."""
        return Reinterpreted(view, self.of.dtype)


@dataclass(frozen=True)
class Shifted(OneBelow):
    """Elements rolled along the flattened tensor: element i is element i - by of the view below."""

    by: int

    @property
    def dtype(self) -> DType:
        """Encoding of the view below where whole blocks move, else float32."""
        return self.of.dtype if self.by % self.of.dtype.info.block == 0 else DType.F32

    @property
    def granule(self) -> int:
        """That of the view below."""
        return self.of.granule

    @property
    def rule(self) -> str:
        """The distance."""
        return f"shifted by {self.by} elements"

    def read(self, start: int, stop: int) -> Chunk:
        """The span, joined from at most two spans below."""
        count, total = stop - start, self.elements
        first = (start - self.by) % total
        step = self.of.granule
        low = first // step * step
        pieces: list[Chunk] = []
        position = low
        while sum(piece.elements for piece in pieces) < first - low + count:
            end = min(total, position + -(-(first - low + count) // step) * step)
            pieces.append(self.of.read(position, end))
            position = 0
        if self.dtype == self.of.dtype and first == low:
            size = self.dtype.info
            data = np.concatenate([piece.data for piece in pieces])[: -(-count // size.block) * size.nbytes]
            return Chunk(self.dtype, data, 1, count, data.size if count % size.block == 0 else 0, pieces[0].scale)
        floats = [decoded(piece, piece.rows, piece.columns).data.view(np.float32) for piece in pieces]
        return float_chunk(np.concatenate(floats)[first - low : first - low + count].reshape(1, count))

    def gather(self, rows: Indices) -> Chunk:
        """Rows one by one, as float32."""
        out = np.empty((len(rows), self.columns), np.float32)
        for position, row in enumerate(rows):
            index = (np.arange(self.columns) + int(row) * self.columns - self.by) % self.elements
            source_rows, places = np.divmod(index, self.columns)
            numbers, inverse = np.unique(source_rows, return_inverse=True)
            chunk = self.of.gather(numbers.astype(np.int64))
            values = decoded(chunk, len(numbers), self.columns).data.view(np.float32)
            out[position] = values.reshape(len(numbers), self.columns)[inverse, places]
        return float_chunk(out)

    def undo(self, view: View) -> View:
        """The opposite distance."""
        return Shifted(view, -self.by)
