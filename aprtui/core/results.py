"""Results of a comparison as plain facts: one per tensor, one per level, and the whole.

Journals, reports and screens read these; nothing here knows how they were measured.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from aprtui.core.behaviour import Behaviour
from aprtui.core.dtypes import DType
from aprtui.core.findings import Finding, FindingKind, LevelResult
from aprtui.core.outcomes import ExitCode, Level, Outcome
from aprtui.core.outcomes import exit_code as worst_exit_code
from aprtui.core.statistics import StatisticsRecord
from aprtui.core.tolerance import Judgement, Rule, Tolerance


@dataclass(frozen=True, slots=True)
class TensorResult:
    """One compared tensor.

    Attributes:
        name: Canonical name.
        layout: What the layout rule did to the source, in words; empty where rows are compared as stored.
        source_dtype: Stored type of the source ("BF16").
        target_dtype: Stored type of the target.
        shape: Row-major shape of the target.
        nbytes: Bytes read from both sides.
        record: What was measured.
        tolerance: What was allowed.
        judgement: The verdict.
    """

    name: str
    layout: str
    source_dtype: DType
    target_dtype: DType
    shape: tuple[int, ...]
    nbytes: int
    record: StatisticsRecord
    tolerance: Tolerance
    judgement: Judgement

    @property
    def rank(self) -> tuple[int, float, float, float]:
        """Sort key, worst first: failures, then the rule's severity by NMSE, margin and largest difference."""
        return (
            0 if self.judgement.outcome is Outcome.FALSIFIED else 1,
            -self.record.nmse,
            -self.judgement.margin,
            -self.record.max_abs,
        )


def tolerance_findings(tensors: Iterable[TensorResult]) -> list[Finding]:
    """A finding for every tensor outside its tolerance, worst first."""
    failed = (tensor for tensor in tensors if not tensor.judgement.passed)
    return [
        Finding(
            Level.WEIGHTS,
            tensor.name,
            f"outside its tolerance ({tensor.tolerance.rule})",
            expected=tensor.tolerance.full_origin,
            found=tensor.judgement.sentence,
            kind=FindingKind.TOLERANCE,
        )
        for tensor in sorted(failed, key=lambda tensor: tensor.rank)
    ]


class WeightsClass(StrEnum):
    """What is true of the weights as a whole, in one phrase."""

    IDENTICAL = "identical"
    EQUAL_AFTER_LAYOUT = "equal after layout"
    ROUNDING_ONLY = "rounding only"
    QUANTISATION_ONLY = "quantisation only"
    DIFFERENT = "different"
    NOT_COMPARED = "not compared"


@dataclass(frozen=True, slots=True)
class Comparison:
    """Everything that a comparison of two models found.

    Attributes:
        source: Path of A.
        target: Path of B.
        levels: Results of the planned levels, worst level first.
        tensors: Compared tensors, worst first.
        weights: What is true of the weights.
        not_checked: What nobody looked at, with the reason.
        asked_for: The output type that was asked for; None where types are only reported.
        seconds: Wall time.
        bytes_read: Bytes of both sides that were compared.
        behaviour: What running both models showed; None where they were not run.
        embedding: Canonical names of the source's embedding and output matrix.
    """

    source: str
    target: str
    levels: tuple[LevelResult, ...]
    tensors: tuple[TensorResult, ...]
    weights: WeightsClass
    not_checked: tuple[str, ...]
    asked_for: str | None
    seconds: float
    bytes_read: int
    behaviour: Behaviour | None = None
    embedding: tuple[str, ...] = ()

    @property
    def failed_levels(self) -> tuple[Level, ...]:
        """Levels that were falsified."""
        return tuple(result.level for result in self.levels if result.outcome is Outcome.FALSIFIED)

    @property
    def exit_code(self) -> ExitCode:
        """Exit code of a command that made just this comparison."""
        return worst_exit_code(result.outcome for result in self.levels)

    @property
    def outcome(self) -> Outcome:
        """Falsified if a level is, Skipped if one could not run, else Corroborated."""
        outcomes = {result.outcome for result in self.levels}
        for outcome in (Outcome.FALSIFIED, Outcome.CRASHED, Outcome.TIMEOUT, Outcome.SKIPPED):
            if outcome in outcomes:
                return outcome
        return Outcome.CORROBORATED

    @property
    def sentence(self) -> str:
        """The verdict in one sentence."""
        phrase = weights_sentence(self.weights, self.tensors)
        failed = ", ".join(self.failed_levels)
        held = ", ".join(one.level for one in self.levels if one.outcome is Outcome.CORROBORATED)
        if self.weights is WeightsClass.NOT_COMPARED and held and not failed:
            return f"What was compared holds ({held}); {phrase}"
        return f"NOT EQUIVALENT ({failed}): {phrase}" if failed else f"{phrase[0].upper()}{phrase[1:]}"


def classify_weights(tensors: tuple[TensorResult, ...]) -> WeightsClass:
    """The phrase that holds for all tensors: the weakest of what each shows."""
    if not tensors:
        return WeightsClass.NOT_COMPARED
    if any(not tensor.judgement.passed for tensor in tensors):
        return WeightsClass.DIFFERENT
    rules = {tensor.tolerance.rule for tensor in tensors if tensor.record.differing}
    if rules & {Rule.CERTIFICATE, Rule.BAND}:
        return WeightsClass.QUANTISATION_ONLY
    if Rule.ROUNDING in rules:
        return WeightsClass.ROUNDING_ONLY
    moved = any(tensor.layout or tensor.source_dtype != tensor.target_dtype for tensor in tensors)
    return WeightsClass.EQUAL_AFTER_LAYOUT if moved else WeightsClass.IDENTICAL


def weights_sentence(weights: WeightsClass, tensors: tuple[TensorResult, ...]) -> str:
    """One sentence on the weights, without a full stop."""
    count = len(tensors)
    if weights is WeightsClass.NOT_COMPARED:
        return "the weights were not compared"
    if weights is WeightsClass.DIFFERENT:
        failed = [tensor for tensor in tensors if not tensor.judgement.passed]
        worst = min(failed, key=lambda tensor: tensor.rank)
        return f"weights different in {len(failed)} of {count} tensors, worst {worst.name}"
    if weights is WeightsClass.IDENTICAL:
        return f"weights identical, every value of all {count} tensors equal"
    if weights is WeightsClass.EQUAL_AFTER_LAYOUT:
        moved = sum(1 for tensor in tensors if tensor.layout)
        retyped = sum(1 for tensor in tensors if tensor.source_dtype != tensor.target_dtype)
        how = [f"{moved} of {count} tensors stored in another layout"] if moved else []
        how += [f"{retyped} of {count} tensors in another type"] if retyped else []
        return f"weights equal after layout, {', '.join(how)}"
    lossy = sum(1 for tensor in tensors if tensor.record.differing)
    if weights is WeightsClass.ROUNDING_ONLY:
        return f"weights differ by rounding only, in {lossy} of {count} tensors"
    bounded = any(tensor.tolerance.rule is Rule.BAND for tensor in tensors)
    proof = "bounded, not certified" if bounded else "every block certified"
    if any(tensor.record.certificate and tensor.record.certificate.unknown_weights for tensor in tensors):
        proof += " (up to an importance matrix's unknown weights)"
    return f"weights differ by quantisation only, in {lossy} of {count} tensors, {proof}"
