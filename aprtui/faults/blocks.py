"""Damage inside quantised blocks: codes in the wrong order, bits of scales lost, scales of other blocks."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from aprtui.core.dtypes import DType
from aprtui.faults.draft import Draft
from aprtui.faults.fault import BLOCK_FORMATS, fault
from aprtui.formats.codecs.block_layout import (
    LAYOUTS,
    BlockLayout,
    get_codes,
    get_scale,
    get_sub_mins,
    get_sub_scales,
    put_codes,
    put_scale,
    put_sub_mins,
    put_sub_scales,
)
from aprtui.formats.container import Format
from aprtui.formats.views.base import Indices
from aprtui.formats.views.edited import Raw
from aprtui.formats.views.reblock import Packing, Reblocked

FOUR_BITS = (DType.Q4_0, DType.Q4_1, DType.Q4_K, DType.IQ4_NL, DType.IQ4_XS, DType.APR_Q4)
FIVE_BITS = (DType.Q5_0, DType.Q5_1, DType.Q5_K)
SIX_BIT_SCALES = (DType.Q4_K, DType.Q5_K)
SUB_SCALED = (DType.Q2_K, DType.Q3_K, DType.Q4_K, DType.Q5_K, DType.Q6_K, DType.IQ4_XS)
# apr writes no 5-bit blocks.
_GGUF = frozenset({Format.GGUF})

Change = Callable[[BlockLayout, Raw, Indices], None]
"""Changes blocks in place; they are numbered from 0 in their tensor."""


def _everywhere(draft: Draft, dtypes: tuple[DType, ...], change: Change) -> None:
    """Change all blocks of these types."""
    names = ", ".join(dtypes)
    for tensor in draft.require(f"tensor of {names}", where=lambda item: item.dtype in dtypes and item.is_matrix):
        layout = LAYOUTS[tensor.dtype]

        def edit(raw: Raw, numbers: Indices, layout: BlockLayout = layout) -> Raw:
            change(layout, raw, numbers)
            return raw

        draft.change_blocks(tensor, edit)


def _repack(
    draft: Draft, dtypes: tuple[DType, ...], packing: Packing, others: Mapping[DType, Packing] | None = None
) -> None:
    """Put all blocks of these types into another packing; `others` names another one for some of them."""
    names = ", ".join(dtypes)
    for tensor in draft.require(f"tensor of {names}", where=lambda item: item.dtype in dtypes and item.is_matrix):
        draft.put(tensor, Reblocked(tensor.view, (others or {}).get(tensor.dtype, packing)))


def _in_one_tensor(draft: Draft, dtypes: tuple[DType, ...], change: Change) -> None:
    """Change blocks of one tensor."""
    names = ", ".join(dtypes)
    tensor = draft.pick(f"tensor of {names}", where=lambda item: item.dtype in dtypes and item.is_matrix)

    def edit(raw: Raw, numbers: Indices) -> Raw:
        change(LAYOUTS[tensor.dtype], raw, numbers)
        return raw

    draft.change_blocks(tensor, edit)


@fault(
    "weights.nibbles_swapped",
    *("RC-40", "RC-41", "S: nibble order"),
    formats=BLOCK_FORMATS,
    requires="4- or 5-bit blocks",
)
def nibbles_swapped(draft: Draft) -> None:
    """Low and high nibbles of 4- and 5-bit blocks are exchanged."""
    _repack(draft, (*FOUR_BITS, *FIVE_BITS), Packing.NIBBLES_SWAPPED)


@fault(
    "weights.codes_interleaved",
    *("RC-38", "RC-40", "RC-41", "RC-42", "RC-43", "S: nibble order"),
    formats=BLOCK_FORMATS,
    requires="4- or 5-bit blocks",
)
def codes_interleaved(draft: Draft) -> None:
    """Nibbles hold neighbouring elements where they should hold elements of two halves, or the reverse."""
    _repack(draft, (*FOUR_BITS, *FIVE_BITS), Packing.HALVES_TO_PAIRS, {DType.APR_Q4: Packing.PAIRS_TO_HALVES})


def _low_bits_only(layout: BlockLayout, raw: Raw, _: Indices) -> None:
    put_codes(layout, raw, get_codes(layout, raw) & np.uint8(15))


@fault("weights.fifth_bits_lost", "RC-42", "RC-43", formats=_GGUF, requires="5-bit blocks")
def fifth_bits_lost(draft: Draft) -> None:
    """The fifth bit of every code is missing."""
    _everywhere(draft, FIVE_BITS, _low_bits_only)


@fault("weights.fifth_bits_reversed", "RC-42", "RC-43", formats=_GGUF, requires="5-bit blocks")
def fifth_bits_reversed(draft: Draft) -> None:
    """The fifth bits of a block are in the opposite order."""
    _repack(draft, FIVE_BITS, Packing.HIGH_BITS_REVERSED)


@fault("weights.high_bits_lost", "RC-44", formats=BLOCK_FORMATS, requires="Q6_K blocks")
def high_bits_lost(draft: Draft) -> None:
    """The two high bits of every Q6_K code are missing."""
    _everywhere(
        draft, (DType.Q6_K,), lambda layout, raw, _: put_codes(layout, raw, get_codes(layout, raw) & np.uint8(15))
    )


@fault("weights.high_bits_order", "RC-44", formats=BLOCK_FORMATS, requires="Q6_K blocks")
def high_bits_order(draft: Draft) -> None:
    """The high bits of Q6_K codes belong to the next quarter of each half block."""
    _repack(draft, (DType.Q6_K,), Packing.HIGH_BITS_REVERSED)


@fault(
    "weights.late_scales_unpacked",
    *("RC-45", "S: scale packing"),
    formats=BLOCK_FORMATS,
    requires="Q4_K or Q5_K blocks",
)
def late_scales_unpacked(draft: Draft) -> None:
    """The scales of sub-blocks 4 to 7 lack the two bits that are kept elsewhere."""

    def change(layout: BlockLayout, raw: Raw, _: Indices) -> None:
        scales, mins = get_sub_scales(layout, raw), get_sub_mins(layout, raw)
        scales[:, 4:] %= 16
        mins[:, 4:] %= 16
        put_sub_scales(layout, raw, scales)
        put_sub_mins(layout, raw, mins)

    _everywhere(draft, SIX_BIT_SCALES, change)


@fault("weights.sub_scales_rolled", "S: scale packing", formats=BLOCK_FORMATS, requires="blocks with sub-scales")
def sub_scales_rolled(draft: Draft) -> None:
    """Each sub-block has the scale of the one before it."""
    _repack(draft, SUB_SCALED, Packing.SUB_SCALES_FORWARD)


@fault("weights.scales_and_mins_swapped", "RC-45", formats=BLOCK_FORMATS, requires="Q4_K or Q5_K blocks")
def scales_and_mins_swapped(draft: Draft) -> None:
    """Sub-scales and sub-mins are exchanged."""
    _repack(draft, SIX_BIT_SCALES, Packing.SCALES_AND_MINS)


@fault("weights.scale_and_offset_swapped", "RC-45", formats=BLOCK_FORMATS, requires="blocks with an offset")
def scale_and_offset_swapped(draft: Draft) -> None:
    """The scale and the offset of a block are exchanged."""
    with_offset = tuple(dtype for dtype, layout in LAYOUTS.items() if layout.offset_at is not None)
    _repack(draft, with_offset, Packing.SCALE_AND_OFFSET)


_WITH_SCALE = tuple(LAYOUTS)


@fault("weights.small_scales_zeroed", "RC-46", formats=BLOCK_FORMATS, requires="blocks whose scale is sub-normal")
def small_scales_zeroed(draft: Draft) -> None:
    """Scales below the smallest normal float16 are forced to zero."""

    def change(layout: BlockLayout, raw: Raw, _: Indices) -> None:
        scale = get_scale(layout, raw)
        put_scale(layout, raw, np.where(np.abs(scale) < np.float16(2**-14), np.float16(0), scale))

    _everywhere(draft, _WITH_SCALE, change)


@fault("weights.block_zeroed", "RC-46", "S: zeros", formats=BLOCK_FORMATS, requires="quantised blocks")
def block_zeroed(draft: Draft) -> None:
    """The scale of one block is zero, and with it all its weights."""

    def change(layout: BlockLayout, raw: Raw, numbers: Indices) -> None:
        scale = get_scale(layout, raw)
        scale[numbers == 0] = 0
        put_scale(layout, raw, scale)

    _in_one_tensor(draft, _WITH_SCALE, change)


@fault("integrity.scale_not_a_number", "RC-47", formats=BLOCK_FORMATS, requires="quantised blocks")
def scale_not_a_number(draft: Draft) -> None:
    """The scale of one block is not a number."""

    def change(layout: BlockLayout, raw: Raw, numbers: Indices) -> None:
        scale = get_scale(layout, raw)
        scale[numbers == 0] = np.nan
        put_scale(layout, raw, scale)

    _in_one_tensor(draft, _WITH_SCALE, change)


@fault("weights.block_scales_changed", "S: scalar", formats=BLOCK_FORMATS, requires="quantised blocks")
def block_scales_changed(draft: Draft) -> None:
    """The scale of every block is 5 percent too large."""

    def change(layout: BlockLayout, raw: Raw, _: Indices) -> None:
        put_scale(layout, raw, (get_scale(layout, raw).astype(np.float32) * np.float32(1.05)).astype(np.float16))

    _in_one_tensor(draft, _WITH_SCALE, change)


@fault("weights.scale_bit", "S: quantization", formats=BLOCK_FORMATS, requires="quantised blocks")
def scale_bit(draft: Draft) -> None:
    """The highest bit of one block scale's exponent that is zero is set."""

    def change(layout: BlockLayout, raw: Raw, numbers: Indices) -> None:
        first = raw[numbers == 0]
        first[:, layout.scale_at + 1] ^= 0x04
        raw[numbers == 0] = first

    _in_one_tensor(draft, _WITH_SCALE, change)


@fault("weights.one_code", "S: quantization", formats=BLOCK_FORMATS, requires="quantised blocks")
def one_code(draft: Draft) -> None:
    """One code of one block is two steps off."""

    def change(layout: BlockLayout, raw: Raw, numbers: Indices) -> None:
        codes = get_codes(layout, raw).astype(np.int16)
        most = len(layout.levels) - 1
        middle = codes[numbers == 0, 5]
        codes[numbers == 0, 5] = np.where(middle > most // 2, middle - 2, middle + 2)
        put_codes(layout, raw, codes.astype(np.uint8))

    _in_one_tensor(draft, _WITH_SCALE, change)
