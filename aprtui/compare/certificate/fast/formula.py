"""The compiled pass over blocks whose scale is a formula: legacy types and AprQ4, 32 elements a block."""

from __future__ import annotations

import numpy as np

from aprtui.compare.certificate.codes import LEVEL_ALLOWANCE, OFFSET_ALLOWANCE
from aprtui.compare.certificate.fast.compiled import Bytes, Doubles, Floats, Ints, compiled
from aprtui.compare.certificate.fast.decode import decode_codes
from aprtui.compare.certificate.fast.elements import RUN, extremes, outside_even, unordered, worst_even
from aprtui.compare.certificate.fast.scalars import SMALLEST_SCALE, against_formula, formula_step
from aprtui.compare.certificate.formula_scale import ULP_SLACK

_F = np.float32
LARGEST_FINITE = np.int32(0x7F7FFFFF)
"""The largest finite float32 in the order of `elements.extremes`."""

SMALLEST_FINITE = np.int32(~0x7F7FFFFF)
"""The smallest."""

_HALF = np.float32(0.5)


@compiled
def set_fit(fit: Floats, step: np.float32, offset: np.float32, largest_level: np.float32) -> None:
    """Fill what `elements.outside_even` needs of a step and an offset: 1 / step, offset, allowance."""
    inverse = _F(1) / step
    fit[0], fit[1] = inverse, offset
    fit[2] = LEVEL_ALLOWANCE * largest_level + OFFSET_ALLOWANCE * abs(offset * inverse)


@compiled
def set_levels(fit: Floats, facts: Doubles) -> None:
    """Fill the lowest and highest level, and the values half a step beyond them."""
    fit[3], fit[4] = facts[6], facts[7]
    fit[5], fit[6] = fit[3] - _HALF, fit[4] + _HALF


@compiled
def formula_blocks(  # noqa: PLR0917
    kind: int, source: Floats, bits: Ints, raw: Bytes, half: Floats, facts: Doubles, out: Doubles, flags: Bytes
) -> None:
    """Measure blocks under the formula.

    Args:
        kind: Number of the type.
        source: float32 [n, 32].
        bits: int32 [n, 32]; the same memory.
        raw: uint8 [n, nbytes].
        half: float32 [65536]; value of each f16.
        facts: float64; see `measure.facts_of`.
        out: float64 [n, 3], written: steps outside of cells, distance from the formula in ULP, clipped elements.
        flags: uint8 [n, 5], written: 1 where decided, the scale is rounded, the scale is cut, clause c is violated,
            codes need another scale than the stored one.
    """
    symmetric, bias = facts[1] != 0, _F(facts[8])
    code, level, fit = np.empty(32, np.uint8), np.empty(32, np.float32), np.empty(7, np.float32)
    ordered = np.empty(2, np.int32)
    ends = ordered.view(np.float32)
    set_levels(fit, facts)
    largest_level = _F(facts[3])
    for i in range(len(source)):
        x, block = source[i], raw[i]
        low, high = extremes(bits[i, :RUN], LARGEST_FINITE, SMALLEST_FINITE)
        low, high = extremes(bits[i, RUN:], low, high)
        step = half[np.uint16(block[0]) | np.uint16(np.uint16(block[1]) << np.uint16(8))]
        offset = _F(0)
        if not symmetric:
            offset = -half[np.uint16(block[2]) | np.uint16(np.uint16(block[3]) << np.uint16(8))]
        finite = abs(step) < np.inf and abs(offset) < np.inf and high <= LARGEST_FINITE and low >= SMALLEST_FINITE
        flags[i, 0] = finite
        if not finite:
            continue
        ordered[0], ordered[1] = unordered(low), unordered(high)
        decode_codes(kind, block, code)
        for j in range(32):
            level[j] = _F(code[j]) - bias
        formula = formula_step(np.float64(ends[0]), np.float64(ends[1]), np.float64(step), facts)
        ulp, cut = against_formula(np.float64(step), formula)
        if not symmetric:
            ulp_offset, cut_offset = against_formula(-np.float64(offset), np.float64(ends[0]))
            ulp, cut = max(ulp, ulp_offset), cut and cut_offset
        out[i, 1], out[i, 2] = ulp, 0.0
        flags[i, 1], flags[i, 2] = ulp <= 0.5 + ULP_SLACK, cut
        flags[i, 3] = step == 0 and abs(formula) > SMALLEST_SCALE
        flags[i, 4] = False
        out[i, 0] = 0.0
        if step == 0:
            continue
        set_fit(fit, step, offset, largest_level)
        outside, clipped = outside_even(x[:RUN], level[:RUN], fit)
        outside_high, clipped_high = outside_even(x[RUN:], level[RUN:], fit)
        out[i, 2] = clipped + clipped_high
        if outside + outside_high == 0:
            continue
        under_stored = worst_even(x, level, fit)
        unrounded = _F(formula)
        if unrounded == 0:
            flags[i, 4] = True
            continue
        set_fit(fit, unrounded, _F(0) if symmetric else -ends[0], largest_level)
        if not abs(fit[0]) < np.inf:
            flags[i, 0] = False
            continue
        out[i, 0] = min(under_stored, worst_even(x, level, fit))
        flags[i, 4] = out[i, 0] == 0
