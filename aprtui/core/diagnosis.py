"""What a diagnosis found, as plain facts: causes by name, the three questions, what is left.

Journals, evidence, reports and screens read these; nothing here knows how causes were found.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from aprtui.core.causes import Cause, Question, Repair, cause_named
from aprtui.core.outcomes import Level


class Answer(StrEnum):
    """Answer to one of the three questions."""

    YES = "yes"
    NO = "no"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class QuestionAnswered:
    """One of the three questions.

    Attributes:
        question: Which one.
        answer: Yes, no or unknown.
        count: Tensors, keys or parts that say yes.
        evidence: One sentence.
    """

    question: Question
    answer: Answer
    count: int
    evidence: str


@dataclass(frozen=True, slots=True)
class NamedCause:
    """One cause with everything that it explains.

    Attributes:
        code: Row of the catalogue.
        members: Canonical names of tensors, metadata keys, tokenizer parts, or "file".
        where: The members in words ("all 24 k_proj").
        evidence: What proves it here, one sentence.
        layer: In which round it came to light; 1 for what was visible at once.
        before: Sum of squared errors of the members over that of their source, as found; None without weights.
        after: The same against the source as the cause left it.
    """

    code: str
    members: tuple[str, ...]
    where: str
    evidence: str
    layer: int = 1
    before: float | None = None
    after: float | None = None

    @property
    def cause(self) -> Cause:
        """The row of the catalogue."""
        return cause_named(self.code)

    @property
    def error(self) -> str | None:
        """The error before and after in words; None without weights. What is lost is explained, not repaired."""
        if self.before is None or self.after is None:
            return None
        how = "under the repair" if self.cause.repair.can_be_written else "so explained"
        return f"NMSE {self.before:.2g} as it is, {self.after:.2g} {how}"


@dataclass(frozen=True, slots=True)
class Unexplained:
    """A failure without a cause.

    Attributes:
        level: Its level.
        subject: What fails.
        message: How.
    """

    level: Level
    subject: str
    message: str


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """Why a comparison failed.

    Attributes:
        questions: The three questions, in a fixed order.
        causes: Worst first: by level, then by the share of the error that each explains.
        unexplained: Failures that no cause explains.
        failures: Failing findings and tensors that were to be explained.
        layers: Rounds of repair and comparison until nothing more was found.
        tensors_failing: Tensors outside their tolerance as found.
        tensors_left: Tensors outside their tolerance under all repairs.
        error_before: Sum of squared errors over that of the source, of all tensors that failed.
        error_after: The same under all repairs.
        seconds: Wall time beyond the comparison itself.
        kld_before: Mean KL divergence of the logits as found; None where the models were not run.
        kld_after: The same under all repairs.
    """

    questions: tuple[QuestionAnswered, ...]
    causes: tuple[NamedCause, ...]
    unexplained: tuple[Unexplained, ...]
    failures: int
    layers: int
    tensors_failing: int
    tensors_left: int
    error_before: float | None
    error_after: float | None
    seconds: float
    kld_before: float | None = None
    kld_after: float | None = None

    @property
    def is_complete(self) -> bool:
        """Whether the repaired model passes."""
        return not self.unexplained

    @property
    def sentence(self) -> str:
        """How much of the difference has a name."""
        count = len(self.causes)
        causes = "1 cause explains" if count == 1 else f"{count} causes explain"
        if not self.failures:
            return "nothing failed"
        if self.is_complete:
            failures = "1 failure" if self.failures == 1 else f"{self.failures} failures"
            return f"{causes} all of it, {failures}; {self._what_lasts}"
        are = "is" if len(self.unexplained) == 1 else "are"
        left = f"{len(self.unexplained)} of {self.failures} failures {are} unexplained"
        return f"{causes} a part: {left}" if count else f"no cause was found: {left}"

    @property
    def _what_lasts(self) -> str:
        """What no repair of the product mends."""
        repairs = [named.cause.repair for named in self.causes]
        again, none = repairs.count(Repair.CONVERT_AGAIN), repairs.count(Repair.NONE)
        lasting = [f"{again} of them {'needs' if again == 1 else 'need'} another conversion"] if again else []
        lasting += [f"{none} of them {'says' if none == 1 else 'say'} that it is another model"] if none else []
        return ", ".join(lasting) or "the repaired model passes"
