"""Q2_K, Q4_K and Q5_K: super-blocks of 256 elements whose sub-blocks have a scale and a minimum.

Source: `quantize_row_q2_K_ref`, `quantize_row_q4_K_ref` and `quantize_row_q5_K_ref` in ggml-quants.c.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from aprtui.formats.codecs.encoders.arithmetic import clipped, compiled, nearest_int, store_f16
from aprtui.formats.codecs.encoders.scale_search import affine_scale

_ZERO = np.float32(0)
_TOP_2 = np.float32(15)
_TOP_4 = np.float32(63)


@compiled
def _largest(values: NDArray[np.float32]) -> np.float32:
    largest = _ZERO
    for value in values:
        largest = value if value > largest else largest
    return largest


@compiled
def _requantise(
    x: NDArray[np.float32], scale: np.float32, minimum: np.float32, top: int, codes: NDArray[np.uint8]
) -> None:
    """Codes under the stored scale and minimum; those of the search stay where the stored scale is zero."""
    if scale == _ZERO:
        return
    for i in range(len(x)):
        codes[i] = clipped(nearest_int((x[i] + minimum) / scale), 0, top)


@compiled
def _store_two_bits(codes: NDArray[np.uint8], block: NDArray[np.uint8], at: int) -> None:
    for half in range(2):
        for i in range(32):
            j = 128 * half + i
            block[at + 32 * half + i] = (
                codes[j] | (codes[j + 32] << 2) | (codes[j + 64] << 4) | (codes[j + 96] << 6)
            ) & 0xFF


@compiled
def encode_q2_k(x: NDArray[np.float32], out: NDArray[np.uint8]) -> None:
    """Encode float32 [n, 256] into uint8 [n, 84]; `out` must be zeros."""
    codes, trial, weights = np.zeros(256, np.uint8), np.zeros(16, np.uint8), np.zeros(16, np.float32)
    scales, minimums = np.zeros(16, np.float32), np.zeros(16, np.float32)
    for n in range(len(x)):
        block = out[n]
        for j in range(16):
            part = x[n, 16 * j : 16 * j + 16]
            for i in range(16):
                weights[i] = abs(part[i])
            scales[j], minimums[j] = affine_scale(
                part, weights, codes[16 * j : 16 * j + 16], trial, 3, np.float32(-0.5), 15, True
            )
        largest, lowest = _largest(scales), _largest(minimums)
        if largest > _ZERO:
            for j in range(16):
                block[j] = nearest_int(_TOP_2 / largest * scales[j]) & 0xFF
        if lowest > _ZERO:
            for j in range(16):
                block[j] |= (nearest_int(_TOP_2 / lowest * minimums[j]) << 4) & 0xFF
        scale = store_f16(block, 80, largest / _TOP_2)
        minimum = store_f16(block, 82, lowest / _TOP_2)
        for j in range(16):
            part = x[n, 16 * j : 16 * j + 16]
            sub_scale, sub_min = np.float32(block[j] & 15), np.float32(block[j] >> 4)
            _requantise(part, scale * sub_scale, minimum * sub_min, 3, codes[16 * j : 16 * j + 16])
        _store_two_bits(codes, block, 16)


@compiled
def _store_six_bits(low: NDArray[np.uint8], high: NDArray[np.uint8], block: NDArray[np.uint8]) -> None:
    """Eight six-bit sub-scales and eight six-bit sub-mins in bytes 4 to 15."""
    for j in range(4):
        block[4 + j] = low[j] | ((low[j + 4] >> 4) << 6)
        block[8 + j] = high[j] | ((high[j + 4] >> 4) << 6)
        block[12 + j] = (low[j + 4] & 15) | ((high[j + 4] & 15) << 4)


@compiled
def _six_bits(values: NDArray[np.float32], largest: np.float32, integers: NDArray[np.uint8]) -> None:
    inverse = _TOP_4 / largest if largest > _ZERO else _ZERO
    for j in range(8):
        integers[j] = min(63, nearest_int(inverse * values[j]) & 0xFF)


@compiled
def _search_sub_blocks(  # noqa: PLR0917 - numba has no keyword-only parameters
    x: NDArray[np.float32],
    codes: NDArray[np.uint8],
    scales: NDArray[np.float32],
    minimums: NDArray[np.float32],
    top: int,
    first: np.float32,
    steps: int,
) -> None:
    """Scale, minimum and codes of eight sub-blocks of 32; errors weigh rms(x) + |x|."""
    weights, trial = np.zeros(32, np.float32), np.zeros(32, np.uint8)
    for j in range(8):
        part = x[32 * j : 32 * j + 32]
        sum_xx = _ZERO
        for i in range(32):
            sum_xx += part[i] * part[i]
        rms = np.float32(np.sqrt(sum_xx / np.float32(32)))
        for i in range(32):
            weights[i] = rms + abs(part[i])
        scales[j], minimums[j] = affine_scale(
            part, weights, codes[32 * j : 32 * j + 32], trial, top, first, steps, False
        )


@compiled
def _encode_six_bit_scales(  # noqa: PLR0917 - numba has no keyword-only parameters
    x: NDArray[np.float32],
    block: NDArray[np.uint8],
    codes: NDArray[np.uint8],
    scales: NDArray[np.float32],
    minimums: NDArray[np.float32],
    top: int,
) -> None:
    """What Q4_K and Q5_K share once the search is done: scales stored, codes chosen anew under the stored scales."""
    sub_scales, sub_mins = np.zeros(8, np.uint8), np.zeros(8, np.uint8)
    largest, lowest = _largest(scales), _largest(minimums)
    _six_bits(scales, largest, sub_scales)
    _six_bits(minimums, lowest, sub_mins)
    scale = store_f16(block, 0, largest / _TOP_4)
    minimum = store_f16(block, 2, lowest / _TOP_4)
    _store_six_bits(sub_scales, sub_mins, block)
    for j in range(8):
        part, part_codes = x[32 * j : 32 * j + 32], codes[32 * j : 32 * j + 32]
        _requantise(part, scale * np.float32(sub_scales[j]), minimum * np.float32(sub_mins[j]), top, part_codes)


@compiled
def _store_nibbles(codes: NDArray[np.uint8], block: NDArray[np.uint8], at: int) -> None:
    for pair in range(4):
        for i in range(32):
            j = 64 * pair + i
            block[at + 32 * pair + i] = (codes[j] & 15) | ((codes[j + 32] & 15) << 4)


@compiled
def encode_q4_k(x: NDArray[np.float32], out: NDArray[np.uint8]) -> None:
    """Encode float32 [n, 256] into uint8 [n, 144]; `out` must be zeros."""
    codes, scales, minimums = np.zeros(256, np.uint8), np.zeros(8, np.float32), np.zeros(8, np.float32)
    for n in range(len(x)):
        _search_sub_blocks(x[n], codes, scales, minimums, 15, np.float32(-1), 20)
        _encode_six_bit_scales(x[n], out[n], codes, scales, minimums, 15)
        _store_nibbles(codes, out[n], 16)


@compiled
def encode_q5_k(x: NDArray[np.float32], out: NDArray[np.uint8]) -> None:
    """Encode float32 [n, 256] into uint8 [n, 176]; `out` must be zeros."""
    codes, scales, minimums = np.zeros(256, np.uint8), np.zeros(8, np.float32), np.zeros(8, np.float32)
    for n in range(len(x)):
        block = out[n]
        _search_sub_blocks(x[n], codes, scales, minimums, 31, np.float32(-0.5), 15)
        _encode_six_bit_scales(x[n], block, codes, scales, minimums, 31)
        for j in range(256):
            block[16 + j % 32] |= (codes[j] >> 4) << (j // 32)
        _store_nibbles(codes, block, 48)
