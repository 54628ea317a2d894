"""What a row of the catalogue holds."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from fnmatch import fnmatchcase

from aprtui.core.gates import GateSeverity
from aprtui.core.outcomes import Level


class Question(StrEnum):
    """The three questions that a failed qualification leaves open."""

    TRANSPOSED = "transposed"
    QUANTISATION = "quantisation"
    TOKENIZER = "tokenizer"

    @property
    def level(self) -> Level:
        """The level without which nobody can say no."""
        return Level.TOKENIZER if self is Question.TOKENIZER else Level.WEIGHTS


class Repair(StrEnum):
    """What it takes to undo a cause in the product."""

    REARRANGE = "rearrange"
    METADATA = "metadata"
    TOKENIZER = "tokenizer"
    RESTORE = "restore"
    CONVERT_AGAIN = "convert again"
    NONE = "none"

    @property
    def can_be_written(self) -> bool:
        """Whether a repaired file can be made of the product and, where something is lost, the source."""
        return self not in (Repair.CONVERT_AGAIN, Repair.NONE)


@dataclass(frozen=True, slots=True)
class RootCause:
    """A cause that happened, in the published history of aprender and realizar.

    Attributes:
        code: RC-01 … RC-86.
        title: In a few words.
        links: Issues and commits, as owner/repository#number or owner/repository@commit.
        outside: Why files alone cannot show it; empty where they can.
    """

    code: str
    title: str
    links: tuple[str, ...]
    outside: str = ""


@dataclass(frozen=True, slots=True)
class Cause:
    """One cause.

    Attributes:
        code: Stable name: the level that shows it (or "measurement"), a dot, and the cause.
        title: What went wrong, without a full stop.
        level: The level that shows it; None for causes of measurement.
        question: The question that it answers with yes; None where it answers none.
        symptoms: How it looks before it is known.
        test: What proves it.
        repair: What undoes it.
        fix: The same in words.
        advice: What to change in the converter, one sentence.
        severity: Weight.
        history: Root causes that it covers.
        faults: Fault injectors whose damage it names, as patterns of their codes: those that leave one signature.
        beside: Fault injectors whose damage it does not name, but may rightly stand beside the name of, as patterns.
        links: Issues and commits of its history.
    """

    code: str
    title: str
    level: Level | None
    question: Question | None
    symptoms: str
    test: str
    repair: Repair
    fix: str
    advice: str
    severity: GateSeverity
    history: tuple[str, ...]
    faults: tuple[str, ...]
    beside: tuple[str, ...]
    links: tuple[str, ...]

    def names(self, fault: str) -> bool:
        """Whether it is the right name for the damage of a fault injector."""
        return any(fnmatchcase(fault, pattern) for pattern in self.faults)

    def is_right_beside(self, fault: str) -> bool:
        """Whether it is true of the damage of a fault injector, be it as its name or as another thing that is wrong."""
        return self.names(fault) or any(fnmatchcase(fault, pattern) for pattern in self.beside)
