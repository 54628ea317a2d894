"""Reinterpreting bits inside compiled code: what numpy does with `.view` on arrays, for single values."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import cast

import numpy as np
from llvmlite import ir
from numba import types
from numba.core.base import BaseContext
from numba.core.typing import BaseContext as TypingContext
from numba.core.typing import Signature
from numba.extending import intrinsic

Generator = Callable[[BaseContext, ir.IRBuilder, Signature, Sequence[ir.Value]], ir.Value]


def _bits_of_float64(_typing: TypingContext, _value: types.Type) -> tuple[Signature, Generator]:
    """The bits of a float64 as int64."""

    def generate(
        _context: BaseContext, builder: ir.IRBuilder, _signature: Signature, arguments: Sequence[ir.Value]
    ) -> ir.Value:
        return builder.bitcast(arguments[0], ir.IntType(64))

    return types.int64(types.float64), generate


def _float64_of_bits(_typing: TypingContext, _bits: types.Type) -> tuple[Signature, Generator]:
    """The float64 with the bits of an int64."""

    def generate(
        _context: BaseContext, builder: ir.IRBuilder, _signature: Signature, arguments: Sequence[ir.Value]
    ) -> ir.Value:
        return builder.bitcast(arguments[0], ir.DoubleType())

    return types.float64(types.int64), generate


def _float32_of_bits(_typing: TypingContext, _bits: types.Type) -> tuple[Signature, Generator]:
    """The float32 with the bits of a uint32."""

    def generate(
        _context: BaseContext, builder: ir.IRBuilder, _signature: Signature, arguments: Sequence[ir.Value]
    ) -> ir.Value:
        return builder.bitcast(arguments[0], ir.FloatType())

    return types.float32(types.uint32), generate


def _float32_of_half(_typing: TypingContext, _bits: types.Type) -> tuple[Signature, Generator]:
    """The float32 with the value of the float16 whose bits are a uint16."""

    def generate(
        context: BaseContext, builder: ir.IRBuilder, _signature: Signature, arguments: Sequence[ir.Value]
    ) -> ir.Value:
        triple, _cpu, features = context.codegen().magic_tuple()
        if "+f16c" in features or triple.startswith(("aarch64", "arm64")):
            return builder.fpext(builder.bitcast(arguments[0], ir.HalfType()), ir.FloatType())
        return _half_by_arithmetic(builder, arguments[0])

    return types.float32(types.uint16), generate


def _half_by_arithmetic(builder: ir.IRBuilder, half: ir.Value) -> ir.Value:
    """As the instruction, for processors and virtual machines without it (LLVM would call a missing function).

    Exponent and mantissa, moved to where float32 has them, are a number 2^112 times too small, sub-normals included.
    """
    word, single = ir.IntType(32), ir.FloatType()
    wide = builder.zext(half, word)
    sign = builder.shl(builder.and_(wide, word(0x8000)), word(16))
    magnitude = builder.shl(builder.and_(wide, word(0x7FFF)), word(13))
    scaled = builder.bitcast(builder.fmul(builder.bitcast(magnitude, single), single(2.0**112)), word)
    not_finite = builder.icmp_unsigned(">=", magnitude, word(0x7C00 << 13))
    top = builder.select(not_finite, word(0x7F800000), word(0))
    return builder.bitcast(builder.or_(builder.or_(scaled, top), sign), single)


bits_of_float64 = cast(Callable[[np.float64], np.int64], intrinsic(_bits_of_float64))
float64_of_bits = cast(Callable[[np.int64], np.float64], intrinsic(_float64_of_bits))
float32_of_bits = cast(Callable[[np.uint32], np.float32], intrinsic(_float32_of_bits))
float32_of_half = cast(Callable[[np.uint16], np.float32], intrinsic(_float32_of_half))
