"""Types that store every element by itself: floats from 4 to 64 bits, integers, booleans.

The numpy reference; nothing here is approximate.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from aprtui.core.dtypes import DType

Numbers = NDArray[np.float32] | NDArray[np.float64]

_WIDE = {DType.F64: "<f8", DType.I32: "<i4", DType.U32: "<u4", DType.I64: "<i8", DType.U64: "<u8"}
"""Types whose values do not all fit into float32."""

_NARROW = {
    DType.F32: "<f4",
    DType.F16: "<f2",
    DType.I16: "<i2",
    DType.U16: "<u2",
    DType.I8: "i1",
    DType.U8: "u1",
    DType.BOOL: "u1",
}


@lru_cache
def small_float_table(exponent_bits: int, mantissa_bits: int) -> NDArray[np.float32]:
    """The values of all codes of a small float without infinities or NaN, sign in the top bit.

    Source: OCP Microscaling Formats (MX) v1.0, section 5.3; the bias is 2^(exponent_bits - 1) - 1.
    """
    codes = np.arange(1 << (1 + exponent_bits + mantissa_bits))
    mantissa = codes & ((1 << mantissa_bits) - 1)
    exponent = (codes >> mantissa_bits) & ((1 << exponent_bits) - 1)
    negative = codes >> (exponent_bits + mantissa_bits)
    bias = (1 << (exponent_bits - 1)) - 1
    normal = exponent > 0
    significand = np.where(normal, 1 << mantissa_bits, 0) + mantissa
    magnitude = significand * 2.0 ** (np.maximum(exponent, 1) - bias - mantissa_bits)
    table: NDArray[np.float32] = np.where(negative, -magnitude, magnitude).astype(np.float32)
    table.flags.writeable = False
    return table


@lru_cache
def eight_bit_float_table(dtype: DType) -> NDArray[np.float32]:
    """The values of the 256 codes of F8_E4M3, F8_E5M2 or F8_E8M0.

    Source: OCP 8-bit Floating Point Specification (E4M3 has no infinities and one NaN per sign, E5M2 follows
    IEEE 754); MX v1.0 section 5.4.1 (E8M0: 2^(code - 127), 255 is NaN).
    """
    if dtype == DType.F8_E8M0:
        table = np.append(2.0 ** (np.arange(255) - 127.0), np.nan).astype(np.float32)
    elif dtype == DType.F8_E4M3:
        table = small_float_table(4, 3).copy()
        table[[0x7F, 0xFF]] = np.nan
    else:
        table = small_float_table(5, 2).copy()
        table[[0x7C, 0xFC]] = np.inf, -np.inf
        table[[0x7D, 0x7E, 0x7F, 0xFD, 0xFE, 0xFF]] = np.nan
    table.flags.writeable = False
    return table


def _two_per_byte(data: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Codes of 4 bits; the first of two is in the low nibble (as torch's float4_e2m1fn_x2)."""
    codes = np.empty((data.size, 2), np.uint8)
    codes[:, 0] = data & np.uint8(15)
    codes[:, 1] = data >> np.uint8(4)
    return codes.ravel()


def _four_per_three_bytes(data: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Codes of 6 bits, little-endian: code i of four in bits 6 i to 6 i + 5 of three bytes."""
    triples = data.reshape(-1, 3).astype(np.uint32)
    bits = triples[:, 0] | (triples[:, 1] << np.uint32(8)) | (triples[:, 2] << np.uint32(16))
    codes: NDArray[np.uint32] = (bits[:, None] >> np.array([0, 6, 12, 18], np.uint32)) & np.uint32(63)
    return codes.astype(np.uint8).ravel()


def decode_plain(dtype: DType, data: NDArray[np.uint8]) -> Numbers:
    """Decode elements that are stored one by one.

    Args:
        dtype: Any type outside the block and integer-code formats; not C64.
        data: uint8, flat.

    Returns:
        Flat float64 for F64, I32, U32, I64, U64 (integers beyond 2^53 are rounded), float32 otherwise. BOOL gives the
        number of the byte, so that invalid bytes stay visible. F32 and F64 may share memory with `data`.
    """
    if dtype in _WIDE:
        return np.require(data.view(_WIDE[dtype]), np.float64, "A")
    if dtype in _NARROW:
        return np.require(data.view(_NARROW[dtype]), np.float32, "A")
    if dtype == DType.BF16:
        return (data.view("<u2").astype(np.uint32) << np.uint32(16)).view(np.float32)
    if dtype == DType.F4:
        return small_float_table(2, 1)[_two_per_byte(data)]
    if dtype == DType.F6_E2M3:
        return small_float_table(2, 3)[_four_per_three_bytes(data)]
    if dtype == DType.F6_E3M2:
        return small_float_table(3, 2)[_four_per_three_bytes(data)]
    return eight_bit_float_table(dtype)[data]
