"""The certificate in plain numpy: the written definition, and what the compiled version is tested against."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from aprtui.compare.certificate.blocks import SMALLEST_NORMAL, Blocks
from aprtui.compare.certificate.codes import CodeFit, fit_codes, sub_block_errors
from aprtui.compare.certificate.formula_scale import formula_scale
from aprtui.compare.certificate.intervals import scale_before_rounding, trial_line, trial_scale
from aprtui.compare.certificate.measures import BlockMeasures, ClauseMeasures, Flags
from aprtui.compare.certificate.searched_scale import searched_scale
from aprtui.compare.certificate.types import CertificateType, Norm

EXCUSABLE_ERROR = 8.0
"""How far unknown importance weights may take the error of a block over its bound (docs/certificate.md)."""

Steps = NDArray[np.float32]


def measure_blocks(
    kind: CertificateType, source: NDArray[np.float32], raw: NDArray[np.uint8], *, importance_matrix: bool
) -> BlockMeasures:
    """Measure every clause on some blocks.

    Args:
        kind: The type.
        source: float32 [n, block].
        raw: uint8 [n, nbytes].
        importance_matrix: Measure the clauses for encodings with an importance matrix too.
    """
    with np.errstate(all="ignore"):
        blocks = Blocks.unpacked(kind, source, raw)
        stored = fit_codes(blocks, blocks.step, blocks.offset)
        weighted = None
        if kind.formula:
            plain = _formula_clauses(blocks, stored)
            if importance_matrix and kind.takes_weights:
                weighted = _searched_clauses(blocks, stored, _steps_with_weights(blocks, stored), weights=True)
        else:
            steps = steps_before_rounding(blocks, stored.steps)
            plain = _searched_clauses(blocks, stored, steps, weights=False)
            if importance_matrix:
                weighted = _searched_clauses(blocks, stored, steps, weights=True)
    size = np.abs(blocks.parts.scale)
    zero = size == 0
    return BlockMeasures(plain, weighted, stored.clipped, zero, (size < SMALLEST_NORMAL) & ~zero)


def steps_before_rounding(blocks: Blocks, steps: Steps) -> Steps:
    """Steps outside of cells, 0 where a scale that rounds to the stored one fits all codes."""
    steps = steps.copy()
    rest = np.flatnonzero(~(steps <= 0) & blocks.finite)
    if len(rest):
        steps[rest[scale_before_rounding(blocks.take(rest))]] = 0
    return steps


def _steps_with_weights(blocks: Blocks, stored: CodeFit) -> Steps:
    """Steps outside of cells, 0 where a trial scale of the search with weights fits all codes."""
    steps = stored.steps.copy()
    rest = np.flatnonzero(~(steps <= 0) & blocks.finite)
    if len(rest):
        exists = trial_scale if blocks.kind.symmetric else trial_line
        steps[rest[exists(blocks.take(rest))]] = 0
    return steps


def _formula_clauses(blocks: Blocks, stored: CodeFit) -> ClauseMeasures:
    scale = formula_scale(blocks)
    steps = stored.steps.copy()
    rest = np.flatnonzero(~(steps <= 0))
    if len(rest):
        fit = fit_codes(blocks.take(rest), scale.step[rest], scale.offset[rest])
        steps[rest] = np.minimum(steps[rest], fit.steps)
    none, zero = np.zeros(len(steps), np.bool_), np.zeros(len(steps))
    scales = ~(scale.rounded & blocks.finite)
    return ClauseMeasures(
        codes=~((steps <= 0) & blocks.finite),
        scales=scales,
        scales_cut=~(scale.cut & blocks.finite),
        excusable=none,
        inexcusable=scales,
        zeros=scale.false_zero,
        other_scale=_other_scale(stored.steps, steps),
        code_steps=steps.astype(np.float64),
        scale_ulp=scale.ulp,
        error_ratio=zero,
        step_ratio=zero,
    )


def _searched_clauses(blocks: Blocks, stored: CodeFit, steps: Steps, *, weights: bool) -> ClauseMeasures:
    norm = Norm.RMS if weights else blocks.kind.norm
    scale = searched_scale(blocks, sub_block_errors(blocks, stored, norm), weights=weights)
    excusable = (scale.error_ratio > 1) & (scale.error_ratio <= EXCUSABLE_ERROR) & blocks.finite
    inexcusable = ~((scale.step_ratio <= 1) & (scale.error_ratio <= EXCUSABLE_ERROR) & blocks.finite)
    scales = inexcusable | excusable
    return ClauseMeasures(
        codes=~((steps <= 0) & blocks.finite),
        scales=scales,
        scales_cut=scales,
        excusable=excusable,
        inexcusable=inexcusable,
        zeros=scale.false_zero,
        other_scale=_other_scale(stored.steps, steps),
        code_steps=steps.astype(np.float64),
        scale_ulp=np.zeros(len(steps)),
        error_ratio=scale.error_ratio,
        step_ratio=scale.step_ratio,
    )


def _other_scale(stored: Steps, steps: Steps) -> Flags:
    return ~(stored <= 0) & (steps <= 0)
