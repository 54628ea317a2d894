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
        _context: BaseContext, builder: ir.IRBuilder, _signature: Signature, arguments: Sequence[ir.Value]
    ) -> ir.Value:
        return builder.fpext(builder.bitcast(arguments[0], ir.HalfType()), ir.FloatType())

    return types.float32(types.uint16), generate


bits_of_float64 = cast(Callable[[np.float64], np.int64], intrinsic(_bits_of_float64))
float64_of_bits = cast(Callable[[np.int64], np.float64], intrinsic(_float64_of_bits))
float32_of_bits = cast(Callable[[np.uint32], np.float32], intrinsic(_float32_of_bits))
float32_of_half = cast(Callable[[np.uint16], np.float32], intrinsic(_float32_of_half))
