"""What the certificate knows of each block type: how its encoders choose scales, and how far honest ones go.

Kept as one table, apart from the bit layout, because these numbers are claims about encoders (ggml's
`quantize_row_*_ref` and `quantize_*_impl`, aprender's v2 writer), not facts of the format. docs/certificate.md
derives each of them or says how it was measured.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from aprtui.core.dtypes import DType
from aprtui.formats.codecs.block_layout import IQ4_LEVELS, LAYOUTS, BlockLayout


class Norm(Enum):
    """What an encoder that searches its scale minimises, and so the norm in which clause b measures its error."""

    RMS = 0
    MEAN_ABSOLUTE = 1  # weighted by |x|: Q2_K (make_qkx2_quants with use_mad)
    WEIGHTED_RMS = 2  # squared error weighted by |x| + rms(x): Q4_K, Q5_K


TRIAL_STEP = 0.9
"""With an importance matrix ggml tries steps whose range is the plain one up to 0.9 level off."""


@dataclass(frozen=True, eq=False)
class CertificateType:
    """How scales of one block type come about.

    The plain step of a sub-block is max|x| / `plain_levels` for symmetric types and (hi - lo) / (levels - 1) for
    types with an offset, the range taken with 0 where the offset cannot have either sign.

    Attributes:
        layout: Where the bits are.
        plain_levels: Steps between zero and the value of largest magnitude; 0 for types with an offset.
        formula: The encoder's scale is a formula.
        opposite_sign: The value of largest magnitude takes the lowest code, so the scale has the opposite sign.
        takes_weights: An importance matrix changes the encoding.
        coarse: Largest step of an honest encoder, in plain steps (types whose scale is searched).
        norm: What the encoder minimises without an importance matrix.
        top_scale: Largest sub-scale that an encoder aims at; 0 where there are no sub-scales.
        top_min: Largest sub-min that an encoder aims at.
    """

    layout: BlockLayout
    plain_levels: float = 0
    formula: bool = False
    opposite_sign: bool = False
    takes_weights: bool = True
    coarse: float = 0.0
    norm: Norm = Norm.RMS
    top_scale: int = 0
    top_min: int = 0

    @property
    def symmetric(self) -> bool:
        """Whether the type has no offset."""
        return self.plain_levels > 0

    @cached_property
    def uneven(self) -> bool:
        """Whether levels are not one step apart (IQ4)."""
        return self.layout.levels is IQ4_LEVELS

    @cached_property
    def steps(self) -> float:
        """Plain steps in the range of a sub-block."""
        return self.plain_levels or len(self.layout.levels) - 1

    @cached_property
    def lowest(self) -> float:
        """The lowest level."""
        return float(self.layout.levels[0])

    @cached_property
    def highest(self) -> float:
        """The highest level."""
        return float(self.layout.levels[-1])

    @cached_property
    def largest(self) -> float:
        """The level of largest magnitude, without its sign."""
        return max(-self.lowest, self.highest)

    @property
    def half_gap(self) -> float:
        """Largest error of plain encoding between levels, in steps.

        Half a step, where levels are one step apart. IQ4's widest gaps are 23 and 24; half of the 23 is safe, because
        the error averages to at most 9.3 over the trial steps of ggml's search (docs/certificate.md).
        """
        return 11.5 if self.uneven else 0.5

    @cached_property
    def code_cells(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Lower and upper edge, in steps, of the values whose nearest level each code is; float32 [codes] each."""
        levels = self.layout.levels
        middle = (levels[1:] + levels[:-1]) / np.float32(2)
        below, above = np.array([-np.inf], np.float32), np.array([np.inf], np.float32)
        return np.concatenate([below, middle]), np.concatenate([middle, above])

    @cached_property
    def coarse_with_weights(self) -> float:
        """`coarse` of an encoder with an importance matrix.

        A weighted fit of x = d * level lies between the smallest and the largest x / level, at most 1.5 trial steps;
        a fitted line is at most 2 trial steps steep; a trial step is at most steps / (steps - 0.9) plain ones.
        """
        if self.uneven:
            return 1.7
        fit = 1.5 if self.symmetric else 2.0
        return max(self.coarse, fit * self.steps / (self.steps - TRIAL_STEP))

    def coarsest(self, *, weights: bool) -> float:
        """The largest honest step in plain steps, with or without an importance matrix."""
        return self.coarse_with_weights if weights else self.coarse


_L = LAYOUTS

CERTIFICATE_TYPES: dict[DType, CertificateType] = {
    DType.Q8_0: CertificateType(_L[DType.Q8_0], plain_levels=127, formula=True, takes_weights=False),
    DType.Q4_0: CertificateType(_L[DType.Q4_0], plain_levels=8, formula=True, opposite_sign=True),
    DType.Q5_0: CertificateType(_L[DType.Q5_0], plain_levels=16, formula=True, opposite_sign=True),
    DType.Q4_1: CertificateType(_L[DType.Q4_1], formula=True),
    DType.Q5_1: CertificateType(_L[DType.Q5_1], formula=True),
    DType.APR_Q4: CertificateType(_L[DType.APR_Q4], plain_levels=7, formula=True, takes_weights=False),
    DType.IQ4_NL: CertificateType(_L[DType.IQ4_NL], plain_levels=127, coarse=1.3),
    DType.IQ4_XS: CertificateType(_L[DType.IQ4_XS], plain_levels=127, coarse=1.3, top_scale=32),
    DType.Q2_K: CertificateType(_L[DType.Q2_K], coarse=3.0, norm=Norm.MEAN_ABSOLUTE, top_scale=15, top_min=15),
    DType.Q3_K: CertificateType(_L[DType.Q3_K], plain_levels=4, coarse=1.5, top_scale=32),
    DType.Q4_K: CertificateType(_L[DType.Q4_K], coarse=1.25, norm=Norm.WEIGHTED_RMS, top_scale=63, top_min=63),
    DType.Q5_K: CertificateType(_L[DType.Q5_K], coarse=1.1, norm=Norm.WEIGHTED_RMS, top_scale=63, top_min=63),
    DType.Q6_K: CertificateType(_L[DType.Q6_K], plain_levels=32, coarse=1.055, top_scale=128),
}
"""Every type that is certified block by block; AprQ8, with one scale for the tensor, stands apart."""
