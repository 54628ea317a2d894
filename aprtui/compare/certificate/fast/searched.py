"""The compiled pass over blocks whose scale was searched: K types, IQ4, legacy types with an importance matrix."""

from __future__ import annotations

import math

import numpy as np

from aprtui.compare.certificate.codes import WEIGHT_FLOOR
from aprtui.compare.certificate.fast.compiled import Bytes, Doubles, Flags, Floats, Work, compiled, inlined
from aprtui.compare.certificate.fast.decode import decode_codes, decode_sub_scales
from aprtui.compare.certificate.fast.elements import outside_uneven, worst_even, worst_uneven
from aprtui.compare.certificate.fast.formula import set_fit, set_levels
from aprtui.compare.certificate.fast.scalars import bounds
from aprtui.compare.certificate.fast.vectors import (
    absolute_16,
    cells_16,
    cells_32,
    extremes_16,
    extremes_32,
    larger_16,
    larger_32,
    squares_16,
    squares_32,
    weighted_32,
)

NEAR_BOUND = 1 - 1e-9
"""Ratios above this are left to the reference: sums in another order must not decide."""

_F = np.float32


@inlined
def sub_block_errors(x: Floats, level: Floats, step: np.float32, offset: np.float32, norm: int) -> tuple[float, float]:
    """Error of a sub-block in the norm of its encoder, and its RMS; units of the source.

    Args:
        x: float32 [16 or 32].
        level: float32; zeros where the step is zero.
        step: The stored step; 0 measures x + offset itself.
        offset: The stored offset.
        norm: Value of `Norm`; of the types that are weighted, Q2_K has 16 elements, Q4_K and Q5_K have 32.
    """
    live = step != 0
    inverse = _F(1) / step if live else _F(1)
    unit = abs(np.float64(step)) if live else 1.0
    elements = len(x)
    if norm == 0:
        total = squares_32(x, level, inverse, offset)[0] if elements == 32 else squares_16(x, level, inverse, offset)[0]
        rms = unit * math.sqrt(total / elements)
        return rms, rms
    if norm == 1:
        a, b, c, d = absolute_16(x, level, inverse, offset)
    else:
        a, b, c, d = weighted_32(x, level, inverse, offset)
    rms = unit * math.sqrt(a / elements)
    if norm == 1:
        return unit * (b + WEIGHT_FLOOR * d) / (c + elements * WEIGHT_FLOOR), rms
    floor = math.sqrt(d / elements) + WEIGHT_FLOOR
    return unit * math.sqrt((b + floor * a) / (c + elements * floor)), rms


@inlined
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
    error = half_gap * plain
    if cut > 0:
        edge = highest + half_gap
        limit = _F(edge * plain)
        clipped = float(larger_32(x, limit)) if len(x) == 32 else float(larger_16(x, limit))
        share = clipped / len(x) - (1 / len(x) if edge < steps else 0.0)
        error = math.sqrt(error**2 + max(share, 0.0) * cut**2)
    sub[0, s], sub[1, s], sub[2, s], sub[3, s] = plain, 0.0, error, plain


@inlined
def _fill_levels(code: Bytes, table: Floats, level: Floats, facts: Doubles, count: int) -> None:
    if table.shape[1]:
        for j in range(count):
            level[j] = table[0, code[j]]
    else:
        bias = _F(facts[8])
        for j in range(count):
            level[j] = _F(code[j]) - bias


@inlined
def _half_at(block: Bytes, at: int, half: Floats) -> np.float32:
    value: np.float32 = half[np.uint16(block[at]) | np.uint16(np.uint16(block[at + 1]) << np.uint16(8))]
    return value


@inlined
def _outside(runs: Floats, code: Bytes, fit: Floats, table: Floats) -> tuple[int, int]:
    """Elements outside of their code's cell, and beyond the last level, of one sub-block with uneven levels.

    Args:
        runs: float32 [sub_block / 16, 16].
        code: uint8; the codes in the same shape.
        fit: See `vectors.cells_16`.
        table: float32 [3, codes].
    """
    outside, clipped = 0, 0
    for r in range(len(runs)):
        o, c = outside_uneven(runs[r], code[r], fit, table[1], table[2])
        outside, clipped = outside + int(o), clipped + int(c)
    return outside, clipped


