"""Runs of sixteen or thirty-two elements as LLVM vectors, because loops of that length leave most of the time unused.

A loop over one sub-block is unrolled or guarded by the compiler as it pleases, and its counts become long chains of
additions. Here the operations are spelled out: every lane does the reference's float32 arithmetic in its order,
comparisons give masks, and masks are counted by their bits. LLVM lowers the vectors to what the processor has.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import numpy as np
from llvmlite import ir
from numba import types
from numba.core.base import BaseContext
from numba.core.typing import Signature
from numba.extending import intrinsic

from aprtui.compare.certificate.fast.compiled import Floats

_F32, _F64, _I1, _I32 = ir.FloatType(), ir.DoubleType(), ir.IntType(1), ir.IntType(32)
_MAGNITUDE, _INFINITY = 0x7FFFFFFF, 0x7F800000

Values = tuple[ir.Value, ...]
Typed = tuple[Signature, Callable[[BaseContext, ir.IRBuilder, Signature, Values], ir.Value]]
Typing = Callable[..., Typed]


def pointer(context: BaseContext, builder: ir.IRBuilder, array: types.Array, value: ir.Value) -> ir.Value:
    """Address of an array's first element."""
    return context.make_array(array)(context, builder, value).data


def _load(context: BaseContext, builder: ir.IRBuilder, array: types.Array, value: ir.Value, lanes: int) -> ir.Value:
    """The first float32 elements of an array as a vector."""
    data = pointer(context, builder, array, value)
    return builder.load(builder.bitcast(data, ir.VectorType(_F32, lanes).as_pointer()), align=4)


def splat(builder: ir.IRBuilder, value: ir.Value, lanes: int) -> ir.Value:
    """A number in every lane."""
    vector = ir.VectorType(value.type, lanes)
    one = builder.insert_element(ir.Constant(vector, ir.Undefined), value, ir.Constant(_I32, 0))
    return builder.shuffle_vector(one, one, ir.Constant(ir.VectorType(_I32, lanes), [0] * lanes))


def constant(scalar: ir.Type, value: float, lanes: int) -> ir.Value:
    """A constant in every lane."""
    return ir.Constant(ir.VectorType(scalar, lanes), [value] * lanes)


def _mask(builder: ir.IRBuilder, flags: ir.Value, lanes: int) -> ir.Value:
    return builder.bitcast(flags, ir.IntType(lanes))


def _count(builder: ir.IRBuilder, flags: ir.Value, lanes: int) -> ir.Value:
    return builder.zext(builder.ctpop(_mask(builder, flags, lanes)), ir.IntType(64))


def _folded(
    builder: ir.IRBuilder, vector: ir.Value, lanes: int, join: Callable[[ir.Value, ir.Value], ir.Value]
) -> ir.Value:
    """One number from all lanes: halves are joined until one lane is left."""
    while lanes > 1:
        lanes //= 2
        index = ir.VectorType(_I32, lanes)
        low = builder.shuffle_vector(vector, vector, ir.Constant(index, list(range(lanes))))
        high = builder.shuffle_vector(vector, vector, ir.Constant(index, list(range(lanes, 2 * lanes))))
        vector = join(low, high)
    return builder.extract_element(vector, ir.Constant(_I32, 0))


def _magnitude(builder: ir.IRBuilder, vector: ir.Value, lanes: int) -> ir.Value:
    bits = builder.bitcast(vector, ir.VectorType(_I32, lanes))
    return builder.and_(bits, constant(_I32, _MAGNITUDE, lanes))


def _absolute(builder: ir.IRBuilder, vector: ir.Value, lanes: int) -> ir.Value:
    return builder.bitcast(_magnitude(builder, vector, lanes), ir.VectorType(_F32, lanes))


def _extremes(lanes: int) -> Typing:
    def typed(_context: object, x: types.Type) -> Typed:
        def generate(context: BaseContext, builder: ir.IRBuilder, signature: Signature, arguments: Values) -> ir.Value:
            v = _load(context, builder, signature.args[0], arguments[0], lanes)
            bits = _magnitude(builder, v, lanes)
            finite = builder.icmp_unsigned("<", bits, constant(_I32, _INFINITY, lanes))
            every = builder.icmp_unsigned("==", _mask(builder, finite, lanes), ir.Constant(ir.IntType(lanes), -1))

            def smaller(a: ir.Value, b: ir.Value) -> ir.Value:
                return builder.select(builder.fcmp_ordered("<", a, b), a, b)

            def larger(a: ir.Value, b: ir.Value) -> ir.Value:
                return builder.select(builder.fcmp_ordered(">", a, b), a, b)

            low, high = _folded(builder, v, lanes, smaller), _folded(builder, v, lanes, larger)
            return context.make_tuple(builder, signature.return_type, [low, high, every])

        return types.Tuple((types.float32, types.float32, types.boolean))(x), generate

    return typed


