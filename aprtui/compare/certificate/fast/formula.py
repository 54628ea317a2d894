"""The compiled pass over blocks whose scale is a formula: legacy types and AprQ4, 32 elements a block."""

from __future__ import annotations

import numpy as np

from aprtui.compare.certificate.codes import LEVEL_ALLOWANCE, OFFSET_ALLOWANCE
from aprtui.compare.certificate.fast.compiled import Bytes, Doubles, Flags, Floats, Ints, Work, compiled, inlined
from aprtui.compare.certificate.fast.decode import decode_codes
from aprtui.compare.certificate.fast.elements import RUN, all_finite, extremes, outside_even, worst_even
from aprtui.compare.certificate.fast.scalars import SMALLEST_SCALE, against_formula, formula_step
from aprtui.compare.certificate.formula_scale import ULP_SLACK

_F = np.float32
_HALF = np.float32(0.5)


@inlined
def set_fit(fit: Floats, step: np.float32, offset: np.float32, largest_level: np.float32) -> None:
    """Fill what `elements.outside_even` needs of a step and an offset: 1 / step, offset, allowance."""
    inverse = _F(1) / step
    fit[0], fit[1] = inverse, offset
    fit[2] = LEVEL_ALLOWANCE * largest_level + OFFSET_ALLOWANCE * abs(offset * inverse)


@inlined
def set_levels(fit: Floats, facts: Doubles) -> None:
    """Fill the lowest and highest level, and the values half a step beyond them."""
    fit[3], fit[4] = facts[6], facts[7]
    fit[5], fit[6] = fit[3] - _HALF, fit[4] + _HALF


@compiled
def formula_blocks(  # noqa: PLR0917
    kind: int,
    source: Floats,
    runs: Floats,
    bits: Ints,
    raw: Bytes,
    half: Floats,
    facts: Doubles,
    work: Work,
    out: Doubles,
    flags: Flags,
) -> None:
    """Measure blocks under the formula.

    Args:
        kind: Number of the type.
        source: float32 [n, 32].
        runs: float32 [n, 2, 16]; the same memory.
        bits: int32 [n, 32]; the same memory.
        raw: uint8 [n, nbytes].
        half: float32 [65536]; value of each f16.
        facts: float64; see `measure.facts_of`.
        work: Scratch.
        out: float64 [3, n], written: steps outside of cells, distance from the formula in ULP, clipped elements.
        flags: bool [5, n], written: decided, the scale is rounded, the scale is cut, clause c is violated,
            codes need another scale than the stored one.
    """
    symmetric, bias = facts[1] != 0, _F(facts[8])
    code, level, _, _, fit = work
    level_runs = level.reshape(2, RUN)
    set_levels(fit, facts)
    largest_level = _F(facts[3])
    for i in range(len(source)):
        x, block = source[i], raw[i]
        step = half[np.uint16(block[0]) | np.uint16(np.uint16(block[1]) << np.uint16(8))]
        offset = _F(0)
        if not symmetric:
            offset = -half[np.uint16(block[2]) | np.uint16(np.uint16(block[3]) << np.uint16(8))]
        finite = abs(step) < np.inf and abs(offset) < np.inf and all_finite(bits[i])
        flags[0, i] = finite
        if not finite:
            continue
        low, high = extremes(x)
        decode_codes(kind, block, code)
        for j in range(32):
            level[j] = _F(code[j]) - bias
        formula = formula_step(np.float64(low), np.float64(high), np.float64(step), facts)
        ulp, cut = against_formula(np.float64(step), formula)
        if not symmetric:
            ulp_offset, cut_offset = against_formula(-np.float64(offset), np.float64(low))
            ulp, cut = max(ulp, ulp_offset), cut and cut_offset
        out[1, i], out[2, i] = ulp, 0.0
        flags[1, i], flags[2, i] = ulp <= 0.5 + ULP_SLACK, cut
        flags[3, i] = step == 0 and abs(formula) > SMALLEST_SCALE
        flags[4, i] = False
        out[0, i] = 0.0
        if step == 0:
            continue
        set_fit(fit, step, offset, largest_level)
        outside, clipped = outside_even(runs[i, 0], level_runs[0], fit)
        outside_high, clipped_high = outside_even(runs[i, 1], level_runs[1], fit)
        out[2, i] = clipped + clipped_high
        if outside + outside_high == 0:
            continue
        under_stored = worst_even(x, level, fit)
        unrounded = _F(formula)
        if unrounded == 0:
            flags[4, i] = True
            continue
        set_fit(fit, unrounded, _F(0) if symmetric else -low, largest_level)
        if not abs(fit[0]) < np.inf:
            flags[0, i] = False
            continue
        out[0, i] = min(under_stored, worst_even(x, level, fit))
        flags[4, i] = out[0, i] == 0
