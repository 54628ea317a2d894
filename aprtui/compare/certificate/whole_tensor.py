"""The certificate of AprQ8, whose only scale belongs to the whole tensor.

Codes are judged chunk by chunk against the stored scale, and a row counts as a block; the scale is judged at the
end against max|x| / 127 (aprender's v2 writer).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from aprtui.compare.certificate.codes import LEVEL_ALLOWANCE
from aprtui.compare.certificate.measures import BlockMeasures, ClauseMeasures

LEVELS = np.float32(127)
"""Steps between zero and the value of largest magnitude; also the largest code."""


def measure_rows(source: NDArray[np.float32], codes: NDArray[np.int8], scale: float) -> BlockMeasures:
    """Measure clause a on some rows; clauses b and c wait for `ScaleOfTensor`.

    Args:
        source: float32 [rows, columns].
        codes: int8 [rows, columns].
        scale: The stored scale.
    """
    rows = len(source)
    none, zero = np.zeros(rows, np.bool_), np.zeros(rows)
    step = np.float32(scale)
    with np.errstate(all="ignore"):
        position = source / step if step else np.zeros_like(source)
        outside = np.abs(np.clip(position, -LEVELS, LEVELS) - codes).max(1, initial=0.0) - np.float32(0.5)
        clipped = (np.abs(position) > LEVELS + np.float32(0.5)).sum(1)
    steps = np.where((outside <= LEVELS * LEVEL_ALLOWANCE) | (step == 0), np.float32(0), outside)
    finite = np.isfinite(source).all(1) & np.isfinite(step)
    plain = ClauseMeasures(
        codes=~((steps <= 0) & finite),
        scales=none,
        scales_cut=none,
        excusable=none,
        inexcusable=none,
        zeros=none,
        other_scale=none,
        code_steps=steps.astype(np.float64),
        scale_ulp=zero,
        error_ratio=zero,
        step_ratio=zero,
    )
    return BlockMeasures(plain, None, clipped, np.full(rows, step == 0), none)


class ScaleOfTensor:
    """Clauses b and c of AprQ8: the scale against the largest magnitude of the whole tensor."""

    def __init__(self) -> None:
        self._largest = np.float32(0)
        self._scale = np.float32(0)

    def add(self, source: NDArray[np.float32], scale: float) -> None:
        """Take note of a chunk's largest magnitude (NaN stays) and of the stored scale."""
        self._largest = np.maximum(self._largest, np.abs(source).max(initial=np.float32(0)))
        self._scale = np.float32(scale)

    def absorb(self, later: ScaleOfTensor) -> None:
        """Take note of what a later span noted."""
        self._largest = np.maximum(self._largest, later._largest)
        self._scale = later._scale

    @property
    def ulp(self) -> float:
        """Distance of the stored scale from the formula in f32 ULP."""
        formula = self._largest / LEVELS
        with np.errstate(invalid="ignore"):
            distance = abs(float(self._scale) - float(formula)) / float(np.spacing(formula))
        return distance if np.isfinite(distance) else float("inf")

    @property
    def wrong(self) -> bool:
        """Clause b: the scale is more than one ULP off."""
        return not self.ulp <= 1

    @property
    def false_zero(self) -> bool:
        """Clause c: the scale is zero, the formula's value is not."""
        return bool(self._scale == 0 and self._largest / LEVELS != 0)
