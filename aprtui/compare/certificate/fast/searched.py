"""The compiled pass over blocks whose scale was searched: K types, IQ4, legacy types with an importance matrix."""

from __future__ import annotations

import math

import numpy as np

from aprtui.compare.certificate.codes import WEIGHT_FLOOR
from aprtui.compare.certificate.fast.compiled import Bytes, Doubles, Floats, Ints, Work, compiled
from aprtui.compare.certificate.fast.decode import decode_codes, decode_sub_scales
from aprtui.compare.certificate.fast.elements import (
    RUN,
    count_larger,
    extremes,
    outside_even,
    outside_uneven,
    sum_squares,
    sums_absolute,
    sums_weighted,
    unordered,
    worst_even,
    worst_uneven,
)
from aprtui.compare.certificate.fast.formula import LARGEST_FINITE, SMALLEST_FINITE, set_fit, set_levels
from aprtui.compare.certificate.fast.scalars import bounds

NEAR_BOUND = 1 - 1e-9
"""Ratios above this are left to the reference: sums in another order must not decide."""

_F = np.float32


@compiled
def sub_block_errors(x: Floats, level: Floats, step: np.float32, offset: np.float32, norm: int) -> tuple[float, float]:
    """Error of a sub-block in the norm of its encoder, and its RMS; units of the source.

    Args:
        x: float32 [16 or 32].
        level: float32; zeros where the step is zero.
        step: The stored step; 0 measures x + offset itself.
        offset: The stored offset.
        norm: Value of `Norm`.
    """
    live = step != 0
    inverse = _F(1) / step if live else _F(1)
    unit = abs(np.float64(step)) if live else 1.0
    elements = len(x)
    a, b, c, d = 0.0, 0.0, 0.0, 0.0
    for at in range(0, elements, RUN):
        part, values = x[at : at + RUN], level[at : at + RUN]
        if norm == 0:
            a += sum_squares(part, values, inverse, offset)
        else:
            if norm == 1:
                s0, s1, s2, s3 = sums_absolute(part, values, inverse, offset)
            else:
                s0, s1, s2, s3 = sums_weighted(part, values, inverse, offset)
            a, b, c, d = a + s0, b + s1, c + s2, d + s3
    rms = unit * math.sqrt(a / elements)
    if norm == 0:
        return rms, rms
    if norm == 1:
        return unit * (b + WEIGHT_FLOOR * d) / (c + elements * WEIGHT_FLOOR), rms
    floor = math.sqrt(d / elements) + WEIGHT_FLOOR
    return unit * math.sqrt((b + floor * a) / (c + elements * floor)), rms


@compiled
def plain_step(x: Floats, low: float, high: float, s: int, sub: Doubles, facts: Doubles) -> None:  # noqa: PLR0917
    """Fill plain step, shift, guaranteed error and carried step of sub-block s; see searched_scale.py."""
    steps, highest, half_gap = facts[0], facts[7], facts[9]
    if facts[1] == 0:
        below = min(low, 0.0)
        plain = (max(high, 0.0) - below) / steps
        sub[0, s], sub[2, s] = plain, plain / 2
        sub[1, s] = -below if facts[5] else abs(low)
        sub[3, s] = max(high - below, 0.0) / steps
        return
    plain = max(high, -low) / steps
    cut = min(high, -low) - highest * plain
    error = (half_gap * plain) ** 2
    if cut > 0:
        edge = highest + half_gap
        limit, clipped = _F(edge * plain), 0.0
        for at in range(0, len(x), RUN):
            clipped += count_larger(x[at : at + RUN], limit)
        share = clipped / len(x) - (1 / len(x) if edge < steps else 0.0)
        error += max(share, 0.0) * cut**2
    sub[0, s], sub[1, s], sub[2, s], sub[3, s] = plain, 0.0, math.sqrt(error), plain


@compiled
def _fill_levels(code: Bytes, table: Floats, level: Floats, facts: Doubles, count: int) -> None:
    if facts[10]:
        for j in range(count):
            level[j] = table[code[j]]
    else:
        bias = _F(facts[8])
        for at in range(0, count, RUN):
            part, values = code[at : at + RUN], level[at : at + RUN]
            for j in range(RUN):
                values[j] = _F(part[j]) - bias


@compiled
def _half_at(block: Bytes, at: int, half: Floats) -> np.float32:
    value: np.float32 = half[np.uint16(block[at]) | np.uint16(np.uint16(block[at + 1]) << np.uint16(8))]
    return value


@compiled
def _codes_of(  # noqa: PLR0917
    x: Floats, code: Bytes, level: Floats, fit: Floats, table: Floats, uneven: bool
) -> tuple[np.int32, np.int32, float]:
    """Elements outside of their cells, beyond the last level, and steps of the worst, of one sub-block."""
    outside, clipped = np.int32(0), np.int32(0)
    for at in range(0, len(x), RUN):
        if uneven:
            o, c = outside_uneven(x[at : at + RUN], code[at : at + RUN], fit, table[1], table[2])
        else:
            o, c = outside_even(x[at : at + RUN], level[at : at + RUN], fit)
        outside, clipped = outside + o, clipped + c
    if outside == 0:
        return outside, clipped, 0.0
    worst = worst_uneven(x, code, fit, table[1], table[2]) if uneven else worst_even(x, level, fit)
    return outside, clipped, np.float64(worst)


