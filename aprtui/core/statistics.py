"""The statistics record: every scalar that a weight comparison measures of one tensor.

Kernels fill it, the journal stores it, `judge` turns it into a verdict, screens show it. Its fields are fixed:
a tolerance can be judged anew from the record alone, without reading weights again.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, log10, sqrt


@dataclass(frozen=True, slots=True)
class CertificateScalars:
    """What the certificate measured of a block-quantised tensor (docs/certificate.md).

    Attributes:
        blocks: Blocks in the tensor.
        code_violations: Blocks with a code that is not nearest under any admissible scale (clause a).
        scale_violations: Blocks whose scale no encoder could have arrived at (clause b).
        zero_violations: Blocks with a zero scale that an honest encoder would not have stored (clause c).
        first_violation: Index of the first block that violates any clause, -1 if none.
        worst_code_steps: How far, in steps, the worst element lies outside its code's cell.
        worst_error_ratio: Largest RMS error over its bound (clause b2; 1 is the bound).
        worst_step_ratio: Largest step over its bound (clause b1; 1 is the bound).
        worst_scale_ulp: Largest distance of a stored scale from its formula, in f16 ULP (formula types).
        other_scale_blocks: Blocks whose codes are nearest under an admissible scale other than the stored one.
        clipped_codes: Elements beyond the last level by more than half a step.
        zero_scales: Blocks with a zero scale.
        subnormal_scales: Blocks with a sub-normal f16 scale.
        unknown_weights: The importance-matrix clauses were needed ("certified up to unknown weights").
    """

    blocks: int
    code_violations: int = 0
    scale_violations: int = 0
    zero_violations: int = 0
    first_violation: int = -1
    worst_code_steps: float = 0.0
    worst_error_ratio: float = 0.0
    worst_step_ratio: float = 0.0
    worst_scale_ulp: float = 0.0
    other_scale_blocks: int = 0
    clipped_codes: int = 0
    zero_scales: int = 0
    subnormal_scales: int = 0
    unknown_weights: bool = False

    @property
    def violations(self) -> int:
        """Violations of all clauses, a block counted once per clause."""
        return self.code_violations + self.scale_violations + self.zero_violations


@dataclass(frozen=True, slots=True)
class StatisticsRecord:
    """Scalars of one compared tensor: a is the source (through its layout view), b the target, e = b - a.

    Sums run over elements that are finite on both sides and are accumulated in float64. ULP are units in the
    last place of b's type at a's value (f32 where b stores blocks).

    Attributes:
        elements: Elements compared.
        differing: Elements whose values differ (NaN equals NaN of the same side, +0 equals -0).
        max_abs: Largest |e|; `inf` where one side is infinite and the other is not.
        max_abs_index: Flat row-major index of it, -1 if nothing differs.
        max_abs_a: Source value there.
        max_abs_b: Target value there.
        sum_error: Sum of e.
        sum_abs_error: Sum of |e|.
        sum_squared_error: Sum of e².
        sum_squared_a: Sum of a².
        sum_a_error: Sum of a·e.
        max_ulp: Largest |e| in ULP of b's type; `inf` where one side is infinite or NaN and the other is not.
        nan_a, nan_b, inf_a, inf_b: Non-finite elements of each side.
        overflowed: Finite a, infinite b.
        flushed: a does not round to zero in b's type, b is zero.
        truncated: b is a cut towards zero where rounding to nearest gives another value.
        certificate: Set where b stores blocks that were certified.
    """

    elements: int
    differing: int = 0
    max_abs: float = 0.0
    max_abs_index: int = -1
    max_abs_a: float = 0.0
    max_abs_b: float = 0.0
    sum_error: float = 0.0
    sum_abs_error: float = 0.0
    sum_squared_error: float = 0.0
    sum_squared_a: float = 0.0
    sum_a_error: float = 0.0
    max_ulp: float = 0.0
    nan_a: int = 0
    nan_b: int = 0
    inf_a: int = 0
    inf_b: int = 0
    overflowed: int = 0
    flushed: int = 0
    truncated: int = 0
    certificate: CertificateScalars | None = None

    @property
    def mean_error(self) -> float:
        """Mean of e."""
        return self.sum_error / self.elements if self.elements else 0.0

    @property
    def rmse(self) -> float:
        """Root mean square of e."""
        return sqrt(self.sum_squared_error / self.elements) if self.elements else 0.0

    @property
    def nmse(self) -> float:
        """Sum e² / sum a² (llama.cpp's test-backend-ops definition)."""
        if not self.sum_squared_error:
            return 0.0
        return self.sum_squared_error / self.sum_squared_a if self.sum_squared_a else inf

    @property
    def sqnr_db(self) -> float:
        """Signal to quantisation noise, -10 log10(NMSE), in dB; higher is better, `inf` where equal."""
        nmse = self.nmse
        if nmse == inf:
            return -inf
        return -10 * log10(nmse) if nmse else inf

    @property
    def norm_a(self) -> float:
        """Euclidean norm of a."""
        return sqrt(self.sum_squared_a)

    @property
    def norm_b(self) -> float:
        """Euclidean norm of b, from |a|² + 2 a·e + |e|²."""
        return sqrt(max(0.0, self.sum_squared_a + 2 * self.sum_a_error + self.sum_squared_error))

    @property
    def cosine_distance(self) -> float:
        """1 - cos(a, b) without cancellation; 0 where equal, 1 where one side alone is zero.

        With s = |a|² and m = (|b|² - |a|²): 1 - cos = (|e|² - (m / (|a| + |b|))²) / (2 |a| |b|).
        """
        a, b = self.norm_a, self.norm_b
        if not a or not b:
            return 0.0 if a == b else 1.0
        growth = (2 * self.sum_a_error + self.sum_squared_error) / (a + b)
        return max(0.0, (self.sum_squared_error - growth * growth) / (2 * a * b))
