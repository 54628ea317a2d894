"""Findings: one sentence about one thing that differs, and what became of a whole level."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum

from aprtui.core.outcomes import Level, Outcome, Severity

SOURCE_SIDE = "A"
"""What the place of a finding begins with where it is about the source of a comparison alone."""
# Places of other levels may be names from a file, which may be anything.
_OF_ONE_SIDE = frozenset({Level.INTEGRITY, Level.METADATA, Level.TOKENIZER})


LLAMA_CPP = "llama.cpp"
"""Subject of what llama.cpp says of a file, at the levels that ask it."""


class FindingKind(StrEnum):
    """What a finding is about, where a gate judges only such findings."""

    MISSING = "missing tensor"
    UNEXPECTED = "unexpected tensor"
    MISNAMED = "misnamed tensor"
    SHAPE = "shape"
    TYPE = "type"
    TOLERANCE = "tolerance"
    STORED_BYTES = "stored bytes"
    UNREADABLE = "unreadable file"
    EXPECTATION = "expectation of the playbook"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Finding:
    """One fact that a check found.

    Attributes:
        level: The level it belongs to.
        subject: A canonical tensor name, a canonical metadata key, a tokenizer part, or "file".
        message: One sentence without a full stop.
        severity: A failure fails its level, a note does not.
        expected: What should have been there, as text.
        found: What was there, as text.
        place: File, offset or stored name, where that helps.
        kind: What it is about.
    """

    level: Level
    subject: str
    message: str
    severity: Severity = Severity.FAILURE
    expected: str | None = None
    found: str | None = None
    place: str | None = None
    kind: FindingKind = FindingKind.OTHER

    @property
    def is_failure(self) -> bool:
        """Whether the finding fails its level."""
        return self.severity is Severity.FAILURE

    @property
    def is_of_source(self) -> bool:
        """Whether it is about the soundness of a comparison's source, which its place says, and not of its target."""
        return self.level in _OF_ONE_SIDE and (self.place or "").partition(",")[0] == SOURCE_SIDE


@dataclass(frozen=True, slots=True)
class LevelResult:
    """What became of one level of a comparison.

    Attributes:
        level: The level.
        outcome: Corroborated, Falsified or Skipped.
        findings: Failures first, then notes.
        checked: How many things were compared (tensors, keys, tokens; the level says which).
        not_checked: What the level could not or did not look at, each as a short phrase with its reason.
    """

    level: Level
    outcome: Outcome
    findings: tuple[Finding, ...] = ()
    checked: int = 0
    not_checked: tuple[str, ...] = ()

    @property
    def failures(self) -> tuple[Finding, ...]:
        """The findings that fail the level."""
        return tuple(finding for finding in self.findings if finding.is_failure)


def on_side(findings: Iterable[Finding], side: str = SOURCE_SIDE) -> list[Finding]:
    """Findings about one side of a comparison alone, whose places say which."""
    return [replace(one, place=f"{side}, {one.place}" if one.place else side) for one in findings]


def judge_level(
    level: Level,
    findings: tuple[Finding, ...] | list[Finding],
    *,
    checked: int,
    not_checked: tuple[str, ...] = (),
) -> LevelResult:
    """Falsified where a finding is a failure, Corroborated where something was checked, else Skipped."""
    ordered = tuple(sorted(findings, key=lambda finding: not finding.is_failure))
    if any(finding.is_failure for finding in ordered):
        outcome = Outcome.FALSIFIED
    else:
        outcome = Outcome.CORROBORATED if checked else Outcome.SKIPPED
    return LevelResult(level, outcome, ordered, checked, not_checked)


def not_stated(key: str) -> str:
    """What a level says it did not check where a configuration does not state a size, or nothing can contradict it."""
    return f"{key}: not stated, or no tensor to hold it against"
