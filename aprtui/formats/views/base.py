"""What every view can do: say its shape, read a span, gather rows, undo itself."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from math import prod

import numpy as np
from numpy.typing import NDArray

from aprtui.core.dtypes import DType, Family
from aprtui.core.errors import AprtuiError
from aprtui.formats.chunk import Chunk
from aprtui.formats.codecs import decode_chunk

Indices = NDArray[np.int64]


class View(ABC):
    """A tensor that is computed while it is read.

    A view is two-dimensional to its readers: `columns` is the last dimension, `rows` the product of the others.
    """

    @property
    @abstractmethod
    def shape(self) -> tuple[int, ...]:
        """Row-major shape."""

    @property
    @abstractmethod
    def dtype(self) -> DType:
        """Encoding of the chunks that `read` returns."""

    @property
    def below(self) -> tuple[View, ...]:
        """The views directly below; none for leaves."""
        return ()

    @property
    @abstractmethod
    def rule(self) -> str:
        """What this operation does, in a few words; empty for a stored tensor."""

    @abstractmethod
    def gather(self, rows: Indices) -> Chunk:
        """These rows, in this order.

        Args:
            rows: int64 row numbers, each in [0, self.rows).
        """

    def release(self) -> None:
        """Let the system take back the memory that reads of the files below occupy."""
        for view in self.below:
            view.release()

    def undo(self, view: View) -> View | None:
        """The inverse operation applied to another view, None where the operation loses something."""
        return None

    def read(self, start: int, stop: int) -> Chunk:
        """Elements [start, stop) of the flattened view.

        Args:
            start: First element, a multiple of `granule`.
            stop: One past the last element, a multiple of `granule` or the end.
        """
        columns = self.columns
        return self.gather(np.arange(start // columns, stop // columns, dtype=np.int64))

    @property
    def granule(self) -> int:
        """Reads start and stop at multiples of this many elements."""
        return max(1, self.columns)

    @property
    def columns(self) -> int:
        """Length of a row; 1 for scalars."""
        return self.shape[-1] if self.shape else 1

    @property
    def elements(self) -> int:
        """Number of elements."""
        return prod(self.shape)

    @property
    def rows(self) -> int:
        """Number of rows."""
        return self.elements // self.columns if self.columns else 0

    @property
    def moves_bytes_only(self) -> bool:
        """Whether elements keep their stored bits."""
        return True

    @property
    def rules(self) -> tuple[str, ...]:
        """The operations from the stored tensor upwards, in words."""
        inner = tuple(dict.fromkeys(rule for view in self.below for rule in view.rules))
        return (*inner, self.rule) if self.rule else inner


@dataclass(frozen=True, eq=False)
class OneBelow(View):
    """A view over one other: its shape and encoding unless the operation changes them.

    Attributes:
        of: The view below.
    """

    of: View

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the view below."""
        return self.of.shape

    @property
    def dtype(self) -> DType:
        """Encoding of the view below."""
        return self.of.dtype

    @property
    def below(self) -> tuple[View, ...]:
        """The one view below."""
        return (self.of,)

    @property
    def moves_bytes_only(self) -> bool:
        """Elements keep their bits unless they had to be decoded."""
        return self.of.moves_bytes_only and self.dtype == self.of.dtype


class InPlace(OneBelow):
    """A view whose elements lie where those below lie: spans of any length are read span by span, not by row."""

    @property
    def granule(self) -> int:
        """That of the view below."""
        return self.of.granule

    def read(self, start: int, stop: int) -> Chunk:
        """The span of the view below, changed."""
        return self._changed(self.of.read(start, stop))

    def gather(self, rows: Indices) -> Chunk:
        """The rows of the view below, changed."""
        return self._changed(self.of.gather(rows))

    @abstractmethod
    def _changed(self, chunk: Chunk) -> Chunk:
        """What the operation makes of a chunk."""


def decoded(chunk: Chunk, rows: int, columns: int) -> Chunk:
    """The chunk as float32 with this geometry.

    Raises:
        AprtuiError: The chunk holds float64 or wide integers, which float32 would round.
    """
    values = decode_chunk(chunk)
    if values.dtype != np.float32:
        raise AprtuiError(f"{chunk.dtype} values cannot be read through a view that computes in float32")
    return float_chunk(np.asarray(values, np.float32).reshape(rows, columns))


def float_chunk(values: NDArray[np.float32]) -> Chunk:
    """A float32 matrix [rows, columns] as a chunk."""
    rows, columns = values.shape
    data = np.ascontiguousarray(values, np.float32).reshape(-1).view(np.uint8)
    return Chunk(DType.F32, data, rows, columns, 4 * columns)


def is_plain(dtype: DType) -> bool:
    """Whether every element has bytes of its own."""
    return dtype.info.family is not Family.BLOCK
