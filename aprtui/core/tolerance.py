"""Tolerances of tensor comparisons and the pure function that turns a statistics record into a verdict.

The rule follows from the conversion of the tensor, never from one epsilon for all types (docs/decisions.md).
`judge` needs the record alone, so that another tolerance is judged without reading weights.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from math import isfinite

from aprtui.core.dtypes import DType, Family
from aprtui.core.outcomes import Outcome
from aprtui.core.statistics import CertificateScalars, StatisticsRecord

CERTIFIED_TYPES = frozenset(
    DType(name)
    for name in (
        *("Q8_0", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "AprQ4", "AprQ8", "IQ4_NL", "IQ4_XS"),
        *("Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K"),
    )
)
"""Types whose honest encoding can be proved block by block."""

ERROR_BANDS: dict[DType, float] = {
    DType.IQ3_S: 0.50,
    DType.IQ3_XXS: 0.50,
    DType.IQ2_S: 0.90,
    DType.IQ2_XS: 0.95,
    DType.IQ2_XXS: 0.99,
    DType.IQ1_M: 0.95,
    DType.IQ1_S: 0.99,
    DType.TQ1_0: 0.95,
    DType.TQ2_0: 0.95,
    DType.MXFP4: 0.20,
    DType.NVFP4: 0.15,
}
"""Largest NRMSE (square root of NMSE) of the types without a certificate; `bounded`, not certified.

Above what ggml's encoder shows on five distributions, rows with an outlier of 100 standard deviations among them
(benchmarks/error_bands.py), and below 1, where a tensor of zeros lies.
"""


FORMULA_TYPES = frozenset(DType(name) for name in ("Q8_0", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "AprQ4", "AprQ8"))
"""Certified types whose scale is a formula of the block's extremes; the scale of the others is searched."""

ROUNDING_ULP = 0.5
"""Largest error of rounding to nearest, in ULP of the target."""


class Rule(StrEnum):
    """How a tensor is judged."""

    BIT_EXACT = "bit-exact"
    ROUNDING = "rounding"
    CERTIFICATE = "certificate"
    BAND = "error band"


@dataclass(frozen=True, slots=True)
class ToleranceSettings:
    """Tolerances of lossy conversions that a playbook sets in place of the rules' own; None where it sets none.

    Equal settings on other lines are the same ones.

    Attributes:
        ulp: Largest difference of a rounded value, in ULP of the target.
        scale_ulp: Largest distance of a block's scale from its formula, in ULP of f16.
        rmse_ratio: Largest RMS error of a block over what plain min/max encoding guarantees.
        kld_factor: Largest KL divergence, and top-1 disagreement, over those of the expected-loss twin.
        origin: Where they were set: the file, and the line of their section.
        origins: Where each one was set: the file, and the line of its own key.
    """

    ulp: float | None = None
    scale_ulp: float | None = None
    rmse_ratio: float | None = None
    kld_factor: float | None = None
    origin: str = field(default="", compare=False)
    origins: Mapping[str, str] = field(default_factory=dict, compare=False)


OWN_RULES = ToleranceSettings()
"""No tolerance but those of the rules."""


@dataclass(frozen=True, slots=True)
class Tolerance:
    """What one tensor is allowed.

    Attributes:
        rule: The rule.
        dtype: Stored type of the target.
        limit: Largest ULP of the rounding rule, largest NRMSE of the band rule; 0 for the others.
        origin: Where the tolerance came from, in words.
        scale_ulp: Where set, the largest distance of a scale from its formula, in place of clause (b) of formula types.
        rmse_ratio: Where set, the largest error of a block over its bound, in place of clause (b) of searched types.
        set_by: The playbook's key that changed it, with the file; empty where the rule's own value holds.
    """

    rule: Rule
    dtype: DType
    limit: float
    origin: str
    scale_ulp: float | None = None
    rmse_ratio: float | None = None
    set_by: str = ""

    @property
    def full_origin(self) -> str:
        """Where it came from, the playbook's key included."""
        return f"{self.origin}; {self.set_by}" if self.set_by else self.origin


