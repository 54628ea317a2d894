"""The compiled pass over blocks whose scale is a formula: legacy types and AprQ4, 32 elements a block."""

from __future__ import annotations

import numpy as np

from aprtui.compare.certificate.codes import LEVEL_ALLOWANCE, OFFSET_ALLOWANCE
from aprtui.compare.certificate.fast.compiled import Bytes, Doubles, Flags, Floats, Work, compiled, inlined
from aprtui.compare.certificate.fast.elements import worst_even
from aprtui.compare.certificate.fast.scalars import SMALLEST_SCALE, against_formula, formula_step
from aprtui.compare.certificate.fast.vector_levels import formula_levels
from aprtui.compare.certificate.fast.vectors import cells_32, extremes_32
from aprtui.compare.certificate.formula_scale import ULP_SLACK

_F = np.float32
_HALF = np.float32(0.5)


@inlined
def set_fit(fit: Floats, step: np.float32, offset: np.float32, largest_level: np.float32) -> None:
    """Fill what `vectors.cells_32` needs of a step and an offset: 1 / step, offset, allowance."""
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
    largest_level = _F(facts[3])
    set_fit(fit, step, offset, largest_level)
    outside, clipped = cells_32(x, level, fit)
    if outside == 0:
        return True, 0.0, clipped, False
    if formula == 0:
        return True, 0.0, clipped, True
    set_fit(fit, formula, formula_offset, largest_level)
    if not abs(fit[0]) < np.inf:
        return False, 0.0, clipped, False
    outside, _ = cells_32(x, level, fit)
    if outside == 0:
        return True, 0.0, clipped, True
    under_formula = worst_even(x, level, fit)
    set_fit(fit, step, offset, largest_level)
    return True, np.float64(min(under_formula, worst_even(x, level, fit))), clipped, False


@compiled
def formula_blocks(  # noqa: PLR0917
    kind: int,
    source: Floats,
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
        raw: uint8 [n, nbytes].
        half: float32 [65536]; value of each f16.
        facts: float64; see `measure.facts_of`.
        work: Scratch.
        out: float64 [3, n], written: steps outside of cells, distance from the formula in ULP, clipped elements.
        flags: bool [5, n], written: decided, the scale is rounded, the scale is cut, clause c is violated,
            codes need another scale than the stored one.
    """
    symmetric = facts[1] != 0
    _, level, _, _, fit = work
    set_levels(fit, facts)
    for i in range(len(source)):
        x, block = source[i], raw[i]
        step = half[np.uint16(block[0]) | np.uint16(np.uint16(block[1]) << np.uint16(8))]
        offset = _F(0)
        if not symmetric:
            offset = -half[np.uint16(block[2]) | np.uint16(np.uint16(block[3]) << np.uint16(8))]
        low, high, finite = extremes_32(x)
        flags[0, i] = finite and abs(step) < np.inf and abs(offset) < np.inf
        if not flags[0, i]:
            continue
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
            formula_levels(kind, block, facts, level)
            formula_offset = _F(0) if symmetric else -low
            decided, steps, clipped, other = _codes(x, work, step, offset, _F(formula), formula_offset, facts)
            flags[0, i], flags[4, i], out[0, i], out[2, i] = decided, other, steps, clipped
