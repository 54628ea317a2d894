"""Compiled decoders of the types with super-blocks of 256: Q2_K to Q6_K and IQ4_XS.

Each follows `dequantize_row_*` of llama.cpp's ggml-quants.c operation by operation, so that results have the same
bits. No fastmath here: it would change bits. Casts and loop bounds: see `decoders_legacy`.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from aprtui.compare.kernels.decoders_legacy import half_at, high_nibble, low_nibble, steps
from aprtui.compare.kernels.decoders_plain import Bytes, Floats
from aprtui.formats.codecs.block_layout import IQ4_LEVELS


@njit(nogil=True)
def bits_from(byte: np.uint8, shift: int, mask: int) -> np.int32:
    """Some bits of a byte."""
    return np.int32((np.uint32(byte) >> np.uint32(shift)) & np.uint32(mask))


@njit(nogil=True)
def joined(low: np.int32, high: np.int32, width: int) -> np.int32:
    """A number whose low bits, `width` of them, are stored apart from its high bits."""
    return np.int32(low | np.int32(high << np.int32(width)))


@njit(nogil=True)
def decode_q2_k(raw: Bytes, out: Floats, blocks: int) -> None:
    """16 bytes of sub-scales and sub-mins, 64 bytes of two-bit codes, scale, offset."""
    for i in range(blocks):
        block = raw[84 * i : 84 * i + 84]
        scale, offset = half_at(block, 80), half_at(block, 82)
        for sub in range(16):
            step = scale * np.float32(low_nibble(block[sub]))
            least = offset * np.float32(high_nibble(block[sub]))
            first, shift = 16 + 32 * (sub // 8) + 16 * (sub % 2), 2 * (sub % 8 // 2)
            codes, y = block[first : first + 16], out[256 * i + 16 * sub : 256 * i + 16 * sub + 16]
            for j in range(codes.size):
                y[j] = step * np.float32(bits_from(codes[j], shift, 3)) - least


@njit(nogil=True)
def decode_q3_k(raw: Bytes, out: Floats, blocks: int) -> None:
    """32 bytes of third bits, 64 bytes of two-bit codes, 12 bytes of six-bit sub-scales, scale."""
    for i in range(blocks):
        block = raw[110 * i : 110 * i + 110]
        scale, packed = half_at(block, 108), block[96:108]
        for sub in range(16):
            low = bits_from(packed[sub % 8], 4 * (sub // 8), 15)
            step = scale * steps(joined(low, bits_from(packed[8 + sub % 4], 2 * (sub // 4), 3), 4), 32)
            first, half, shift = 32 + 32 * (sub // 8), 16 * (sub % 2), 2 * (sub % 8 // 2)
            codes, third = block[first + half : first + half + 16], block[half : half + 16]
            y = out[256 * i + 16 * sub : 256 * i + 16 * sub + 16]
            for j in range(codes.size):
                code = joined(bits_from(codes[j], shift, 3), bits_from(third[j], sub // 2, 1), 2)
                y[j] = step * steps(code, 4)


@njit(nogil=True)
def six_bit_pair(packed: Bytes, j: int) -> tuple[np.float32, np.float32]:
    """Sub-scale and sub-min j of Q4_K and Q5_K (`get_scale_min_k4`)."""
    if j < 4:
        return np.float32(bits_from(packed[j], 0, 63)), np.float32(bits_from(packed[j + 4], 0, 63))
    sub_scale = joined(low_nibble(packed[j + 4]), bits_from(packed[j - 4], 6, 3), 4)
    sub_min = joined(high_nibble(packed[j + 4]), bits_from(packed[j], 6, 3), 4)
    return np.float32(sub_scale), np.float32(sub_min)


@njit(nogil=True)
def decode_q4_k(raw: Bytes, out: Floats, blocks: int) -> None:
    """Scale, offset, 12 bytes of six-bit sub-scales and sub-mins, 128 bytes of codes."""
    for i in range(blocks):
        block = raw[144 * i : 144 * i + 144]
        scale, offset, packed = half_at(block, 0), half_at(block, 2), block[4:16]
        for pair in range(4):
            codes = block[16 + 32 * pair : 48 + 32 * pair]
            y = out[256 * i + 64 * pair : 256 * i + 64 * pair + 64]
            sub_scale, sub_min = six_bit_pair(packed, 2 * pair)
            step_low, least_low = scale * sub_scale, offset * sub_min
            sub_scale, sub_min = six_bit_pair(packed, 2 * pair + 1)
            step_high, least_high = scale * sub_scale, offset * sub_min
            for j in range(codes.size):
                y[j] = step_low * np.float32(low_nibble(codes[j])) - least_low
                y[32 + j] = step_high * np.float32(high_nibble(codes[j])) - least_high


@njit(nogil=True)
def decode_q5_k(raw: Bytes, out: Floats, blocks: int) -> None:
    """As Q4_K, with 32 bytes of fifth bits before the codes."""
    for i in range(blocks):
        block = raw[176 * i : 176 * i + 176]
        scale, offset, packed, fifth = half_at(block, 0), half_at(block, 2), block[4:16], block[16:48]
        for pair in range(4):
            codes = block[48 + 32 * pair : 80 + 32 * pair]
            y = out[256 * i + 64 * pair : 256 * i + 64 * pair + 64]
            sub_scale, sub_min = six_bit_pair(packed, 2 * pair)
            step_low, least_low = scale * sub_scale, offset * sub_min
            sub_scale, sub_min = six_bit_pair(packed, 2 * pair + 1)
            step_high, least_high = scale * sub_scale, offset * sub_min
            for j in range(codes.size):
                low = joined(low_nibble(codes[j]), bits_from(fifth[j], 2 * pair, 1), 4)
                high = joined(high_nibble(codes[j]), bits_from(fifth[j], 2 * pair + 1, 1), 4)
                y[j] = step_low * np.float32(low) - least_low
                y[32 + j] = step_high * np.float32(high) - least_high


@njit(nogil=True)
def decode_q6_k(raw: Bytes, out: Floats, blocks: int) -> None:
    """128 bytes of low nibbles, 64 bytes of upper two bits, 16 signed sub-scales, scale."""
    for i in range(blocks):
        block = raw[210 * i : 210 * i + 210]
        scale, sub_scales = half_at(block, 208), block[192:208].view(np.int8)
        for part in range(4):
            half, side = part // 2, part % 2
            first = 64 * half + 16 * side
            left, right = block[first : first + 16], block[first + 32 : first + 48]
            upper = block[128 + 32 * half + 16 * side : 144 + 32 * half + 16 * side]
            y = out[256 * i + 128 * half + 16 * side : 256 * i + 128 * half + 16 * side + 112]
            four = sub_scales[8 * half + side : 8 * half + side + 7]
            step_0, step_1 = scale * np.float32(four[0]), scale * np.float32(four[2])
            step_2, step_3 = scale * np.float32(four[4]), scale * np.float32(four[6])
            for j in range(upper.size):
                y[j] = step_0 * steps(joined(low_nibble(left[j]), bits_from(upper[j], 0, 3), 4), 32)
                y[32 + j] = step_1 * steps(joined(low_nibble(right[j]), bits_from(upper[j], 2, 3), 4), 32)
                y[64 + j] = step_2 * steps(joined(high_nibble(left[j]), bits_from(upper[j], 4, 3), 4), 32)
                y[96 + j] = step_3 * steps(joined(high_nibble(right[j]), bits_from(upper[j], 6, 3), 4), 32)


@njit(nogil=True)
def decode_iq4_xs(raw: Bytes, out: Floats, blocks: int) -> None:
    """Scale, 2 bytes of upper and 4 bytes of lower bits of sub-scales, 128 bytes of codes of uneven levels."""
    for i in range(blocks):
        block = raw[136 * i : 136 * i + 136]
        scale = half_at(block, 0)
        for sub in range(8):
            low = bits_from(block[4 + sub // 2], 4 * (sub % 2), 15)
            step = scale * steps(joined(low, bits_from(block[2 + sub // 4], 2 * (sub % 4), 3), 4), 32)
            codes = block[8 + 16 * sub : 24 + 16 * sub]
            y = out[256 * i + 32 * sub : 256 * i + 32 * sub + 32]
            for j in range(16):
                y[j] = step * IQ4_LEVELS[low_nibble(codes[j])]
            for j in range(16):
                y[16 + j] = step * IQ4_LEVELS[high_nibble(codes[j])]
