"""Compiled decoders of F32, F16 and BF16."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from aprtui.compare.kernels.bits import float32_of_bits, float32_of_half

Bytes = NDArray[np.uint8]
Floats = NDArray[np.float32]


@njit(nogil=True)
def float_of_bf16(bits: np.uint16) -> np.float32:
    """The float32 with the value of a bfloat16: its bits are the upper half."""
    return float32_of_bits(np.uint32(bits) << np.uint32(16))


@njit(nogil=True)
def decode_f32(raw: Bytes, out: Floats, count: int) -> None:
    """Copy float32."""
    values = raw.view(np.float32)
    for k in range(count):
        out[k] = values[k]


@njit(nogil=True)
def decode_f16(raw: Bytes, out: Floats, count: int) -> None:
    """float16 to float32."""
    halves = raw.view(np.uint16)
    for k in range(count):
        out[k] = float32_of_half(halves[k])


@njit(nogil=True)
def decode_bf16(raw: Bytes, out: Floats, count: int) -> None:
    """bfloat16 to float32."""
    halves = raw.view(np.uint16)
    for k in range(count):
        out[k] = float_of_bf16(halves[k])
