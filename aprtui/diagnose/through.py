"""Values that were encoded as blocks and decoded again before the product was made."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aprtui.core.dtypes import DType
from aprtui.formats.chunk import Chunk
from aprtui.formats.codecs import decode_chunk, encode
from aprtui.formats.views import decoded
from aprtui.formats.views.base import Indices, OneBelow, float_chunk

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class ThroughBlocks(OneBelow):
    """Rows as they come back from a block type.

    Attributes:
        block_type: One that can be encoded and whose blocks the rows fill.
    """

    block_type: DType

    @property
    def dtype(self) -> DType:
        """Results are float32."""
        return DType.F32

    @property
    def rule(self) -> str:
        """The type."""
        return f"through {self.block_type}"

    @property
    def moves_bytes_only(self) -> bool:
        """Values change."""
        return False

    def gather(self, rows: Indices) -> Chunk:
        """Rows of the view below, encoded and decoded."""
        chunk = decoded(self.of.gather(rows), len(rows), self.columns)
        return float_chunk(through(chunk.data.view(np.float32).reshape(len(rows), -1), self.block_type))


def through(values: Floats, dtype: DType) -> Floats:
    """Values encoded as a block type and decoded again, float32 of the same shape."""
    info = dtype.info
    flat = values.reshape(-1, info.block)
    chunk = Chunk(dtype, encode(dtype, flat), len(flat), info.block, info.nbytes)
    return decode_chunk(chunk).astype(np.float32).reshape(values.shape)
