"""The view that reads blocks under another packing: byte order, nibble order, interleaved codes."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from aprtui.core.dtypes import DType
from aprtui.formats.chunk import Chunk
from aprtui.formats.codecs.block_layout import (
    LAYOUTS,
    BlockLayout,
    get_codes,
    get_sub_mins,
    get_sub_scales,
    put_codes,
    put_sub_mins,
    put_sub_scales,
)
from aprtui.formats.views.base import InPlace, View


class Packing(StrEnum):
    """How the bits of a block or element are misplaced."""

    BYTE_ORDER = "bytes of each element reversed"
    NIBBLES_SWAPPED = "low and high nibbles exchanged"
    HALVES_TO_PAIRS = "codes of the two halves interleaved"
    PAIRS_TO_HALVES = "interleaved codes split into halves"
    HIGH_BITS_REVERSED = "high bits of codes in the opposite order"
    SUB_SCALES_FORWARD = "each sub-block with the scale of the one before it"
    SUB_SCALES_BACK = "each sub-block with the scale of the one behind it"
    SCALES_AND_MINS = "sub-scales and sub-mins exchanged"
    SCALE_AND_OFFSET = "scale and offset exchanged"


_OPPOSITE = {
    Packing.HALVES_TO_PAIRS: Packing.PAIRS_TO_HALVES,
    Packing.PAIRS_TO_HALVES: Packing.HALVES_TO_PAIRS,
    Packing.SUB_SCALES_FORWARD: Packing.SUB_SCALES_BACK,
    Packing.SUB_SCALES_BACK: Packing.SUB_SCALES_FORWARD,
}

_LOW_BITS = np.uint8(15)


def packings_of(dtype: DType) -> tuple[Packing, ...]:
    """The packings that blocks of a type can be in."""
    layout = LAYOUTS.get(dtype)
    if layout is None:
        return ()
    found: list[Packing] = []
    if len(layout.levels) in (16, 32):
        found += [Packing.NIBBLES_SWAPPED, Packing.HALVES_TO_PAIRS, Packing.PAIRS_TO_HALVES]
    if len(layout.levels) in (32, 64):
        found.append(Packing.HIGH_BITS_REVERSED)
    if layout.sub_scales:
        found += [Packing.SUB_SCALES_FORWARD, Packing.SUB_SCALES_BACK]
    if layout.sub_mins:
        found.append(Packing.SCALES_AND_MINS)
    if layout.offset_at is not None:
        found.append(Packing.SCALE_AND_OFFSET)
    return tuple(found)


def repack(dtype: DType, raw: NDArray[np.uint8], packing: Packing) -> NDArray[np.uint8]:
    """Elements or blocks with their bits in another order.

    Args:
        dtype: Type of the blocks.
        raw: uint8, whole blocks.
        packing: What to do; BYTE_ORDER, or one of `packings_of(dtype)`.

    Returns:
        uint8 of the same size.
    """
    blocks = raw.reshape(-1, dtype.info.nbytes)
    if packing is Packing.BYTE_ORDER:
        return np.ascontiguousarray(blocks[:, ::-1]).reshape(-1)
    layout, out = LAYOUTS[dtype], blocks.copy()
    if packing is Packing.NIBBLES_SWAPPED:
        at = np.unique(layout.codes[0].at)
        out[:, at] = (out[:, at] << np.uint8(4)) | (out[:, at] >> np.uint8(4))
    elif packing in (Packing.HALVES_TO_PAIRS, Packing.PAIRS_TO_HALVES):
        put_codes(layout, out, _interleaved(layout, get_codes(layout, blocks), packing))
    elif packing is Packing.HIGH_BITS_REVERSED:
        put_codes(layout, out, _high_bits_reversed(layout, get_codes(layout, blocks)))
    elif packing is Packing.SCALE_AND_OFFSET:
        assert layout.offset_at is not None
        one, other = (slice(at, at + 2) for at in (layout.scale_at, layout.offset_at))
        out[:, one], out[:, other] = blocks[:, other], blocks[:, one]
    else:
        _move_sub_scales(layout, blocks, out, packing)
    return out.reshape(-1)


def _interleaved(layout: BlockLayout, codes: NDArray[np.uint8], packing: Packing) -> NDArray[np.uint8]:
    """Codes of runs of two halves as neighbours, or the reverse; halves are as long as the type's own."""
    half = 32 if layout.dtype in (DType.Q4_K, DType.Q5_K) else 16
    pairs = (2, half) if packing is Packing.HALVES_TO_PAIRS else (half, 2)
    moved = codes.reshape(len(codes), -1, *pairs).swapaxes(2, 3)
    return np.ascontiguousarray(moved).reshape(len(codes), -1)


def _high_bits_reversed(layout: BlockLayout, codes: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """High bits of the last element at the first one; of Q6_K, quarters of each half block in the opposite order."""
    low, high = codes & _LOW_BITS, codes & ~_LOW_BITS
    if layout.dtype is DType.Q6_K:
        return low | high.reshape(len(codes), 2, 4, 32)[:, :, ::-1].reshape(codes.shape)
    return low | high[:, ::-1]


def _move_sub_scales(layout: BlockLayout, blocks: NDArray[np.uint8], out: NDArray[np.uint8], packing: Packing) -> None:
    scales = get_sub_scales(layout, blocks)
    if packing is Packing.SCALES_AND_MINS:
        put_sub_scales(layout, out, get_sub_mins(layout, blocks))
        put_sub_mins(layout, out, scales)
    else:
        put_sub_scales(layout, out, np.roll(scales, 1 if packing is Packing.SUB_SCALES_FORWARD else -1, axis=1))


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
        return Reblocked(view, _OPPOSITE.get(self.packing, self.packing))
