"""Arithmetic per block and sub-block: spacing of f16, formula scales, bounds of searched scales.

The same expressions as in formula_scale.py and searched_scale.py, in float64 and in the same order.
"""

from __future__ import annotations

import math

import numpy as np

from aprtui.compare.certificate.blocks import HALF_SMALLEST, SMALLEST_NORMAL
from aprtui.compare.certificate.fast.compiled import Doubles, inlined, power_below
from aprtui.compare.certificate.formula_scale import TRUNCATION_SLACK, ULP_SLACK
from aprtui.compare.certificate.searched_scale import SMALLEST_UNIT

MANTISSA_UNIT = 2.0**-10
"""f16 has ten bits behind the leading one."""

SMALLEST_SCALE = 2 * HALF_SMALLEST * TRUNCATION_SLACK
"""A formula's value above this does not become zero."""

SMALLEST_SEARCHED = HALF_SMALLEST * TRUNCATION_SLACK
"""The same for a searched scale, which is rounded to nearest."""


@inlined
def f16_ulp(value: float) -> float:
    """Spacing of f16 at a value, sub-normals included."""
    return power_below(max(abs(value), SMALLEST_NORMAL)) * MANTISSA_UNIT


@inlined
def against_formula(found: float, formula: float) -> tuple[float, bool]:
    """Distance of a stored value from its formula in f16 ULP, and whether it is the formula cut towards zero."""
    ulp = f16_ulp(formula)
    short = (found - formula if formula < 0 else formula - found) / ulp
    return abs(found - formula) / ulp, -ULP_SLACK <= short <= 1 + ULP_SLACK


@inlined
def formula_step(low: float, high: float, stored: float, facts: Doubles) -> float:
    """The scale before rounding.

    Args:
        low: Smallest source value.
        high: Largest source value.
        stored: The stored scale; its sign decides where both extremes tie.
        facts: float64; see `measure.facts_of`.
    """
    steps, symmetric, opposite = float(facts[0]), facts[1] != 0, facts[2] != 0
    if not symmetric:
        return (high - low) / steps
    step = max(high, -low) / steps
    if opposite and (high > -low or (high == -low and math.copysign(1.0, stored) < 0)):
        return -step
    return step


@inlined
def grain(value: float, unit: float, held: float, ulp: float) -> float:
    """What rounding costs the plain step or offset of a sub-block; unit 0: there are no sub-scales."""
    if unit == 0:
        return f16_ulp(value) / 2
    return held / 2 + ulp / 2 * (value / unit + 0.5)


@inlined
def unit_of(largest: float, top: float) -> float:
    """The unit of sub-scales that the largest of their values asks for; 0 where there are none."""
    return max(largest / top, SMALLEST_UNIT) if top else 0.0


@inlined
def bounds(  # noqa: PLR0917
    sub: Doubles, errors: Doubles, scale: float, offset: float, coarse: float, facts: Doubles
) -> tuple[float, float, bool]:
    """Largest error and step over their bounds, and whether clause c is violated.

    Args:
        sub: float64 [5, sub_blocks]; plain step, shift, guaranteed error, step that the scale must carry, |t|.
        errors: float64 [sub_blocks].
        scale: |d|.
        offset: |dmin|.
        coarse: Largest honest step in plain steps.
        facts: float64; see `measure.facts_of`.
    """
    symmetric, largest_level, top_scale, top_min = facts[1] != 0, facts[3], facts[4], facts[5]
    plain, shift, guaranteed, carried, step = sub[0], sub[1], sub[2], sub[3], sub[4]
    count = sub.shape[1]
    most_plain, most_shift, most_carried = 0.0, 0.0, 0.0
    for s in range(count):
        most_plain = max(most_plain, plain[s])
        most_shift = max(most_shift, shift[s])
        most_carried = max(most_carried, carried[s])
    unit, unit_min = unit_of(most_plain, top_scale), unit_of(most_shift, top_min)
    held, held_min = min(scale, coarse * unit), min(offset, coarse * unit_min)
    ulp, ulp_min = f16_ulp(coarse * unit), f16_ulp(coarse * unit_min)
    worst_error, worst_step, empty = 0.0, 0.0, False
    for s in range(count):
        step_grain = grain(plain[s], unit, held, ulp)
        bound = guaranteed[s] + largest_level * step_grain
        if not symmetric:
            bound += grain(shift[s], unit_min, held_min, ulp_min)
        error = errors[s] / bound if bound > 0 else (np.inf if errors[s] > 0 else 0.0)
        if plain[s] > 0:
            worst_step = max(worst_step, step[s] / (coarse * plain[s] + step_grain))
        worst_error = max(worst_error, error)
        empty |= step[s] == 0 and not error <= 1
    empty |= scale == 0 and most_carried / max(top_scale, 1.0) > coarse * SMALLEST_SEARCHED
    return worst_error, worst_step, empty
