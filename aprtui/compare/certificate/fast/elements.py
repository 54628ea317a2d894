"""Loops over the elements of half a sub-block: extremes, cells, sums.

Sixteen elements at a time, a length that compilers know how to turn into vector code; every sub-block is one or
two of them. The clauses' arithmetic is that of the numpy reference, operation by operation.
"""

from __future__ import annotations

import numpy as np

from aprtui.compare.certificate.fast.compiled import Bytes, Floats, Ints, compiled, compiled_sums

RUN = 16
"""Elements per loop."""

_HALF = np.float32(0.5)
_I = np.int32
_MAGNITUDE = np.int32(0x7FFFFFFF)


@compiled
def extremes(bits: Ints, low: np.int32, high: np.int32) -> tuple[np.int32, np.int32]:
    """Smallest and largest float32 of 16, as integers in the order of the floats; NaN lies beyond infinity.

    Args:
        bits: int32 [16]; the floats' bits.
        low: Smallest so far, in this order.
        high: Largest so far.
    """
    small, large = _I(low), _I(high)
    for j in range(RUN):
        ordered = _I(bits[j] ^ ((bits[j] >> _I(31)) & _MAGNITUDE))
        small = min(small, ordered)
        large = max(large, ordered)
    return small, large


@compiled
def unordered(value: np.int32) -> np.int32:
    """The bits of the float32 that stands at this place in the order of `extremes`."""
    return value ^ ((value >> 31) & 0x7FFFFFFF)


@compiled
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


@compiled
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
    """Sum of ((x + offset) * inverse - level)² over 16 elements."""
    total = 0.0
    for j in range(RUN):
        e = np.float64((x[j] + offset) * inverse - level[j])
        total += e * e
    return total


@compiled_sums
def sums_weighted(
    x: Floats, level: Floats, inverse: np.float32, offset: np.float32
) -> tuple[float, float, float, float]:
    """Sums of e², |x| e², |x| and x² over 16 elements."""
    plain, weighted, size, square = 0.0, 0.0, 0.0, 0.0
    for j in range(RUN):
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
    """Sums of e², |x| |e|, |x| and |e| over 16 elements."""
    plain, weighted, size, absolute = 0.0, 0.0, 0.0, 0.0
    for j in range(RUN):
        e = abs(np.float64((x[j] + offset) * inverse - level[j]))
        a = np.float64(abs(x[j]))
        plain += e * e
        weighted += a * e
        size += a
        absolute += e
    return plain, weighted, size, absolute


@compiled
def count_larger(x: Floats, limit: np.float32) -> np.int32:
    """How many of 16 elements have a magnitude above the limit."""
    count = _I(0)
    for j in range(RUN):
        count += _I(abs(x[j]) > limit)
    return count
