"""What the clauses say of each block, before the decisions that need the whole tensor.

Three decisions wait for the last chunk: whether formula scales were rounded or cut, whether the importance-matrix
clauses are needed, and whether their quota is kept. Until then both answers are carried along, per block.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Flags = NDArray[np.bool_]
Float64s = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class ClauseMeasures:
    """One set of clauses on n blocks; every array has the shape [n], True marks a violation.

    Attributes:
        codes: Clause a.
        scales: Clause b; of formula types with scales rounded to nearest.
        scales_cut: Clause b of formula types with scales cut towards zero; `scales` for other types.
        excusable: Those of `scales` whose error unknown weights may explain, in a few blocks of a tensor.
        inexcusable: Those of `scales` that no quota excuses; all of them for formula types.
        zeros: Clause c.
        other_scale: Codes are nearest under an admissible scale, not under the stored one.
        code_steps: Steps by which the worst element lies outside its code's cell; 0 where clause a holds.
        scale_ulp: Distance of the scale (or offset) from its formula in f16 ULP; 0 for other types.
        error_ratio: Error of the worst sub-block over its bound; 0 for formula types.
        step_ratio: Step of the worst sub-block over its bound; 0 for formula types.
    """

    codes: Flags
    scales: Flags
    scales_cut: Flags
    excusable: Flags
    inexcusable: Flags
    zeros: Flags
    other_scale: Flags
    code_steps: Float64s
    scale_ulp: Float64s
    error_ratio: Float64s
    step_ratio: Float64s


@dataclass(frozen=True, slots=True, eq=False)
class BlockMeasures:
    """Everything measured of n blocks.

    Attributes:
        plain: The clauses for encodings without an importance matrix.
        weighted: The clauses for encodings with one; None where they were not asked for or change nothing.
        clipped: int64 [n]; elements beyond the last level by more than half a step.
        zero_scale: bool [n]; the stored scale is zero.
        subnormal_scale: bool [n]; the stored f16 scale is sub-normal.
    """

    plain: ClauseMeasures
    weighted: ClauseMeasures | None
    clipped: NDArray[np.int64]
    zero_scale: Flags
    subnormal_scale: Flags


@dataclass(frozen=True, slots=True, eq=False)
class BlockFlags:
    """The verdict on each block of a chunk, bool [n] each; True marks a violation.

    Attributes:
        codes: Clause a.
        scales: Clause b.
        zeros: Clause c.
    """

    codes: Flags
    scales: Flags
    zeros: Flags

    @property
    def any_clause(self) -> Flags:
        """Blocks that violate any clause."""
        return self.codes | self.scales | self.zeros
