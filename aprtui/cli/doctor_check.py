"""What `aprtui doctor` says of one thing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

Facts = Mapping[str, str | int | None]


class State(StrEnum):
    """What became of a check."""

    FINE = "fine"
    MISSING = "missing"
    BROKEN = "broken"


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that this machine has or lacks.

    Attributes:
        group: Heading that it stands under.
        name: What it is.
        state: Missing where aprtui does without it, broken where it does not.
        found: What was found, as one sentence.
        facts: The same, piece by piece.
    """

    group: str
    name: str
    state: State
    found: str
    facts: Facts = field(default_factory=dict)
