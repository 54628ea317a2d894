"""What a gate comes to, and what judges of all families look at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from aprtui.core.events import ComparisonFinished, ConversionFailed
from aprtui.core.findings import Finding, LevelResult
from aprtui.core.gates import FORMAT_TITLES, FormatLetter
from aprtui.core.outcomes import Level, Outcome
from aprtui.store.plan import PlannedComparison, PlannedGate, RunPlan
from aprtui.store.summary import ComparisonRecord, RunRecord

WORDS_OF_FAILURE = {
    Outcome.FALSIFIED: "failed",
    Outcome.SKIPPED: "was not made",
    Outcome.CRASHED: "crashed",
    Outcome.TIMEOUT: "ran out of time",
}


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a gate comes to.

    Attributes:
        outcome: The outcome.
        reason: One sentence.
        details: Further values for the evidence.
        stderr: Last lines of what died.
    """

    outcome: Outcome
    reason: str
    details: Mapping[str, Any] = field(default_factory=dict)
    stderr: str | None = None


@dataclass(frozen=True, slots=True)
class Measured:
    """One comparison of a gate that has its result.

    Attributes:
        planned: What was compared.
        record: What was measured.
        finished: How it ended.
        failed: The conversion for want of whose product it could not run; None where it ran.
    """

    planned: PlannedComparison
    record: ComparisonRecord
    finished: ComparisonFinished
    failed: ConversionFailed | None

    @property
    def title(self) -> str:
        """Both sides in words."""
        if self.planned.source == self.planned.target:
            return "the model"
        return f"{format_title(self.planned.source)} to {format_title(self.planned.target)}"

    @property
    def of_source(self) -> list[Finding]:
        """Failures of the source itself: a product that keeps them is as good as it can be."""
        return [one for one in self.record.failures if one.is_of_source]

    @property
    def failures(self) -> list[Finding]:
        """Failures of the product: neither of its source alone, nor taken over from there."""
        return [one for one in self.record.failures if self.is_own(one)]

    def is_own(self, finding: Finding) -> bool:
        """Whether a finding is the product's."""
        return not finding.is_of_source and not self.is_shared(finding)

    def is_shared(self, finding: Finding) -> bool:
        """Whether both sides are damaged in the same way."""
        sides = {
            one.is_of_source
            for one in self.record.failures
            if (one.level, one.subject, one.message) == (finding.level, finding.subject, finding.message)
        }
        return len(sides) == 2

    @property
    def lacks_its_product(self) -> bool:
        """Whether the conversion that it tests left nothing to compare."""
        return self.failed is not None and self.failed.conversion == self.planned.target


@dataclass(frozen=True, slots=True)
class Measurements:
    """What a gate is judged from.

    Attributes:
        plan: The run's plan.
        gate: The gate.
        record: What is known of the run.
    """

    plan: RunPlan
    gate: PlannedGate
    record: RunRecord

    @property
    def all(self) -> tuple[Measured, ...]:
        """The gate's comparisons in their order."""
        return tuple(map(self.of, self.gate.comparisons))

    def of(self, comparison: str) -> Measured:
        """One comparison, which has to have its result."""
        planned = next(one for one in self.plan.comparisons if one.comparison_id == comparison)
        record = self.record.comparisons[comparison]
        assert record.finished is not None
        failed = self.record.failures[record.finished.lacks] if record.finished.lacks else None
        return Measured(planned, record, record.finished, failed)


def format_title(file: str) -> str:
    """The format of a source or conversion, by the last letter of its id."""
    return FORMAT_TITLES[FormatLetter(file.partition("#")[0][-1])]


def not_measured(measured: Measured) -> Verdict | None:
    """The verdict of a gate whose decisive comparison could not run; None where it ran.

    A conversion that left no product has its own outcome; without a source there is nothing to test.
    """
    failed, finished = measured.failed, measured.finished
    if failed is not None:
        text = f"conversion {WORDS_OF_FAILURE[failed.outcome]}: {failed.reason}"
        if measured.lacks_its_product:
            return Verdict(failed.outcome, f"the {text}", stderr=failed.stderr)
        source = format_title(measured.planned.source).lower()
        return Verdict(Outcome.SKIPPED, f"no {source} source: its {text}")
    if not measured.record.levels:
        return Verdict(finished.outcome, finished.reason, stderr=finished.stderr)
    return None


def absent_levels(measured: Measured, levels: Sequence[Level]) -> list[Level]:
    """Levels that were asked for and could not be checked."""
    return [level for level in levels if _is_absent(measured.record.level(level))]


def _is_absent(result: LevelResult | None) -> bool:
    return result is None or result.outcome is Outcome.SKIPPED


def only_a_part(plan: RunPlan) -> str:
    """Why nothing can pass where patterns left tensors out; empty where they left out none."""
    globs = next((one.tensors for one in plan.comparisons if one.tensors), ())
    return f"only tensors that match {', '.join(globs)} were compared" if globs else ""


def finding_text(findings: Sequence[Finding]) -> str:
    """The first finding in words, and how many more there are."""
    first = findings[0]
    more = f" (and {len(findings) - 1} more)" if len(findings) > 1 else ""
    return f"{first.level}: {first.subject}: {first.message}{more}"