@inlined
def _sub_blocks(  # noqa: PLR0917
    source: Floats, runs: Floats, work: Work, table: Floats, facts: Doubles, sub: Doubles, errors: Doubles
) -> tuple[float, int]:
    """Fill bounds and errors of each sub-block; returns steps of the worst element and clipped elements.

    The steps are negative where an element is an inf or a NaN, which leaves the block unmeasured.

    Args:
        source: float32 [sub_blocks, sub_block].
        runs: float32 [sub_blocks, sub_block / 16, 16]; the same memory.
        work: Scratch: codes, levels, step and offset of each sub-block.
        table: As in `_outside`.
        facts: float64; see `measure.facts_of`.
        sub: float64 [5, sub_blocks], written; see `bounds`.
        errors: float64 [2, sub_blocks], written: in the encoder's norm, RMS.
    """
    code, level, steps, offsets, fit = work
    code_runs = code.reshape(runs.shape)
    codes, levels = code.reshape(source.shape), level.reshape(source.shape)
    long = source.shape[1] == 32
    uneven, norm, largest_level = table.shape[1] > 0, int(facts[11]), _F(facts[3])
    worst, clipped = 0.0, 0
    for s in range(len(source)):
        x, step, offset = source[s], steps[s], offsets[s]
        low, high, finite = extremes_32(x) if long else extremes_16(x)
        if not finite:
            return -1.0, 0
        if step != 0:
            set_fit(fit, step, offset, largest_level)
            if uneven:
                outside, beyond = _outside(runs[s], code_runs[s], fit, table)
            else:
                outside, beyond = cells_32(x, levels[s], fit) if long else cells_16(x, levels[s], fit)
            clipped += int(beyond)
            if outside:
                w = worst_uneven(x, codes[s], fit, table[1], table[2]) if uneven else worst_even(x, levels[s], fit)
                worst = max(worst, np.float64(w))
        else:
            levels[s, :] = 0
        plain_step(x, np.float64(low), np.float64(high), s, sub, facts)
        sub[4, s] = abs(np.float64(step))
        errors[0, s], errors[1, s] = sub_block_errors(x, levels[s], step, offset, norm)
    return worst, clipped


@inlined
def _judge(  # noqa: PLR0917
    i: int, sub: Doubles, errors: Doubles, scale: float, offset: float, facts: Doubles, out: Doubles, flags: Flags
) -> None:
    """Write the ratios to the bounds of block i, without and with an importance matrix; see `searched_blocks`."""
    for w in range(2):
        coarse = facts[16 + w]
        if coarse:
            error, step, empty = bounds(sub, errors[w], scale, offset, coarse, facts)
            out[2 + 2 * w, i], out[3 + 2 * w, i] = error, step
            flags[w, i] = error <= NEAR_BOUND and step <= NEAR_BOUND and not empty


@compiled
def searched_blocks(  # noqa: PLR0917
    kind: int,
    source: Floats,
    runs: Floats,
    raw: Bytes,
    half: Floats,
    table: Floats,
    facts: Doubles,
    work: Work,
    bounds_work: Doubles,
    out: Doubles,
    flags: Flags,
) -> None:
    """Measure blocks against the bounds of a search.

    Args:
        kind: Number of the type.
        source: float32 [n, sub_blocks, sub_block].
        runs: float32 [n, sub_blocks, sub_block / 16, 16]; the same memory.
        raw: uint8 [n, nbytes].
        half: float32 [65536]; value of each f16.
        table: float32 [3, codes]; levels, lower and upper edges of their cells; [3, 0] where levels are even.
        facts: float64; see `measure.facts_of`.
        work: Scratch.
        bounds_work: Scratch, float64 [7, sub_blocks].
        out: float64 [6, n], written: steps outside of cells, clipped elements, error and step over their bounds
            without an importance matrix, the same two with one.
        flags: bool [2, n], written: the bounds without, and with an importance matrix surely hold.
    """
    symmetric, count = facts[1] != 0, int(facts[12])
    size = source.shape[1] * source.shape[2]
    code, level, steps, offsets, fit = work
    sub, errors = bounds_work[:5], bounds_work[5:]
    set_levels(fit, facts)
    for i in range(len(source)):
        block = raw[i]
        scale = _half_at(block, int(facts[13]), half)
        offset = _F(0)
        if not symmetric:
            offset = _half_at(block, int(facts[14]), half) * _F(facts[15])
        flags[0, i], flags[1, i] = False, False
        if not (abs(scale) < np.inf and abs(offset) < np.inf):
            continue
        decode_codes(kind, block, code)
        decode_sub_scales(kind, block, steps, offsets)
        _fill_levels(code, table, level, facts, size)
        for s in range(count):
            steps[s], offsets[s] = scale * steps[s], offset * offsets[s]
        worst, clipped = _sub_blocks(source[i], runs[i], work, table, facts, sub, errors)
        if worst < 0:
            continue
        out[0, i], out[1, i] = worst, clipped
        _judge(i, sub, errors, abs(np.float64(scale)), abs(np.float64(offset)), facts, out, flags)
