"""Levels of stored codes, thirty-two at a time, as LLVM vectors: the positions of decode.py without its byte loops."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import numpy as np
from llvmlite import ir
from numba import types
from numba.core.base import BaseContext
from numba.core.typing import Signature
from numba.extending import intrinsic

from aprtui.compare.certificate.fast import decode
from aprtui.compare.certificate.fast.compiled import Bytes, Doubles, Floats, inlined
from aprtui.compare.certificate.fast.vectors import Typed, Typing, Values, constant, pointer, splat

_I8, _I32, _F32 = ir.IntType(8), ir.IntType(32), ir.FloatType()
_CODES = ir.VectorType(_I8, 32)
_HALVES = list(range(32))
_PAIRS = [j // 2 + 16 * (j % 2) for j in range(32)]

Unpack = Callable[[ir.IRBuilder, ir.Value], ir.Value]
"""Makes the vector of 32 codes from the address of a block."""


def _bytes_at(builder: ir.IRBuilder, data: ir.Value, at: int, kind: ir.Type) -> ir.Value:
    place = builder.gep(data, [ir.Constant(_I32, at)])
    return builder.load(builder.bitcast(place, kind.as_pointer()), align=1)


def _nibbles(at: int, order: list[int], fifth_at: int | None = None) -> Unpack:
    """Low and high nibbles of 16 bytes in an order; with one bit more from 4 other bytes."""

    def unpack(builder: ir.IRBuilder, data: ir.Value) -> ir.Value:
        packed = _bytes_at(builder, data, at, ir.VectorType(_I8, 16))
        low = builder.and_(packed, constant(_I8, 15, 16))
        high = builder.lshr(packed, constant(_I8, 4, 16))
        codes = builder.shuffle_vector(low, high, ir.Constant(ir.VectorType(_I32, 32), order))
        if fifth_at is None:
            return codes
        bits = builder.bitcast(_bytes_at(builder, data, fifth_at, _I32), ir.VectorType(ir.IntType(1), 32))
        return builder.or_(codes, builder.shl(builder.zext(bits, _CODES), constant(_I8, 4, 32)))

    return unpack


def _whole_bytes(at: int) -> Unpack:
    """Signed bytes, counted from the lowest, as `decode.q8_0` gives them."""

    def unpack(builder: ir.IRBuilder, data: ir.Value) -> ir.Value:
        return builder.xor(_bytes_at(builder, data, at, _CODES), constant(_I8, -128, 32))

    return unpack


def _levels(unpack: Unpack) -> Typing:
    def typed(_context: object, raw: types.Type, bias: types.Type, level: types.Type) -> Typed:
        def generate(context: BaseContext, builder: ir.IRBuilder, signature: Signature, arguments: Values) -> ir.Value:
            codes = unpack(builder, pointer(context, builder, signature.args[0], arguments[0]))
            wide = builder.zext(codes, ir.VectorType(_I32, 32))
            values = builder.sitofp(wide, ir.VectorType(_F32, 32))
            values = builder.fsub(values, splat(builder, arguments[1], 32))
            out = pointer(context, builder, signature.args[2], arguments[2])
            builder.store(values, builder.bitcast(out, values.type.as_pointer()), align=4)
            return context.get_dummy_value()

        return types.void(raw, bias, level), generate

    return typed


Levels = Callable[[Bytes, np.float32, Floats], None]

_q8_0 = cast(Levels, intrinsic(_levels(_whole_bytes(2))))
_q4_0 = cast(Levels, intrinsic(_levels(_nibbles(2, _HALVES))))
_q5_0 = cast(Levels, intrinsic(_levels(_nibbles(6, _HALVES, 2))))
_q4_1 = cast(Levels, intrinsic(_levels(_nibbles(4, _HALVES))))
_q5_1 = cast(Levels, intrinsic(_levels(_nibbles(8, _HALVES, 4))))
_apr_q4 = cast(Levels, intrinsic(_levels(_nibbles(2, _PAIRS))))


@inlined
def formula_levels(kind: int, raw: Bytes, facts: Doubles, level: Floats) -> None:
    """Levels of one block of a type whose scale is a formula.

    Args:
        kind: Number of the type; see decode.py.
        raw: uint8 [nbytes].
        facts: float64; see `measure.facts_of`.
        level: float32 [32], written.
    """
    bias = np.float32(facts[8])
    if kind == decode.Q8_0:
        _q8_0(raw, bias, level)
    elif kind == decode.Q4_0:
        _q4_0(raw, bias, level)
    elif kind == decode.Q5_0:
        _q5_0(raw, bias, level)
    elif kind == decode.Q4_1:
        _q4_1(raw, bias, level)
    elif kind == decode.Q5_1:
        _q5_1(raw, bias, level)
    else:
        _apr_q4(raw, bias, level)
