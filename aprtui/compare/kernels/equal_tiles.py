"""Compiled loops for tiles whose two sides hold the same values: only the sum of squares is left to measure.

Most tensors of an honest lossless conversion are like this, so these loops read memory once, straight from the
stored bytes, and compare and square in the same pass: the processor then fetches the next bytes while it computes.
Each returns the sum of squares and whether all values are equal; the sum means nothing where they are not.
Fastmath covers the order of the sums only (no `nnan`, no `ninf`): NaN and infinities must come through.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from aprtui.compare.kernels import dispatch
from aprtui.compare.kernels.bits import float32_of_half
from aprtui.compare.kernels.decoders_plain import Bytes, Floats, float_of_bf16
from aprtui.compare.kernels.dispatch import BF16, F16, F32

REDUCTION = {"reassoc", "contract", "nsz"}


@njit(nogil=True, fastmath=REDUCTION)
def square_sum(x: Floats, count: int) -> float:
    """Sum of squares of decoded values."""
    total = 0.0
    for k in range(count):
        value = np.float64(x[k])
        total += value * value
    return total


@njit(nogil=True, fastmath=REDUCTION)
def _equal_f32(a: Bytes, b: Bytes) -> tuple[float, bool]:
    x, y = a.view(np.float32), b.view(np.float32)
    total, differ = 0.0, np.uint32(0)
    for k in range(min(x.size, y.size)):
        value = np.float64(x[k])
        differ |= np.uint32(x[k] != y[k])
        total += value * value
    return total, differ == 0


@njit(nogil=True, fastmath=REDUCTION)
def _equal_f16(a: Bytes, b: Bytes) -> tuple[float, bool]:
    x, y = a.view(np.uint16), b.view(np.uint16)
    total, differ = 0.0, np.uint32(0)
    for k in range(min(x.size, y.size)):
        value = np.float64(float32_of_half(x[k]))
        differ |= np.uint32(x[k] ^ y[k])
        total += value * value
    return total, differ == 0


@njit(nogil=True, fastmath=REDUCTION)
def _equal_bf16(a: Bytes, b: Bytes) -> tuple[float, bool]:
    x, y = a.view(np.uint16), b.view(np.uint16)
    total, differ = 0.0, np.uint32(0)
    for k in range(min(x.size, y.size)):
        value = np.float64(float_of_bf16(x[k]))
        differ |= np.uint32(x[k] ^ y[k])
        total += value * value
    return total, differ == 0


@njit(nogil=True, fastmath=REDUCTION)
def _equal_f16_f32(a: Bytes, b: Bytes) -> tuple[float, bool]:
    x, y = a.view(np.uint16), b.view(np.float32)
    total, differ = 0.0, np.uint32(0)
    for k in range(min(x.size, y.size)):
        value = float32_of_half(x[k])
        differ |= np.uint32(value != y[k])
        total += np.float64(value) * np.float64(value)
    return total, differ == 0


@njit(nogil=True, fastmath=REDUCTION)
def _equal_bf16_f32(a: Bytes, b: Bytes) -> tuple[float, bool]:
    x, y = a.view(np.uint16), b.view(np.float32)
    total, differ = 0.0, np.uint32(0)
    for k in range(min(x.size, y.size)):
        value = float_of_bf16(x[k])
        differ |= np.uint32(value != y[k])
        total += np.float64(value) * np.float64(value)
    return total, differ == 0


@njit(nogil=True)
def _same_bytes(a: Bytes, b: Bytes) -> bool:
    if a.size != b.size:
        return False
    differ = np.uint8(0)
    for k in range(a.size):
        differ |= np.uint8(a[k] ^ b[k])
    return bool(differ == 0)


@njit(nogil=True)
def equal_tile(  # noqa: PLR0917 - numba has no keyword-only parameters
    kind_a: int, a: Bytes, kind_b: int, b: Bytes, scales: Floats, count: int, x: Floats
) -> tuple[float, bool]:
    """Try to settle a tile as equal.

    Args:
        kind_a: `KIND` of a.
        a: uint8; the tile's blocks.
        kind_b: `KIND` of b.
        b: uint8; the tile's blocks.
        scales: float32 [2]; AprQ8's scale of either side.
        count: Elements of the tile.
        x: float32 scratch for decoded values.

    Returns:
        The sum of squares, and whether it is known that all values are finite and equal. Where it is not, they may
        be equal all the same.
    """
    total, same = 0.0, False
    if kind_a == F32 and kind_b == F32:
        total, same = _equal_f32(a, b)
    elif kind_a == BF16 and kind_b == BF16:
        total, same = _equal_bf16(a, b)
    elif kind_a == F16 and kind_b == F16:
        total, same = _equal_f16(a, b)
    elif kind_a == BF16 and kind_b == F32:
        total, same = _equal_bf16_f32(a, b)
    elif kind_a == F32 and kind_b == BF16:
        total, same = _equal_bf16_f32(b, a)
    elif kind_a == F16 and kind_b == F32:
        total, same = _equal_f16_f32(a, b)
    elif kind_a == F32 and kind_b == F16:
        total, same = _equal_f16_f32(b, a)
    elif kind_a == kind_b and scales[0] == scales[1] and _same_bytes(a, b):
        dispatch.decode_tile(kind_a, a, count, scales[0], x)
        total, same = square_sum(x, count), True
    return total, same and np.isfinite(total)