@compiled
def _sub_blocks(  # noqa: PLR0917
    source: Floats, bits: Ints, work: Work, table: Floats, facts: Doubles, sub: Doubles, errors: Doubles
) -> tuple[bool, float, int]:
    """Fill bounds and errors of each sub-block; returns finite, steps of the worst element, clipped elements.

    Args:
        source: float32 [block].
        bits: int32 [block]; the same memory.
        work: code, level, step and offset of the sub-blocks, fit.
        table: float32 [3, codes]; levels, lower and upper edges of their cells.
        facts: float64; see `measure.facts_of`.
        sub: float64 [5, sub_blocks], written; see `bounds`.
        errors: float64 [2, sub_blocks], written: in the encoder's norm, RMS.
    """
    code, level, steps, offsets, fit = work
    uneven, norm = facts[10] != 0, int(facts[11])
    count = sub.shape[1]
    size = len(source) // count
    ordered = np.empty(2, np.int32)
    ends = ordered.view(np.float32)
    worst, clipped = 0.0, 0
    for s in range(count):
        at = s * size
        x = source[at : at + size]
        low, high = extremes(bits[at : at + RUN], LARGEST_FINITE, SMALLEST_FINITE)
        if size > RUN:
            low, high = extremes(bits[at + RUN : at + size], low, high)
        if high > LARGEST_FINITE or low < SMALLEST_FINITE:
            return False, worst, clipped
        ordered[0], ordered[1] = unordered(low), unordered(high)
        values = level[at : at + size]
        step, offset = steps[s], offsets[s]
        if step != 0:
            set_fit(fit, step, offset, _F(facts[3]))
            _, c, w = _codes_of(x, code[at : at + size], values, fit, table, uneven)
            clipped, worst = clipped + c, max(worst, w)
        else:
            values[:] = 0
        plain_step(x, np.float64(ends[0]), np.float64(ends[1]), s, sub, facts)
        sub[4, s] = abs(np.float64(step))
        errors[0, s], errors[1, s] = sub_block_errors(x, values, step, offset, norm)
    return True, worst, clipped


@compiled
def searched_blocks(  # noqa: PLR0917
    kind: int,
    source: Floats,
    bits: Ints,
    raw: Bytes,
    half: Floats,
    table: Floats,
    facts: Doubles,
    out: Doubles,
    flags: Bytes,
) -> None:
    """Measure blocks against the bounds of a search.

    Args:
        kind: Number of the type.
        source: float32 [n, block].
        bits: int32 [n, block]; the same memory.
        raw: uint8 [n, nbytes].
        half: float32 [65536]; value of each f16.
        table: float32 [3, codes]; levels, lower and upper edges of their cells.
        facts: float64; see `measure.facts_of`.
        out: float64 [n, 6], written: steps outside of cells, clipped elements, error and step over their bounds
            without an importance matrix, the same two with one.
        flags: uint8 [n, 2], written: 1 where the bounds without, and with an importance matrix surely hold.
    """
    symmetric, count = facts[1] != 0, int(facts[12])
    size = source.shape[1]
    code, level = np.empty(size, np.uint8), np.empty(size, np.float32)
    steps, offsets = np.ones(16, np.float32), np.zeros(16, np.float32)
    scales, minima = np.ones(16, np.float32), np.zeros(16, np.float32)
    fit = np.empty(7, np.float32)
    set_levels(fit, facts)
    sub, errors = np.empty((5, count)), np.empty((2, count))
    for i in range(len(source)):
        block = raw[i]
        scale = _half_at(block, int(facts[13]), half)
        offset = _F(0)
        if not symmetric:
            offset = _half_at(block, int(facts[14]), half) * _F(facts[15])
        flags[i, 0], flags[i, 1] = 0, 0
        if not (abs(scale) < np.inf and abs(offset) < np.inf):
            continue
        decode_codes(kind, block, code)
        decode_sub_scales(kind, block, scales, minima)
        _fill_levels(code, table[0], level, facts, size)
        for s in range(count):
            steps[s], offsets[s] = scale * scales[s], offset * minima[s]
        work = (code, level, steps, offsets, fit)
        finite, worst, clipped = _sub_blocks(source[i], bits[i], work, table, facts, sub, errors)
        if not finite:
            continue
        out[i, 0], out[i, 1] = worst, clipped
        for w in range(2):
            coarse = facts[16 + w]
            if coarse:
                error, step, empty = bounds(
                    sub, errors[w], abs(np.float64(scale)), abs(np.float64(offset)), coarse, facts
                )
                out[i, 2 + 2 * w], out[i, 3 + 2 * w] = error, step
                flags[i, w] = error <= NEAR_BOUND and step <= NEAR_BOUND and not empty
