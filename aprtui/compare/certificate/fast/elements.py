"""Loops over the elements of a sub-block: extremes, cells, sums.

The clauses' arithmetic is that of the numpy reference, operation by operation. Where a loop runs over sixteen
elements, half or all of a sub-block, that was measured to give vector code where a variable length does not.
"""

from __future__ import annotations

import numpy as np

from aprtui.compare.certificate.fast.compiled import (
    Bytes,
    Floats,
    Ints,
    compiled,
    compiled_extremes,
    compiled_sums,
    inlined,
)

RUN = 16
"""Elements per loop."""

_HALF = np.float32(0.5)
_I = np.int32
_MAGNITUDE = np.uint32(0x7FFFFFFF)
_INFINITY = np.uint32(0x7F800000)


@inlined
def all_finite(bits: Ints) -> bool:
    """Whether no float32 is an inf or a NaN.

    Args:
        bits: int32 [elements]; the floats' bits.
    """
    largest = np.uint32(0)
    for j in range(len(bits)):
        largest = max(largest, np.uint32(bits[j]) & _MAGNITUDE)
    return bool(largest < _INFINITY)


@compiled_extremes
def extremes(x: Floats) -> tuple[np.float32, np.float32]:
    """Smallest and largest of finite values, float32 [elements]."""
    low, high = x[0], x[0]
    for j in range(len(x)):
        low, high = min(low, x[j]), max(high, x[j])
    return low, high


@inlined
def outside_even(x: Floats, level: Floats, fit: Floats) -> tuple[np.int32, np.int32]:
    """How many of 16 elements lie outside their code's cell, and how many beyond the last level by half a step.

    Args:
        x: float32 [16].
        level: float32 [16].
        fit: float32 [7]; 1 / step, offset, allowance, lowest, highest level, and the two half a step further out.
    """
    inverse, offset, allowed, lowest, highest = fit[0], fit[1], fit[2], fit[3], fit[4]
    bottom, top = fit[5], fit[6]
    outside, clipped = _I(0), _I(0)
    for j in range(RUN):
        z = (x[j] + offset) * inverse
        inner = z if z > lowest else lowest
        inner = inner if inner < highest else highest
        outside += _I(abs(inner - level[j]) - _HALF > allowed)
        clipped += _I(z < bottom) + _I(z > top)
    return outside, clipped


@inlined
def outside_uneven(x: Floats, code: Bytes, fit: Floats, lower: Floats, upper: Floats) -> tuple[np.int32, np.int32]:
    """As `outside_even`, for levels that are not one step apart.

    Args:
        x: float32 [16].
        code: uint8 [16].
        fit: As above.
        lower: float32 [codes]; lower edges of the codes' cells.
        upper: float32 [codes]; upper edges.
    """
    inverse, allowed, bottom, top = fit[0], fit[2], fit[5], fit[6]
    outside, clipped = _I(0), _I(0)
    for j in range(RUN):
        z = x[j] * inverse
        c = code[j]
        outside += _I((lower[c] - z > allowed) | (z - upper[c] > allowed))
        clipped += _I(z < bottom) + _I(z > top)
    return outside, clipped


@compiled
def worst_even(x: Floats, level: Floats, fit: Floats) -> np.float32:
    """Steps by which the worst of the elements lies outside its code's cell; 0 within the allowance.

    Args:
        x: float32 [elements].
        level: float32 [elements].
        fit: As in `outside_even`.
    """
    worst = np.float32(0)
    for j in range(len(x)):
        z = (x[j] + fit[1]) * fit[0]
        inner = min(max(z, fit[3]), fit[4])
        worst = max(worst, abs(inner - level[j]) - _HALF)
    return worst if worst > fit[2] else np.float32(0)


@compiled
def worst_uneven(x: Floats, code: Bytes, fit: Floats, lower: Floats, upper: Floats) -> np.float32:
    """As `worst_even`, for levels that are not one step apart."""
    worst = np.float32(0)
    for j in range(len(x)):
        z = x[j] * fit[0]
        worst = max(worst, lower[code[j]] - z, z - upper[code[j]])
    return worst if worst > fit[2] else np.float32(0)


@compiled_sums
def sum_squares(x: Floats, level: Floats, inverse: np.float32, offset: np.float32) -> float:
    """Sum of ((x + offset) * inverse - level)² over the elements."""
    total = 0.0
    for j in range(len(x)):
        e = np.float64((x[j] + offset) * inverse - level[j])
        total += e * e
    return total


@compiled_sums
def sums_weighted(
    x: Floats, level: Floats, inverse: np.float32, offset: np.float32
) -> tuple[float, float, float, float]:
    """Sums of e², |x| e², |x| and x² over the elements."""
    plain, weighted, size, square = 0.0, 0.0, 0.0, 0.0
    for j in range(len(x)):
        e = np.float64((x[j] + offset) * inverse - level[j])
        a = np.float64(abs(x[j]))
        plain += e * e
        weighted += a * (e * e)
        size += a
        square += a * a
    return plain, weighted, size, square


@compiled_sums
def sums_absolute(
    x: Floats, level: Floats, inverse: np.float32, offset: np.float32
) -> tuple[float, float, float, float]:
    """Sums of e², |x| |e|, |x| and |e| over the elements."""
    plain, weighted, size, absolute = 0.0, 0.0, 0.0, 0.0
    for j in range(len(x)):
        e = abs(np.float64((x[j] + offset) * inverse - level[j]))
        a = np.float64(abs(x[j]))
        plain += e * e
        weighted += a * e
        size += a
        absolute += e
    return plain, weighted, size, absolute


@inlined
def count_larger(x: Floats, limit: np.float32) -> np.int32:
    """How many elements have a magnitude above the limit."""
    count = _I(0)
    for j in range(len(x)):
        count += _I(abs(x[j]) > limit)
    return count
