"""The float32 arithmetic that ggml's quantisers are built from, for numba.

Every function is exact to the bit, also for infinities and NaN, because encoded bytes are compared with ggml's.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec, TypeVar, cast

import numpy as np
from numba import njit
from numpy.typing import NDArray

P = ParamSpec("P")
R = TypeVar("R")

GROUP_MAX_EPS = np.float32(1e-15)
"""Groups whose largest magnitude lies below are encoded as zeros (ggml-quants.c)."""

_ROUNDING_MAGIC = np.float32(12582912.0)  # 1.5 * 2^23: its last mantissa bit is worth 1
_ZERO = np.float32(0)
_HALF = np.float32(0.5)
_TWO_24 = np.float32(2.0**24)
_TWO_112 = np.float32(2.0**112)


def compiled(function: Callable[P, R]) -> Callable[P, R]:
    """Compile with IEEE semantics: division by zero gives infinity, nothing is reordered or contracted."""
    return cast("Callable[P, R]", njit(nogil=True, cache=True, error_model="numpy")(function))


@compiled
def nearest_int(value: np.float32) -> int:
    """Round to nearest even as ggml does: 0 for NaN, -2^22 for infinities (`nearest_int` in ggml-quants.c)."""
    bits = int(np.float32(value + _ROUNDING_MAGIC).view(np.int32))
    return (bits & 0x007FFFFF) - 0x00400000


@compiled
def clipped(value: int, low: int, high: int) -> int:
    """The value, held within [low, high]."""
    return max(low, min(high, value))


@compiled
def to_int8(value: int) -> int:
    """What is left of an integer in an int8."""
    return ((value + 128) & 0xFF) - 128


@compiled
def truncated(value: np.float32) -> int:
    """A C cast to int as x86-64 does it (cvttss2si): -2^31 where the value does not fit or is NaN."""
    if np.float32(-(2.0**31)) <= value < np.float32(2.0**31):
        return int(value)
    return -(1 << 31)


@compiled
def round_half_away(value: np.float32) -> np.float32:
    """C's roundf."""
    whole = np.float32(np.trunc(value))
    rest = value - whole
    if rest >= _HALF:
        return whole + np.float32(1)
    if rest <= -_HALF:
        return whole - np.float32(1)
    return whole


@compiled
def f16_bits(value: np.float32) -> int:
    """The bits of the nearest f16, ties to even; sub-normals are kept, NaN becomes 0x7E00 with its sign."""
    bits = int(np.float32(value).view(np.uint32))
    sign, magnitude = (bits >> 16) & 0x8000, bits & 0x7FFFFFFF
    if magnitude > 0x7F800000:
        return sign | 0x7E00
    if magnitude >= 0x47800000:  # 2^16
        return sign | 0x7C00
    if magnitude >= 0x38800000:  # 2^-14, the smallest normal f16
        rebiased = magnitude - 0x38000000
        return sign | ((rebiased + 0xFFF + ((rebiased >> 13) & 1)) >> 13)
    return sign | nearest_int(abs(value) * _TWO_24)


@compiled
def f16_value(bits: int) -> np.float32:
    """The float32 value of f16 bits."""
    magnitude = bits & 0x7FFF
    if magnitude >= 0x7C00:
        value = np.float32(np.inf) if magnitude == 0x7C00 else np.float32(np.nan)
    else:
        value = np.uint32(magnitude << 13).view(np.float32) * _TWO_112
    return -value if bits & 0x8000 else value


@compiled
def store_f16(block: NDArray[np.uint8], at: int, value: np.float32) -> np.float32:
    """Store a value as little-endian f16 and return what was stored.

    Args:
        block: uint8 [nbytes].
        at: First byte.
        value: Any float32.
    """
    bits = f16_bits(value)
    block[at] = bits & 0xFF
    block[at + 1] = bits >> 8
    return f16_value(bits)


@compiled
def extreme(x: NDArray[np.float32]) -> np.float32:
    """The first value of largest magnitude, with its sign; 0 where all are zero."""
    largest, value = _ZERO, _ZERO
    for i in range(len(x)):
        magnitude = abs(x[i])
        if magnitude > largest:
            largest = magnitude
            value = x[i]
    return value
