"""Q4_0, Q4_1, Q5_0, Q5_1 and Q8_0: 32 elements under one scale that is a formula of the block's extremes.

Source: `quantize_row_q*_ref` in ggml-quants.c.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from aprtui.formats.codecs.encoders.arithmetic import compiled, extreme, round_half_away, store_f16, to_int8, truncated

_ZERO = np.float32(0)
_ONE = np.float32(1)
_HALF = np.float32(0.5)


@compiled
def _inverse(scale: np.float32) -> np.float32:
    return _ONE / scale if scale != _ZERO else _ZERO


@compiled
def _store_nibbles(codes: NDArray[np.uint8], block: NDArray[np.uint8], at: int) -> None:
    for j in range(16):
        block[at + j] = (codes[j] & 15) | ((codes[j + 16] & 15) << 4)


@compiled
def _store_fifth_bits(codes: NDArray[np.uint8], block: NDArray[np.uint8], at: int) -> None:
    for j in range(32):
        block[at + j // 8] |= ((codes[j] >> 4) & 1) << (j % 8)


@compiled
def _codes_around_zero(x: NDArray[np.float32], half: int, codes: NDArray[np.uint8]) -> np.float32:
    """Codes of Q4_0 (half 8) and Q5_0 (half 16): the extreme takes code 0. Returns the scale."""
    scale = extreme(x) / np.float32(-half)
    inverse = _inverse(scale)
    middle = np.float32(half) + _HALF
    for j in range(32):
        codes[j] = min(2 * half - 1, to_int8(truncated(x[j] * inverse + middle))) & 0xFF
    return scale


@compiled
def _codes_above_minimum(x: NDArray[np.float32], top: int, codes: NDArray[np.uint8]) -> tuple[np.float32, np.float32]:
    """Codes of Q4_1 (top 15) and Q5_1 (top 31). Returns the scale and the minimum."""
    low, high = x[0], x[0]
    for j in range(1, 32):
        low = x[j] if x[j] < low else low
        high = x[j] if x[j] > high else high
    scale = (high - low) / np.float32(top)
    inverse = _inverse(scale)
    for j in range(32):
        code = truncated((x[j] - low) * inverse + _HALF)
        # ggml cuts Q4_1's code off at 15 but stores Q5_1's as it comes
        codes[j] = (min(15, to_int8(code)) if top == 15 else code) & 0xFF
    return scale, low


@compiled
def encode_q4_0(x: NDArray[np.float32], out: NDArray[np.uint8]) -> None:
    """Encode float32 [n, 32] into uint8 [n, 18]; `out` must be zeros."""
    codes = np.zeros(32, np.uint8)
    for i in range(len(x)):
        scale = _codes_around_zero(x[i], 8, codes)
        store_f16(out[i], 0, scale)
        _store_nibbles(codes, out[i], 2)


@compiled
def encode_q5_0(x: NDArray[np.float32], out: NDArray[np.uint8]) -> None:
    """Encode float32 [n, 32] into uint8 [n, 22]; `out` must be zeros."""
    codes = np.zeros(32, np.uint8)
    for i in range(len(x)):
        scale = _codes_around_zero(x[i], 16, codes)
        store_f16(out[i], 0, scale)
        _store_fifth_bits(codes, out[i], 2)
        _store_nibbles(codes, out[i], 6)


@compiled
def encode_q4_1(x: NDArray[np.float32], out: NDArray[np.uint8]) -> None:
    """Encode float32 [n, 32] into uint8 [n, 20]; `out` must be zeros."""
    codes = np.zeros(32, np.uint8)
    for i in range(len(x)):
        scale, low = _codes_above_minimum(x[i], 15, codes)
        store_f16(out[i], 0, scale)
        store_f16(out[i], 2, low)
        _store_nibbles(codes, out[i], 4)


@compiled
def encode_q5_1(x: NDArray[np.float32], out: NDArray[np.uint8]) -> None:
    """Encode float32 [n, 32] into uint8 [n, 24]; `out` must be zeros."""
    codes = np.zeros(32, np.uint8)
    for i in range(len(x)):
        scale, low = _codes_above_minimum(x[i], 31, codes)
        store_f16(out[i], 0, scale)
        store_f16(out[i], 2, low)
        _store_fifth_bits(codes, out[i], 4)
        _store_nibbles(codes, out[i], 8)


@compiled
def encode_q8_0(x: NDArray[np.float32], out: NDArray[np.uint8]) -> None:
    """Encode float32 [n, 32] into uint8 [n, 34]; `out` must be zeros."""
    for i in range(len(x)):
        scale = abs(extreme(x[i])) / np.float32(127)
        inverse = _inverse(scale)
        store_f16(out[i], 0, scale)
        for j in range(32):
            out[i, 2 + j] = truncated(round_half_away(x[i, j] * inverse)) & 0xFF
