"""A chunk: consecutive rows of a tensor or view, still in a stored encoding.

Chunks are what kernels, decoders and encoders exchange. They are bounded in size, so nothing that works on
chunks ever holds a whole tensor.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aprtui.core.dtypes import DType


@dataclass(frozen=True, slots=True)
class Chunk:
    """Rows of elements in one encoding.

    Attributes:
        dtype: Encoding of `data`.
        data: uint8, contiguous; exactly the bytes of these rows, without AprQ8's header.
        rows: Number of rows.
        columns: Elements per row.
        row_bytes: Bytes per row where each row starts a new block (padded where needed); 0 where blocks run on
            across rows (flat types).
        scale: The scale in front of AprQ8's codes; 1 otherwise.
    """

    dtype: DType
    data: NDArray[np.uint8]
    rows: int
    columns: int
    row_bytes: int
    scale: float = 1.0

    @property
    def elements(self) -> int:
        """Elements in the chunk."""
        return self.rows * self.columns
