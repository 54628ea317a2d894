"""Views with arithmetic of their own, for faults and for hypotheses about them.

Rows of numbers or of blocks are changed while they are read. No layout rule needs these: what converters rightly do is
one of the named views.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aprtui.core.dtypes import DType
from aprtui.formats.chunk import Chunk
from aprtui.formats.views.base import Indices, OneBelow, decoded, float_chunk

Floats = NDArray[np.float32]
Raw = NDArray[np.uint8]

ValueEdit = Callable[[Floats, Indices], Floats]
"""float32 [rows, columns] and the numbers of these rows; a new array of the same shape."""

BlockEdit = Callable[[Raw, Indices], Raw]
"""uint8 [blocks, nbytes] and the number of each block; a new array of the same shape."""


@dataclass(frozen=True, eq=False)
class _Edited(OneBelow):
    @property
    def rule(self) -> str:
        """A damage."""
        return "damaged"

    @property
    def moves_bytes_only(self) -> bool:
        """Values change."""
        return False


@dataclass(frozen=True, eq=False)
class ValuesEdited(_Edited):
    """Rows as float32, changed by a function of values and row numbers.

    Attributes:
        change: The function.
    """

    change: ValueEdit

    @property
    def dtype(self) -> DType:
        """Results are float32."""
        return DType.F32

    def gather(self, rows: Indices) -> Chunk:
        """Rows of the view below, decoded and changed."""
        chunk = decoded(self.of.gather(rows), len(rows), self.columns)
        values = chunk.data.view(np.float32).reshape(len(rows), self.columns)
        with np.errstate(all="ignore"):
            return float_chunk(self.change(values, rows))


@dataclass(frozen=True, eq=False)
class BlocksEdited(_Edited):
    """Rows of blocks or plain elements, changed by a function of their bytes.

    Attributes:
        change: The function.
    """

    change: BlockEdit

    def gather(self, rows: Indices) -> Chunk:
        """Rows of the view below with changed bytes."""
        chunk = self.of.gather(rows)
        nbytes = chunk.dtype.info.nbytes
        blocks = chunk.data.reshape(-1, nbytes)
        per_row = len(blocks) // max(1, len(rows))
        numbers = (rows[:, None] * per_row + np.arange(per_row)).reshape(-1)
        data = np.ascontiguousarray(self.change(blocks.copy(), numbers)).reshape(-1)
        return Chunk(chunk.dtype, data, chunk.rows, chunk.columns, chunk.row_bytes, chunk.scale)


@dataclass(frozen=True, eq=False)
class FirstBytes(_Edited):
    """The first bytes of a stored tensor as a row of I8, whatever they mean.

    Attributes:
        count: How many bytes.
    """

    count: int

    @property
    def shape(self) -> tuple[int, ...]:
        """One row."""
        return (1, self.count)

    @property
    def dtype(self) -> DType:
        """Plain bytes."""
        return DType.I8

    def gather(self, rows: Indices) -> Chunk:
        """The bytes, once for each row asked for."""
        chunk = self.of.gather(np.arange(self.of.rows, dtype=np.int64))
        data = np.tile(chunk.data[: self.count], len(rows))
        return Chunk(DType.I8, data, len(rows), self.count, self.count)
