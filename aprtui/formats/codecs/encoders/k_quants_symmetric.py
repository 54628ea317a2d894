"""Q3_K and Q6_K: super-blocks of 256 elements whose sub-blocks of 16 have a signed scale and no minimum.

Source: `quantize_row_q3_K_ref` and `quantize_row_q6_K_ref` in ggml-quants.c.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from aprtui.formats.codecs.encoders.arithmetic import (
    GROUP_MAX_EPS,
    clipped,
    compiled,
    extreme,
    nearest_int,
    store_f16,
    to_int8,
)
from aprtui.formats.codecs.encoders.scale_search import refined_scale, symmetric_scale

_ZERO = np.float32(0)
_ONE = np.float32(1)


@compiled
def _store_q3_scales(sub_scales: NDArray[np.int8], block: NDArray[np.uint8]) -> None:
    """Sixteen six-bit sub-scales (32 added) in bytes 96 to 107: low nibbles, then two high bits each."""
    for j in range(16):
        stored = int(sub_scales[j]) + 32
        block[96 + j % 8] |= (stored & 15) << (4 * (j // 8))
        block[104 + j % 4] |= (stored >> 4) << (2 * (j // 4))


@compiled
def _store_q3_codes(codes: NDArray[np.int8], block: NDArray[np.uint8]) -> None:
    """Low two bits in bytes 32 to 95, the third bit in bytes 0 to 31."""
    for j in range(256):
        code = int(codes[j])
        block[32 + 32 * (j // 128) + j % 32] |= (code & 3) << (2 * (j % 128 // 32))
        block[j % 32] |= (code >> 2) << (j // 32)


@compiled
def encode_q3_k(x: NDArray[np.float32], out: NDArray[np.uint8]) -> None:
    """Encode float32 [n, 256] into uint8 [n, 110]; `out` must be zeros."""
    codes, scales, sub_scales = np.zeros(256, np.int8), np.zeros(16, np.float32), np.zeros(16, np.int8)
    for n in range(len(x)):
        block = out[n]
        for j in range(16):
            scales[j] = refined_scale(x[n, 16 * j : 16 * j + 16], 4, codes[16 * j : 16 * j + 16])
        peak = extreme(scales)
        scale = _ZERO
        if peak != _ZERO:
            inverse = np.float32(-32) / peak
            for j in range(16):
                sub_scales[j] = clipped(to_int8(nearest_int(inverse * scales[j])), -32, 31)
            _store_q3_scales(sub_scales, block)
            scale = store_f16(block, 108, _ONE / inverse)
        for j in range(16):
            step = scale * np.float32(sub_scales[j])
            if step == _ZERO:
                continue
            for i in range(16 * j, 16 * j + 16):
                codes[i] = clipped(nearest_int(x[n, i] / step), -4, 3) + 4
        _store_q3_codes(codes, block)


@compiled
def _store_q6_codes(codes: NDArray[np.uint8], block: NDArray[np.uint8]) -> None:
    """Low four bits in bytes 0 to 127, high two bits in bytes 128 to 191."""
    for half in range(2):
        for i in range(32):
            j, low, high = 128 * half + i, 64 * half + i, 128 + 32 * half + i
            a, b, c, d = codes[j], codes[j + 32], codes[j + 64], codes[j + 96]
            block[low] = (a & 15) | ((c & 15) << 4)
            block[low + 32] = (b & 15) | ((d & 15) << 4)
            block[high] = (a >> 4) | ((b >> 4) << 2) | ((c >> 4) << 4) | ((d >> 4) << 6)


@compiled
def encode_q6_k(x: NDArray[np.float32], out: NDArray[np.uint8]) -> None:
    """Encode float32 [n, 256] into uint8 [n, 210]; `out` must be zeros."""
    codes, scales = np.zeros(256, np.uint8), np.zeros(16, np.float32)
    for n in range(len(x)):
        block = out[n]
        for j in range(16):
            scales[j] = symmetric_scale(x[n, 16 * j : 16 * j + 16], 32, codes[16 * j : 16 * j + 16])
        peak = extreme(scales)
        if abs(peak) < GROUP_MAX_EPS:
            continue
        inverse = np.float32(-128) / peak
        scale = store_f16(block, 208, _ONE / inverse)
        for j in range(16):
            sub_scale = to_int8(min(127, nearest_int(inverse * scales[j])))
            block[192 + j] = sub_scale & 0xFF
            step = scale * np.float32(sub_scale)
            if step == _ZERO:
                continue
            for i in range(16 * j, 16 * j + 16):
                codes[i] = clipped(nearest_int(x[n, i] / step), -32, 31) + 32
        _store_q6_codes(codes, block)