@dataclass(frozen=True, slots=True)
class Judgement:
    """The verdict on one tensor.

    Attributes:
        outcome: Corroborated or Falsified.
        margin: How far over the limit, in the unit of the rule; at most 0 where it holds.
        unit: What the margin counts.
        needed: Smallest limit of the rule that would have passed.
        sentence: The measured value against the tolerance.
    """

    outcome: Outcome
    margin: float
    unit: str
    needed: float
    sentence: str

    @property
    def passed(self) -> bool:
        """Whether the tolerance holds."""
        return self.outcome is Outcome.CORROBORATED


def holds_exactly(source: DType, target: DType) -> bool:
    """Whether every value of the source type has the same value in the target type (blocks decode to f32)."""
    if source == target:
        return True
    wider = {
        DType.F16: {DType.F32, DType.F64},
        DType.BF16: {DType.F32, DType.F64},
        DType.F32: {DType.F64},
        DType.F8_E4M3: {DType.F16, DType.BF16, DType.F32, DType.F64},
        DType.F8_E5M2: {DType.F16, DType.BF16, DType.F32, DType.F64},
    }
    if source.info.family is Family.BLOCK:
        return target in {DType.F32, DType.F64}
    return target in wider.get(source, set())


def tolerance_for(source: DType, target: DType) -> Tolerance:
    """The rule for a tensor converted from one stored type to another (docs/comparison.md, "Tolerances")."""
    conversion = f"{source} to {target}"
    if holds_exactly(source, target):
        return Tolerance(Rule.BIT_EXACT, target, 0.0, f"{conversion} loses nothing")
    if target in CERTIFIED_TYPES:
        return Tolerance(Rule.CERTIFICATE, target, 0.0, f"{conversion}: each block must be an honest encoding")
    if target in ERROR_BANDS:
        return Tolerance(Rule.BAND, target, ERROR_BANDS[target], f"{conversion}: no certificate exists for {target}")
    if target.info.family is Family.FLOAT:
        return Tolerance(Rule.ROUNDING, target, ROUNDING_ULP, f"{conversion} rounds to nearest")
    return Tolerance(Rule.BIT_EXACT, target, 0.0, f"{conversion} must keep every value")


GENERATED_ULP = 32.0
"""Largest difference of a tensor that converters compute from the configuration, in ULP of float32.

Powers of float32 differ between numpy, torch and their builds, which Llama 3's formula amplifies: up to 11 ULP over
rope_theta 1e4 to 1e6, 32 to 256 rows per head, factors 8 and 32.
"""


_GENERATED = "computed from the configuration by a formula in float32"


def generated_tolerance(target: DType) -> Tolerance:
    """The rule for a tensor that follows from the configuration by a formula."""
    return Tolerance(Rule.ROUNDING, target, GENERATED_ULP, _GENERATED)


def with_settings(tolerance: Tolerance, settings: ToleranceSettings) -> Tolerance:
    """A tolerance under a playbook's settings; whatever settings it had before are void.

    Lossless conversions and tensors that follow from the configuration have no settings.
    """
    own = replace(tolerance, scale_ulp=None, rmse_ratio=None, set_by="")
    if tolerance.rule is Rule.ROUNDING and tolerance.origin != _GENERATED:
        own = replace(own, limit=ROUNDING_ULP)
        return own if settings.ulp is None else replace(own, limit=settings.ulp, set_by=set_by("ulp", settings))
    if tolerance.rule is Rule.CERTIFICATE and tolerance.dtype in FORMULA_TYPES and settings.scale_ulp is not None:
        return replace(own, scale_ulp=settings.scale_ulp, set_by=set_by("scale_ulp", settings))
    if tolerance.rule is Rule.CERTIFICATE and tolerance.dtype not in FORMULA_TYPES and settings.rmse_ratio is not None:
        return replace(own, rmse_ratio=settings.rmse_ratio, set_by=set_by("rmse_ratio", settings))
    return own


def set_by(key: str, settings: ToleranceSettings) -> str:
    """Where a setting came from, in words."""
    return f"aprtui.tolerance.{key} {getattr(settings, key):g} of {settings.origins.get(key, settings.origin)}"


def judge(record: StatisticsRecord, tolerance: Tolerance) -> Judgement:
    """Judge a record under a tolerance; pure.

    Returns:
        The verdict with its margin: elements that differ (bit-exact), ULP over the limit (rounding), blocks that
        violate a clause (certificate), NRMSE over the band (error band).
    """
    if tolerance.rule is Rule.BIT_EXACT:
        return _judge_exact(record)
    if tolerance.rule is Rule.ROUNDING:
        return _judge_rounding(record, tolerance)
    if tolerance.rule is Rule.CERTIFICATE:
        return _judge_certificate(record, tolerance)
    return _judge_band(record, tolerance)


