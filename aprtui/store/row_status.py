"""What a row of the table of results says of itself, in one word, and which word weighs more."""

from __future__ import annotations

from enum import IntEnum

from aprtui.core.findings import FindingKind
from aprtui.core.outcomes import Level, Outcome


class RowStatus(IntEnum):
    """State of a row; the numbers are the order of the table, worst first.

    What makes numbers moot (a crash, NaN, another shape or name, a missing tensor, a damaged file) stands above tensors
    outside their tolerance; types, metadata and tokenizer, which have no margin, stand below them.
    """

    CRASHED = 0
    NOT_FINITE = 1
    SHAPE = 2
    NAME = 3
    COUNT = 4
    FILE = 5
    CONVERTER = 6
    FAILED = 7
    TYPE = 8
    METADATA = 9
    TOKENIZER = 10
    TIMEOUT = 11
    SKIPPED = 12
    RUNNING = 13
    WAITING = 14
    PASSED = 15
    HIDDEN = 16

    @property
    def word(self) -> str:
        """As it stands in the table, four letters at most."""
        return _WORDS[self]

    @property
    def is_failure(self) -> bool:
        """Whether it is a finding against the product: Falsified, crashed or out of time."""
        return self <= RowStatus.TIMEOUT

    @property
    def is_open(self) -> bool:
        """Whether there is no result yet."""
        return self in OPEN


OPEN = frozenset({RowStatus.WAITING, RowStatus.RUNNING})
"""States of rows that have no result yet."""

_WORDS = {
    RowStatus.CRASHED: "CRSH",
    RowStatus.NOT_FINITE: "NAN",
    RowStatus.SHAPE: "SHAP",
    RowStatus.NAME: "NAME",
    RowStatus.COUNT: "CARD",
    RowStatus.TYPE: "TYPE",
    RowStatus.FILE: "FILE",
    RowStatus.CONVERTER: "CONV",
    RowStatus.METADATA: "META",
    RowStatus.TOKENIZER: "TOKN",
    RowStatus.FAILED: "FAIL",
    RowStatus.TIMEOUT: "TIME",
    RowStatus.SKIPPED: "SKIP",
    RowStatus.RUNNING: "run",
    RowStatus.WAITING: "wait",
    RowStatus.PASSED: "pass",
    RowStatus.HIDDEN: "void",
}

_BY_KIND = {
    FindingKind.MISSING: RowStatus.COUNT,
    FindingKind.UNEXPECTED: RowStatus.COUNT,
    FindingKind.MISNAMED: RowStatus.NAME,
    FindingKind.SHAPE: RowStatus.SHAPE,
    FindingKind.TYPE: RowStatus.TYPE,
    FindingKind.UNREADABLE: RowStatus.FILE,
}
_BY_LEVEL = {
    Level.INTEGRITY: RowStatus.FILE,
    Level.METADATA: RowStatus.METADATA,
    Level.TOKENIZER: RowStatus.TOKENIZER,
}
_BY_OUTCOME = {
    Outcome.CORROBORATED: RowStatus.PASSED,
    Outcome.FALSIFIED: RowStatus.FAILED,
    Outcome.SKIPPED: RowStatus.SKIPPED,
    Outcome.TIMEOUT: RowStatus.TIMEOUT,
    Outcome.CRASHED: RowStatus.CRASHED,
}


def status_of_finding(level: Level, kind: FindingKind) -> RowStatus:
    """The state of a row that stands for a failing finding."""
    return _BY_KIND.get(kind) or _BY_LEVEL.get(level, RowStatus.FAILED)


def status_of_outcome(outcome: Outcome) -> RowStatus:
    """The state of a row that stands for a gate, a comparison or a conversion."""
    return _BY_OUTCOME[outcome]
