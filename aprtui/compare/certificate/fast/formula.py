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


@inlined
def _codes(  # noqa: PLR0917
    x: Floats,
    runs: Floats,
    work: Work,
    step: np.float32,
    offset: np.float32,
    formula: np.float32,
    formula_offset: np.float32,
    facts: Doubles,
) -> tuple[bool, float, int, bool]:
    """Judge the codes of one block under the stored scale, then under the formula's.

    Args:
        x: float32 [32].
        runs: float32 [2, 16]; the same memory.
        work: Scratch with the levels of the codes.
        step: Stored step.
        offset: Stored offset.
        formula: The formula's step.
        formula_offset: The formula's offset.
        facts: float64; see `measure.facts_of`.

    Returns:
        Whether the block is decided, steps outside of cells, clipped elements, whether the stored scale does not fit
        and the formula's does.
    """
    _, level, _, _, fit = work
    levels, largest_level = level.reshape(2, RUN), _F(facts[3])
    set_fit(fit, step, offset, largest_level)
    outside, clipped = outside_even(runs[0], levels[0], fit)
    outside_high, clipped_high = outside_even(runs[1], levels[1], fit)
    clipped_all = int(clipped) + int(clipped_high)
    if outside + outside_high == 0:
        return True, 0.0, clipped_all, False
    if formula == 0:
        return True, 0.0, clipped_all, True
    set_fit(fit, formula, formula_offset, largest_level)
    if not abs(fit[0]) < np.inf:
        return False, 0.0, clipped_all, False
    outside, _ = outside_even(runs[0], levels[0], fit)
    outside_high, _ = outside_even(runs[1], levels[1], fit)
    if outside + outside_high == 0:
        return True, 0.0, clipped_all, True
    under_formula = worst_even(x, level, fit)
    set_fit(fit, step, offset, largest_level)
    return True, np.float64(min(under_formula, worst_even(x, level, fit))), clipped_all, False


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
    set_levels(fit, facts)
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
        if step != 0:
            decode_codes(kind, block, code)
            for j in range(len(code)):  # a length known beforehand would be unrolled, not made vector code
                level[j] = _F(code[j]) - bias
            formula_offset = _F(0) if symmetric else -low
            decided, steps, clipped, other = _codes(x, runs[i], work, step, offset, _F(formula), formula_offset, facts)
            flags[0, i], flags[4, i], out[0, i], out[2, i] = decided, other, steps, clipped
