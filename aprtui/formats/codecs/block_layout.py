"""Where the bits of a quantised block are: codes, scales, sub-scales and offsets of each block type, as data.

Decoders, the certificate, diagnosis and fault injection all need the parts of a block, not only its values. One
table of bit positions serves them all, for reading and for writing. In every layout

    value = scale * sub_scale * levels[code] - offset * sub_min

Layouts: ggml-common.h (`block_*`) and ggml-quants.c (`dequantize_row_*`) of llama.cpp; AprQ4: aprender's v2 writer.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aprtui.core.dtypes import DType
from aprtui.formats.codecs.bit_fields import BitField, Index, bit_field, get_bits, put_bits

IQ4_LEVELS = np.array([-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113], np.float32)
"""The levels of IQ4_NL and IQ4_XS (`kvalues_iq4nl` in ggml-common.h)."""


@dataclass(frozen=True, slots=True, eq=False)
class BlockLayout:
    """One block type.

    Attributes:
        dtype: The type.
        sub_block: Elements that share a sub-scale; the whole block where there are no sub-scales.
        levels: float32 [codes]; value of each code in steps.
        codes: Where the codes are, in the order of the elements.
        code_flip: Xor-ed to a stored code (Q8_0's are signed; codes here count from 0).
        scale_at: Byte of the f16 scale.
        offset_at: Byte of the f16 offset; None where there is none.
        offset_added: The stored offset is added (Q4_1, Q5_1), not subtracted (K types).
        sub_scales: Where the sub-scales are; empty where there are none.
        sub_scale_bias: Subtracted from a stored sub-scale.
        signed_sub_scales: Stored sub-scales are int8.
        sub_mins: Where the multipliers of the offset are; empty where there are none.
    """

    dtype: DType
    sub_block: int
    levels: NDArray[np.float32]
    codes: tuple[BitField, ...]
    scale_at: int = 0
    code_flip: int = 0
    offset_at: int | None = None
    offset_added: bool = False
    sub_scales: tuple[BitField, ...] = ()
    sub_scale_bias: int = 0
    signed_sub_scales: bool = False
    sub_mins: tuple[BitField, ...] = ()

    @property
    def block(self) -> int:
        """Elements per block."""
        return self.dtype.info.block

    @property
    def nbytes(self) -> int:
        """Bytes per block."""
        return self.dtype.info.nbytes

    @property
    def sub_blocks(self) -> int:
        """Sub-blocks per block."""
        return self.block // self.sub_block


@dataclass(frozen=True, slots=True, eq=False)
class BlockParts:
    """The parts of n blocks; `value = scale * sub_scale * levels[code] - offset * sub_min`.

    Attributes:
        codes: uint8 [n, block]; index into the layout's levels.
        scale: float16 [n].
        sub_scales: float32 [n, sub_blocks]; integers, 1 where the type has none.
        offset: float16 [n]; subtracted, whatever the stored sign; 0 where the type has none.
        sub_mins: float32 [n, sub_blocks]; integers, 1 where the type has none.
    """

    codes: NDArray[np.uint8]
    scale: NDArray[np.float16]
    sub_scales: NDArray[np.float32]
    offset: NDArray[np.float16]
    sub_mins: NDArray[np.float32]


def _f16_at(raw: NDArray[np.uint8], at: int) -> NDArray[np.float16]:
    return np.ascontiguousarray(raw[:, at : at + 2]).view("<f2")[:, 0]


def _put_f16(raw: NDArray[np.uint8], at: int, value: NDArray[np.float16]) -> None:
    raw[:, at : at + 2] = np.ascontiguousarray(value, "<f2")[:, None].view(np.uint8)


def get_scale(layout: BlockLayout, raw: NDArray[np.uint8]) -> NDArray[np.float16]:
    """The scale of each block, float16 [n]."""
    return _f16_at(raw, layout.scale_at)


def get_codes(layout: BlockLayout, raw: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The code of each element, uint8 [n, block]."""
    codes = get_bits(raw, layout.codes)
    if layout.code_flip:
        codes ^= np.uint8(layout.code_flip)
    return codes


def get_sub_scales(layout: BlockLayout, raw: NDArray[np.uint8]) -> NDArray[np.float32]:
    """The integer sub-scale of each sub-block, float32 [n, sub_blocks]; 1 where the type has none."""
    if not layout.sub_scales:
        return np.ones((len(raw), layout.sub_blocks), np.float32)
    bits = get_bits(raw, layout.sub_scales)
    signed = bits.view(np.int8) if layout.signed_sub_scales else bits
    return signed.astype(np.float32) - np.float32(layout.sub_scale_bias)


def get_stored_offset(layout: BlockLayout, raw: NDArray[np.uint8]) -> NDArray[np.float16]:
    """The offset as stored, float16 [n]; `offset_added` says how it is meant. 0 where the type has none."""
    if layout.offset_at is None:
        return np.zeros(len(raw), np.float16)
    return _f16_at(raw, layout.offset_at)


def get_sub_mins(layout: BlockLayout, raw: NDArray[np.uint8]) -> NDArray[np.float32]:
    """The integer multiplier of the offset per sub-block, float32 [n, sub_blocks]; 1 where the type has none."""
    if not layout.sub_mins:
        return np.ones((len(raw), layout.sub_blocks), np.float32)
    return get_bits(raw, layout.sub_mins).astype(np.float32)


def unpack(layout: BlockLayout, raw: NDArray[np.uint8]) -> BlockParts:
    """Take blocks apart.

    Args:
        layout: Of the blocks' type.
        raw: uint8 [n, nbytes].
    """
    stored = get_stored_offset(layout, raw)
    return BlockParts(
        codes=get_codes(layout, raw),
        scale=get_scale(layout, raw),
        sub_scales=get_sub_scales(layout, raw),
        offset=-stored if layout.offset_added else stored,
        sub_mins=get_sub_mins(layout, raw),
    )


def put_codes(layout: BlockLayout, raw: NDArray[np.uint8], codes: NDArray[np.uint8]) -> None:
    """Write codes, uint8 [n, block], in place."""
    put_bits(raw, layout.codes, codes ^ np.uint8(layout.code_flip))


def put_scale(layout: BlockLayout, raw: NDArray[np.uint8], scale: NDArray[np.float16]) -> None:
    """Write scales, float16 [n], in place."""
    _put_f16(raw, layout.scale_at, scale)


def put_offset(layout: BlockLayout, raw: NDArray[np.uint8], offset: NDArray[np.float16]) -> None:
    """Write offsets, float16 [n], in place, with the sign that `BlockParts.offset` has.

    Raises:
        ValueError: The type has no offset.
    """
    if layout.offset_at is None:
        raise ValueError(f"{layout.dtype} blocks have no offset")
    _put_f16(raw, layout.offset_at, -offset if layout.offset_added else offset)


def put_sub_scales(layout: BlockLayout, raw: NDArray[np.uint8], sub_scales: NDArray[np.float32]) -> None:
    """Write integer sub-scales, float32 [n, sub_blocks], in place.

    Raises:
        ValueError: The type has no sub-scales.
    """
    if not layout.sub_scales:
        raise ValueError(f"{layout.dtype} blocks have no sub-scales")
    stored = (sub_scales + np.float32(layout.sub_scale_bias)).astype(np.int16)
    put_bits(raw, layout.sub_scales, stored.astype(np.uint8))


def put_sub_mins(layout: BlockLayout, raw: NDArray[np.uint8], sub_mins: NDArray[np.float32]) -> None:
    """Write integer multipliers of the offset, float32 [n, sub_blocks], in place.

    Raises:
        ValueError: The type has none.
    """
    if not layout.sub_mins:
        raise ValueError(f"{layout.dtype} blocks have no sub-mins")
    put_bits(raw, layout.sub_mins, sub_mins.astype(np.uint8))


def _zero(i: Index) -> Index:
    return 0 * i


def _whole_bytes(items: int, base: int) -> BitField:
    return bit_field(items, lambda i: base + i, _zero, 0xFF)


def _nibble_halves(base: int) -> BitField:
    """32 codes in 16 bytes: the first half of the elements in the low nibbles, the second in the high ones."""
    return bit_field(32, lambda i: base + i % 16, lambda i: 4 * (i // 16), 15)


def _nibble_pairs_of_32(base: int) -> BitField:
    """256 codes in 128 bytes: 32 bytes hold 32 elements in the low nibbles and the next 32 in the high ones."""
    return bit_field(256, lambda i: base + 32 * (i // 64) + i % 32, lambda i: 4 * (i % 64 // 32), 15)


def _two_bits_of_128(base: int, up: int = 0) -> BitField:
    """256 two-bit codes in 64 bytes: 32 bytes hold four runs of 32 elements, the first in the lowest bits."""
    return bit_field(256, lambda i: base + 32 * (i // 128) + i % 32, lambda i: 2 * (i % 128 // 32), 3, up)


def _bit_plane(base: int, up: int) -> BitField:
    """One bit of 256 codes in 32 bytes: run j of 32 elements in bit j."""
    return bit_field(256, lambda i: base + i % 32, lambda i: i // 32, 1, up)


def _split_six_bits(low_at: int, split_at: int, low_shift: int, top_at: int) -> tuple[BitField, BitField]:
    """Eight six-bit integers of Q4_K and Q5_K: four in one byte each, four split into 4 bits and 2 borrowed bits."""
    low = bit_field(
        8, lambda j: np.where(j < 4, low_at + j, split_at + j - 4), lambda j: np.where(j < 4, 0, low_shift), 15
    )
    top = bit_field(8, lambda j: top_at + j % 4, lambda j: np.where(j < 4, 4, 6), 3, 4)
    return low, top


def _integers(count: int, bias: int) -> NDArray[np.float32]:
    return np.arange(count, dtype=np.float32) - np.float32(bias)


_FIFTH_BITS_Q5_0 = bit_field(32, lambda i: 2 + i // 8, lambda i: i % 8, 1, 4)
_FIFTH_BITS_Q5_1 = bit_field(32, lambda i: 4 + i // 8, lambda i: i % 8, 1, 4)
_SCALES_K4 = _split_six_bits(4, 12, 0, 4)
_MINS_K4 = _split_six_bits(8, 12, 4, 8)

_LEGACY = (
    BlockLayout(DType.Q8_0, 32, _integers(256, 128), (_whole_bytes(32, 2),), code_flip=128),
    BlockLayout(DType.Q4_0, 32, _integers(16, 8), (_nibble_halves(2),)),
    BlockLayout(DType.Q5_0, 32, _integers(32, 16), (_nibble_halves(6), _FIFTH_BITS_Q5_0)),
    BlockLayout(DType.Q4_1, 32, _integers(16, 0), (_nibble_halves(4),), offset_at=2, offset_added=True),
    BlockLayout(
        DType.Q5_1, 32, _integers(32, 0), (_nibble_halves(8), _FIFTH_BITS_Q5_1), offset_at=2, offset_added=True
    ),
    BlockLayout(DType.APR_Q4, 32, _integers(16, 8), (bit_field(32, lambda i: 2 + i // 2, lambda i: 4 * (i % 2), 15),)),
    BlockLayout(DType.IQ4_NL, 32, IQ4_LEVELS, (_nibble_halves(2),)),
)

_SUPER_BLOCKS = (
    BlockLayout(
        DType.IQ4_XS,
        32,
        IQ4_LEVELS,
        (bit_field(256, lambda i: 8 + 16 * (i // 32) + i % 16, lambda i: 4 * (i % 32 // 16), 15),),
        sub_scales=(
            bit_field(8, lambda j: 4 + j // 2, lambda j: 4 * (j % 2), 15),
            bit_field(8, lambda j: 2 + j // 4, lambda j: 2 * (j % 4), 3, 4),
        ),
        sub_scale_bias=32,
    ),
    BlockLayout(
        DType.Q2_K,
        16,
        _integers(4, 0),
        (_two_bits_of_128(16),),
        scale_at=80,
        offset_at=82,
        sub_scales=(bit_field(16, lambda j: j, _zero, 15),),
        sub_mins=(bit_field(16, lambda j: j, lambda j: 4 + 0 * j, 15),),
    ),
    BlockLayout(
        DType.Q3_K,
        16,
        _integers(8, 4),
        (_two_bits_of_128(32), _bit_plane(0, 2)),
        scale_at=108,
        sub_scales=(
            bit_field(16, lambda j: 96 + j % 8, lambda j: 4 * (j // 8), 15),
            bit_field(16, lambda j: 104 + j % 4, lambda j: 2 * (j // 4), 3, 4),
        ),
        sub_scale_bias=32,
    ),
    BlockLayout(
        DType.Q4_K,
        32,
        _integers(16, 0),
        (_nibble_pairs_of_32(16),),
        offset_at=2,
        sub_scales=_SCALES_K4,
        sub_mins=_MINS_K4,
    ),
    BlockLayout(
        DType.Q5_K,
        32,
        _integers(32, 0),
        (_nibble_pairs_of_32(48), _bit_plane(16, 4)),
        offset_at=2,
        sub_scales=_SCALES_K4,
        sub_mins=_MINS_K4,
    ),
    BlockLayout(
        DType.Q6_K,
        16,
        _integers(64, 32),
        (
            bit_field(
                256, lambda i: 64 * (i // 128) + i % 32 + 32 * (i % 128 // 32 % 2), lambda i: 4 * (i % 128 // 64), 15
            ),
            _two_bits_of_128(128, 4),
        ),
        scale_at=208,
        sub_scales=(_whole_bytes(16, 192),),
        signed_sub_scales=True,
    ),
)

LAYOUTS: dict[DType, BlockLayout] = {layout.dtype: layout for layout in (*_LEGACY, *_SUPER_BLOCKS)}
"""The types whose parts can be read and written."""