def _verdict(passed: bool) -> Outcome:
    return Outcome.CORROBORATED if passed else Outcome.FALSIFIED


def _judge_exact(record: StatisticsRecord) -> Judgement:
    passed = record.differing == 0
    if passed:
        sentence = "every element equal"
    else:
        sentence = f"{record.differing} of {record.elements} elements differ, by up to {record.max_ulp:.4g} ULP"
    return Judgement(_verdict(passed), float(record.differing), "differing elements", record.max_ulp, sentence)


def _judge_rounding(record: StatisticsRecord, tolerance: Tolerance) -> Judgement:
    passed = record.max_ulp <= tolerance.limit
    sentence = f"largest difference {record.max_ulp:.4g} ULP of {tolerance.dtype}, {tolerance.limit:g} allowed"
    named = {"overflowed": record.overflowed, "flushed to zero": record.flushed, "truncated": record.truncated}
    if not passed:
        extra = ", ".join(f"{count} {what}" for what, count in named.items() if count)
        sentence += f" ({extra})" if extra else ""
    return Judgement(_verdict(passed), record.max_ulp - tolerance.limit, "ULP", record.max_ulp, sentence)


def _judge_certificate(record: StatisticsRecord, tolerance: Tolerance) -> Judgement:
    facts = record.certificate
    if facts is None:
        return Judgement(Outcome.SKIPPED, 0.0, "blocks", 0.0, "no certificate was computed")
    if tolerance.scale_ulp is not None or tolerance.rmse_ratio is not None:
        return _judge_set_scale(facts, tolerance)
    passed = facts.violations == 0
    sentence = _violations(facts, facts.scale_violations)
    if passed:
        known = "up to unknown weights" if facts.unknown_weights else "all clauses hold"
        sentence = f"{facts.blocks} blocks certified ({known})"
    return Judgement(_verdict(passed), float(facts.violations), "blocks", float(facts.violations), sentence)


def _judge_set_scale(facts: CertificateScalars, tolerance: Tolerance) -> Judgement:
    """Codes and zeros as ever; scales by the playbook's limit, from the worst block's scalar.

    How many blocks are beyond that limit no scalar says: the sentence has "?" for them, the margin is in its unit.
    """
    if tolerance.scale_ulp is not None:
        limit, measured, unit = tolerance.scale_ulp, facts.worst_scale_ulp, "scale ULP"
        holds = measured <= limit
    else:
        limit, measured, unit = tolerance.rmse_ratio or 0.0, facts.worst_error_ratio, "RMSE ratio"
        holds = measured <= limit and facts.worst_step_ratio <= 1
    others = facts.code_violations + facts.zero_violations
    if others or not holds:
        sentence = _violations(facts, 0 if holds else None)
    else:
        sentence = f"{facts.blocks} blocks certified under a limit of the playbook"
    sentence += f"; worst {unit} {measured:.4g}, {limit:g} allowed"
    return Judgement(_verdict(holds and not others), measured - limit, unit, measured, sentence)


def _violations(facts: CertificateScalars, scales: int | None) -> str:
    """The clauses that blocks violate; None scales are an unknown number of them."""
    clauses = {
        "codes that are not nearest": facts.code_violations,
        "a scale that no encoder arrives at": "?" if scales is None else scales,
        "a false zero scale": facts.zero_violations,
    }
    parts = ", ".join(f"{count} with {what}" for what, count in clauses.items() if count)
    first = f", the first is block {facts.first_violation}" if facts.first_violation >= 0 else ""
    return f"{parts} among {facts.blocks} blocks{first}"


def _judge_band(record: StatisticsRecord, tolerance: Tolerance) -> Judgement:
    nrmse = record.nmse**0.5
    passed = nrmse <= tolerance.limit and isfinite(record.max_ulp)
    sentence = f"bounded, not certified: NRMSE {nrmse:.3g}, {tolerance.limit:g} allowed"
    return Judgement(_verdict(passed), nrmse - tolerance.limit, "NRMSE", nrmse, sentence)
