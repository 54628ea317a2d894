"""The leaf of every view: a tensor as its file holds it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aprtui.core.dtypes import DType
from aprtui.core.errors import FormatError
from aprtui.formats.bytes import release_pages, tensor_bytes
from aprtui.formats.chunk import Chunk
from aprtui.formats.container import StoredTensor
from aprtui.formats.views.base import Indices, View, decoded


@dataclass(frozen=True)
class Stored(View):
    """A stored tensor, read without a copy where blocks or rows are consecutive."""

    tensor: StoredTensor

    @property
    def shape(self) -> tuple[int, ...]:
        """Row-major shape as declared."""
        return self.tensor.shape

    @property
    def dtype(self) -> DType:
        """Stored type."""
        return self.tensor.dtype

    @property
    def rule(self) -> str:
        """Nothing is done."""
        return ""

    @property
    def granule(self) -> int:
        """One block; a row where rows are padded."""
        return self.columns if self.tensor.padded_rows else self.dtype.info.block

    @property
    def row_bytes(self) -> int:
        """Bytes from one row to the next; 0 where rows do not start a block of their own."""
        info = self.dtype.info
        if self.columns % info.block and not self.tensor.padded_rows:
            return 0
        return -(-self.columns // info.block) * info.nbytes

    def read(self, start: int, stop: int) -> Chunk:
        """Elements [start, stop) without a copy."""
        body, scale = self._body()
        info = self.dtype.info
        if self.tensor.padded_rows:
            first, last = start // self.columns, stop // self.columns
            data = body[first * self.row_bytes : last * self.row_bytes]
            return Chunk(self.dtype, data, last - first, self.columns, self.row_bytes, scale)
        data = body[start // info.block * info.nbytes : -(-stop // info.block) * info.nbytes]
        return Chunk(self.dtype, data, 1, stop - start, data.size, scale)

    def release(self) -> None:
        """Let the system take back the mapped pages of the tensor."""
        release_pages(self.tensor)

    def gather(self, rows: Indices) -> Chunk:
        """Rows by number; copied, decoded first where rows do not start a block of their own."""
        body, scale = self._body()
        if self.row_bytes:
            table = body[: self.rows * self.row_bytes].reshape(self.rows, self.row_bytes)
            data = np.ascontiguousarray(table[rows]).reshape(-1)
            return Chunk(self.dtype, data, len(rows), self.columns, self.row_bytes, scale)
        return self._gather_flat(rows)

    def _gather_flat(self, rows: Indices) -> Chunk:
        """Rows of a type whose blocks run across rows, each decoded from the blocks that cover it."""
        block = self.dtype.info.block
        out = np.empty((len(rows), self.columns), np.float32)
        for position, row in enumerate(rows):
            start = int(row) * self.columns
            stop = start + self.columns
            low = start // block * block
            cover = self.read(low, min(-(-stop // block) * block, self.elements))
            values = decoded(cover, 1, cover.elements).data.view(np.float32)
            out[position] = values[start - low : stop - low]
        return Chunk(DType.F32, out.reshape(-1).view(np.uint8), len(rows), self.columns, 4 * self.columns)

    def _body(self) -> tuple[NDArray[np.uint8], float]:
        """The bytes after any header, and the scale that the header holds."""
        tensor = self.tensor
        raw = tensor_bytes(tensor)
        header = tensor.dtype.info.header
        expected = tensor.stored_size
        if expected is None or raw.size < expected:
            raise FormatError(
                f"{raw.size} bytes stored where {tensor.dtype} of shape {list(tensor.shape)} takes {expected}",
                file=tensor.file,
                place=f"tensor {tensor.name}, offset {tensor.offset}",
            )
        scale = float(raw[:header].view("<f4")[0]) if header else 1.0
        return raw[header:], scale
