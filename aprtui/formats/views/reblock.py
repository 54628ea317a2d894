"""The view that reads blocks under another packing: byte order, nibble order, interleaved codes."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from aprtui.core.dtypes import DType
from aprtui.formats.chunk import Chunk
from aprtui.formats.codecs.block_layout import LAYOUTS, get_codes, put_codes
from aprtui.formats.views.base import InPlace, View


class Packing(StrEnum):
    """How the bits of a block or element are misplaced."""

    BYTE_ORDER = "bytes of each element reversed"
    NIBBLES_SWAPPED = "low and high nibbles exchanged"
    HALVES_TO_PAIRS = "codes of the two halves interleaved"
    PAIRS_TO_HALVES = "interleaved codes split into halves"


_OPPOSITE = {
    Packing.BYTE_ORDER: Packing.BYTE_ORDER,
    Packing.NIBBLES_SWAPPED: Packing.NIBBLES_SWAPPED,
    Packing.HALVES_TO_PAIRS: Packing.PAIRS_TO_HALVES,
    Packing.PAIRS_TO_HALVES: Packing.HALVES_TO_PAIRS,
}


def repack(dtype: DType, raw: NDArray[np.uint8], packing: Packing) -> NDArray[np.uint8]:
    """Elements or blocks with their bits in another order.

    Args:
        dtype: Type of the blocks.
        raw: uint8, whole blocks.
        packing: What to do; all but BYTE_ORDER need a type with 4-bit codes in `LAYOUTS`.

    Returns:
        uint8 of the same size.
    """
    blocks = raw.reshape(-1, dtype.info.nbytes)
    if packing is Packing.BYTE_ORDER:
        return np.ascontiguousarray(blocks[:, ::-1]).reshape(-1)
    layout = LAYOUTS[dtype]
    out = blocks.copy()
    if packing is Packing.NIBBLES_SWAPPED:
        at = np.unique(layout.codes[0].at)
        out[:, at] = (out[:, at] << np.uint8(4)) | (out[:, at] >> np.uint8(4))
        return out.reshape(-1)
    half = 16
    codes = get_codes(layout, blocks).reshape(len(blocks), -1, 2 * half)
    if packing is Packing.HALVES_TO_PAIRS:
        moved = codes.reshape(len(blocks), -1, 2, half).swapaxes(2, 3)
    else:
        moved = codes.reshape(len(blocks), -1, half, 2).swapaxes(2, 3)
    put_codes(layout, out, np.ascontiguousarray(moved).reshape(len(blocks), -1))
    return out.reshape(-1)


@dataclass(frozen=True)
class Reblocked(InPlace):
    """The tensor below with the bits of each block or element in another order."""

    packing: Packing

    @property
    def rule(self) -> str:
        """What is misplaced."""
        return self.packing.value

    def _changed(self, chunk: Chunk) -> Chunk:
        data = repack(chunk.dtype, chunk.data, self.packing)
        return Chunk(chunk.dtype, data, chunk.rows, chunk.columns, chunk.row_bytes, chunk.scale)

    def undo(self, view: View) -> View:
        """The opposite packing."""
        return Reblocked(view, _OPPOSITE[self.packing])
