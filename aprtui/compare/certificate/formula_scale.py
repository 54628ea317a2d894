"""Clauses b and c of the types whose scale is a formula: Q8_0, Q4_0, Q4_1, Q5_0, Q5_1, AprQ4.

Formulas: ggml-quants.c (`quantize_row_q*_ref`), aprender's v2 writer (AprQ4: max|x| / 7).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aprtui.compare.certificate.blocks import HALF_SMALLEST, Blocks, f16_ulp

ULP_SLACK = 2.0**-10
"""ULP that the encoder's float32 arithmetic of the formula may cost."""

TRUNCATION_SLACK = 1 + 2.0**-20
"""Relative slack of the largest value that may become zero."""


@dataclass(frozen=True, slots=True, eq=False)
class FormulaScale:
    """What the formula of a type gives for n blocks, and how the stored scale compares.

    Attributes:
        step: float32 [n, 1]; the scale before rounding.
        offset: float32 [n, 1]; the offset before rounding, subtracted.
        ulp: float64 [n]; largest distance of stored scale and offset from the formula, in f16 ULP.
        rounded: bool [n]; both are within half an ULP.
        cut: bool [n]; both are the formula's value cut towards zero.
        false_zero: bool [n]; the scale is zero although the formula's value rounds to more (clause c).
    """

    step: NDArray[np.float32]
    offset: NDArray[np.float32]
    ulp: NDArray[np.float64]
    rounded: NDArray[np.bool_]
    cut: NDArray[np.bool_]
    false_zero: NDArray[np.bool_]


def formula_scale(blocks: Blocks) -> FormulaScale:
    """Evaluate the formula on the source and measure the stored scale against it."""
    kind = blocks.kind
    stored = blocks.parts.scale.astype(np.float64)
    low, high = blocks.low[:, 0].astype(np.float64), blocks.high[:, 0].astype(np.float64)
    if kind.symmetric:
        step = np.maximum(high, -low) / kind.plain_levels
        if kind.opposite_sign:  # if both extremes tie, the first decided: take the sign that is stored
            tie = np.where(np.signbit(stored), -1, 1)
            step *= np.where(high > -low, -1, np.where(high < -low, 1, tie))
        pairs, offset = [(stored, step)], np.zeros(len(stored), np.float32)
    else:
        step, offset = (high - low) / kind.steps, -blocks.low[:, 0]
        pairs = [(stored, step), (-blocks.parts.offset.astype(np.float64), low)]
    ulp = np.maximum.reduce([np.abs(found - formula) / f16_ulp(formula) for found, formula in pairs])
    short = np.stack([np.where(w < 0, found - w, w - found) / f16_ulp(w) for found, w in pairs])
    false_zero = (stored == 0) & (np.abs(step) > 2 * HALF_SMALLEST * TRUNCATION_SLACK)
    return FormulaScale(
        step.astype(np.float32)[:, None],
        offset[:, None],
        ulp,
        ulp <= 0.5 + ULP_SLACK,
        np.asarray(((short >= -ULP_SLACK) & (short <= 1 + ULP_SLACK)).all(0)),
        false_zero,
    )