def _cells(lanes: int) -> Typing:
    def typed(_context: object, x: types.Type, level: types.Type, fit: types.Type) -> Typed:
        def generate(context: BaseContext, builder: ir.IRBuilder, signature: Signature, arguments: Values) -> ir.Value:
            v = _load(context, builder, signature.args[0], arguments[0], lanes)
            levels = _load(context, builder, signature.args[1], arguments[1], lanes)
            numbers = pointer(context, builder, signature.args[2], arguments[2])
            inverse, offset, allowed, lowest, highest, bottom, top = (
                splat(builder, builder.load(builder.gep(numbers, [ir.Constant(_I32, k)])), lanes) for k in range(7)
            )
            z = builder.fmul(builder.fadd(v, offset), inverse)
            inner = builder.select(builder.fcmp_ordered(">", z, lowest), z, lowest)
            inner = builder.select(builder.fcmp_ordered("<", inner, highest), inner, highest)
            distance = _absolute(builder, builder.fsub(inner, levels), lanes)
            outside = builder.fcmp_ordered(">", builder.fsub(distance, constant(_F32, 0.5, lanes)), allowed)
            beyond = builder.or_(builder.fcmp_ordered("<", z, bottom), builder.fcmp_ordered(">", z, top))
            counts = [_count(builder, outside, lanes), _count(builder, beyond, lanes)]
            return context.make_tuple(builder, signature.return_type, counts)

        return types.UniTuple(types.int64, 2)(x, level, fit), generate

    return typed


def _sums(lanes: int, norm: int) -> Typing:
    """Sums in float64 of e², weight * e² (Q2_K: |x| |e|), |x|, and x² (Q2_K: |e|); of e² alone where norm is 0."""

    def typed(_context: object, x: types.Type, level: types.Type, inverse: types.Type, offset: types.Type) -> Typed:
        def generate(context: BaseContext, builder: ir.IRBuilder, signature: Signature, arguments: Values) -> ir.Value:
            v = _load(context, builder, signature.args[0], arguments[0], lanes)
            levels = _load(context, builder, signature.args[1], arguments[1], lanes)
            wide = ir.VectorType(_F64, lanes)
            scaled = builder.fadd(v, splat(builder, arguments[3], lanes))
            scaled = builder.fmul(scaled, splat(builder, arguments[2], lanes))
            error = builder.fsub(scaled, levels)
            if norm == 1:
                error = _absolute(builder, error, lanes)
            e = builder.fpext(error, wide)
            square = builder.fmul(e, e)
            terms = [square]
            if norm:
                a = builder.fpext(_absolute(builder, v, lanes), wide)
                terms += [builder.fmul(a, e), a, e] if norm == 1 else [builder.fmul(a, square), a, builder.fmul(a, a)]
            totals = [_folded(builder, term, lanes, builder.fadd) for term in terms]
            return context.make_tuple(builder, signature.return_type, totals)

        return types.UniTuple(types.float64, 4 if norm else 1)(x, level, inverse, offset), generate

    return typed


def _larger(lanes: int) -> Typing:
    def typed(_context: object, x: types.Type, limit: types.Type) -> Typed:
        def generate(context: BaseContext, builder: ir.IRBuilder, signature: Signature, arguments: Values) -> ir.Value:
            sizes = _absolute(builder, _load(context, builder, signature.args[0], arguments[0], lanes), lanes)
            return _count(builder, builder.fcmp_ordered(">", sizes, splat(builder, arguments[1], lanes)), lanes)

        return types.int64(x, types.float32), generate

    return typed


Extremes = Callable[[Floats], tuple[np.float32, np.float32, bool]]
Cells = Callable[[Floats, Floats, Floats], tuple[int, int]]
Sums = Callable[[Floats, Floats, np.float32, np.float32], tuple[float, ...]]

extremes_16 = cast(Extremes, intrinsic(_extremes(16)))
"""Smallest and largest of float32 [16], and whether all are finite (if not, the extremes mean nothing)."""

extremes_32 = cast(Extremes, intrinsic(_extremes(32)))
"""The same of float32 [32]."""

cells_16 = cast(Cells, intrinsic(_cells(16)))
"""How many of 16 elements lie outside their code's cell, and how many beyond the last level by half a step.

Takes source and levels, float32 [16], and `fit`, float32 [7]: 1 / step, offset, allowance, lowest and highest level,
and the two half a step further out.
"""

cells_32 = cast(Cells, intrinsic(_cells(32)))
"""The same of 32 elements."""

squares_16 = cast(Sums, intrinsic(_sums(16, 0)))
"""Sum of ((x + offset) * inverse - level)² over 16 elements; takes source, levels, inverse, offset."""

squares_32 = cast(Sums, intrinsic(_sums(32, 0)))
"""The same over 32 elements."""

absolute_16 = cast(Sums, intrinsic(_sums(16, 1)))
"""Sums of e², |x| |e|, |x| and |e| over 16 elements."""

weighted_32 = cast(Sums, intrinsic(_sums(32, 2)))
"""Sums of e², |x| e², |x| and x² over 32 elements."""

larger_16 = cast(Callable[[Floats, np.float32], int], intrinsic(_larger(16)))
"""How many of 16 elements have a magnitude above a limit."""

larger_32 = cast(Callable[[Floats, np.float32], int], intrinsic(_larger(32)))
"""The same of 32 elements."""
