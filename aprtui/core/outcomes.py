"""The closed sets of results: outcomes, comparison levels, exit codes.

`Outcome` has the spelling of apr-qa's evidence.json; exit codes and their priority are part of the
command line's contract (README, "Exit codes").
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum, StrEnum


class Outcome(StrEnum):
    """What became of a check; the spelling is apr-qa's."""

    CORROBORATED = "Corroborated"
    FALSIFIED = "Falsified"
    SKIPPED = "Skipped"
    TIMEOUT = "Timeout"
    CRASHED = "Crashed"


class Level(StrEnum):
    """What a check compares, worst first."""

    INTEGRITY = "integrity"
    STRUCTURE = "structure"
    METADATA = "metadata"
    TOKENIZER = "tokenizer"
    WEIGHTS = "weights"
    BEHAVIOUR = "behaviour"


class Severity(StrEnum):
    """Whether a finding fails its level or only belongs in the report."""

    FAILURE = "failure"
    NOTE = "note"


class ExitCode(IntEnum):
    """Exit codes of every command."""

    PASSED = 0
    FALSIFIED = 1
    USAGE = 2
    ENVIRONMENT = 3
    TIMEOUT = 4
    SKIPPED = 5
    CONSOLE_CRASHED = 70
    INTERRUPTED = 130


_PRIORITY = (
    ExitCode.INTERRUPTED,
    ExitCode.FALSIFIED,
    ExitCode.TIMEOUT,
    ExitCode.ENVIRONMENT,
    ExitCode.USAGE,
    ExitCode.SKIPPED,
)

_BY_OUTCOME = {
    Outcome.CORROBORATED: ExitCode.PASSED,
    Outcome.FALSIFIED: ExitCode.FALSIFIED,
    Outcome.SKIPPED: ExitCode.SKIPPED,
    Outcome.TIMEOUT: ExitCode.TIMEOUT,
    Outcome.CRASHED: ExitCode.ENVIRONMENT,
}


def worst_exit_code(codes: Iterable[ExitCode]) -> ExitCode:
    """The code that counts among several (130 > 1 > 4 > 3 > 2 > 5 > 0)."""
    found = set(codes)
    return next((code for code in _PRIORITY if code in found), ExitCode.PASSED)


def exit_code(outcomes: Iterable[Outcome]) -> ExitCode:
    """The exit code of a run with these outcomes; the worst one decides (130 > 1 > 4 > 3 > 5 > 0)."""
    return worst_exit_code(_BY_OUTCOME[outcome] for outcome in outcomes)
