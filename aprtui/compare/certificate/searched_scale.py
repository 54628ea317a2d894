"""Clauses b and c of the types whose encoder searches its scale, per sub-block.

The stored scale need not follow from the source, so clause b bounds what any honest search can end at. Every bound
comes from the source: one that trusted the stored scale would let an inflated scale excuse itself.

    b1  the step is at most `coarse` plain steps, plus the grain of the stored scale
    b2  the error is within what plain min/max encoding guarantees, plus what grain and a rounded offset can cost
    c   the scale is zero only if an honest one would round to zero; a sub-scale is zero only where b2 holds
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aprtui.compare.certificate.blocks import HALF_SMALLEST, Blocks, f16_ulp
from aprtui.compare.certificate.formula_scale import TRUNCATION_SLACK

Float64s = NDArray[np.float64]

SMALLEST_UNIT = 1e-30
"""Keeps quotients of all-zero blocks defined."""


@dataclass(frozen=True, slots=True, eq=False)
class SearchedScale:
    """What the bounds say of n blocks.

    Attributes:
        error_ratio: float64 [n]; error of the worst sub-block over its bound (b2).
        step_ratio: float64 [n]; step of the worst sub-block over its bound (b1).
        false_zero: bool [n]; clause c is violated.
    """

    error_ratio: Float64s
    step_ratio: Float64s
    false_zero: NDArray[np.bool_]


def searched_scale(blocks: Blocks, errors: Float64s, *, weights: bool) -> SearchedScale:
    """Measure stored scales against the bounds.

    Args:
        blocks: The blocks.
        errors: float64 [n, sub_blocks]; error of each sub-block in the norm of the encoder.
        weights: Allow for an importance matrix.
    """
    kind, parts = blocks.kind, blocks.parts
    coarse = kind.coarsest(weights=weights)
    low, high = blocks.low.astype(np.float64), blocks.high.astype(np.float64)
    if kind.symmetric:
        plain = np.maximum(high, -low) / kind.plain_levels
        carried = plain
        guaranteed = _plain_error_symmetric(blocks, plain, np.minimum(high, -low))
        offset_grain: Float64s | float = 0.0
    else:
        below_zero = np.minimum(low, 0)
        plain = (np.maximum(high, 0) - below_zero) / kind.steps
        carried = np.maximum(high - below_zero, 0) / kind.steps
        guaranteed = plain / 2
        shift = -below_zero if kind.layout.sub_mins else np.abs(low)
        offset_grain = _grain(shift, kind.top_min, parts.offset, coarse)
    step_grain = _grain(plain, kind.top_scale, parts.scale, coarse)
    bound = guaranteed + kind.largest * step_grain + offset_grain
    error = np.where(bound > 0, errors / bound, np.where(errors > 0, np.inf, 0))
    step = np.where(plain > 0, np.abs(blocks.step) / (coarse * plain + step_grain), 0)
    needed = carried.max(1) / max(kind.top_scale, 1)
    no_scale = (parts.scale == 0) & (needed > coarse * HALF_SMALLEST * TRUNCATION_SLACK)
    no_sub_scale = ((blocks.step == 0) & ~(error <= 1)).any(1)
    return SearchedScale(error.max(1), step.max(1), no_scale | no_sub_scale)


def _plain_error_symmetric(blocks: Blocks, plain: Float64s, far_extreme: Float64s) -> Float64s:
    """RMS error that plain encoding cannot exceed, float64 [n, sub_blocks].

    The value of largest magnitude takes the lowest level; the other end may lie beyond the highest level, and what
    does is clipped by at most the far extreme's distance from it.
    """
    kind = blocks.kind
    edge = kind.highest + kind.half_gap
    clipped = (np.abs(blocks.source) > (edge * plain).astype(np.float32)[:, :, None]).mean(2)
    if edge < kind.plain_levels:  # the extreme itself was counted, and it is not clipped
        clipped -= 1 / kind.layout.sub_block
    cut = np.maximum(far_extreme - kind.highest * plain, 0)
    return np.asarray(np.sqrt((kind.half_gap * plain) ** 2 + np.maximum(clipped, 0) * cut**2))


def _grain(values: Float64s, top: int, stored: NDArray[np.float16], coarse: float) -> Float64s:
    """What rounding costs the plain step or offset of each sub-block, float64 [n, sub_blocks].

    Half a unit of the sub-scale, plus half an f16 ULP of the shared scale seen through the sub-scale. The unit is the
    stored one, but at most what an honest encoder of this source could have chosen. Without sub-scales (top = 0) the
    value itself is rounded.
    """
    if not top:
        return f16_ulp(values) / 2
    unit = np.maximum(values.max(1, keepdims=True) / top, SMALLEST_UNIT)
    held = np.minimum(np.abs(stored.astype(np.float64))[:, None], coarse * unit)
    return np.asarray(held / 2 + f16_ulp(coarse * unit) / 2 * (values / unit + 0.5))
