"""What each part of the diagnosis hands on: a cause, its members, and the failing findings that it accounts for."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from aprtui.core.findings import Finding, LevelResult
from aprtui.core.outcomes import Level

Failure = tuple[Level, str]
"""A level and a subject."""


@dataclass(frozen=True, slots=True)
class Found:
    """A cause with its members.

    Attributes:
        code: Row of the catalogue.
        members: Tensors, keys, parts, or "file".
        evidence: What proves it, one sentence.
        accounts_for: Failures that it explains, at its own level and as consequences at others.
        layer: Round in which it came to light.
        before: Sum of squared errors and of squared source values as found; None without weights.
        after: The same under the repair.
    """

    code: str
    members: tuple[str, ...]
    evidence: str
    accounts_for: frozenset[Failure] = frozenset()
    layer: int = 1
    before: tuple[float, float] | None = None
    after: tuple[float, float] | None = None


def found_at(level: Level, code: str, members: Iterable[str], evidence: str, *also: Failure) -> Found:
    """A cause that accounts for its members at a level, and for what else is named."""
    named = tuple(members)
    return Found(code, named, evidence, frozenset({*((level, name) for name in named), *also}))


def failing(result: LevelResult | None) -> dict[str, list[Finding]]:
    """Failing findings by subject; none for a level that was not compared."""
    grouped: dict[str, list[Finding]] = {}
    for finding in result.failures if result is not None else ():
        grouped.setdefault(finding.subject, []).append(finding)
    return grouped


def difference(finding: Finding) -> str:
    """A finding in a few words."""
    if finding.expected is not None and finding.found is not None:
        return f"{finding.subject} is {finding.found}, {finding.expected} expected"
    return f"{finding.subject}: {finding.message}"
