"""What an audit says of an entry and of a file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class Standing(StrEnum):
    """What an entry is worth."""

    HOLDS = "holds"
    CONTRADICTS = "contradicts itself"
    WITHOUT_SUBSTANCE = "without substance"
    CANNOT_BE_KNOWN = "cannot be known"


@dataclass(frozen=True, slots=True)
class EntryAudit:
    """One entry.

    Attributes:
        number: Place in the file, from 1.
        gate_id: As stored.
        outcome: As stored.
        standing: What it is worth.
        why: One sentence.
        ask: What would settle it; empty where nothing is open.
        cause: Code of a measurement cause; empty where there is none.
    """

    number: int
    gate_id: str
    outcome: str
    standing: Standing
    why: str
    ask: str = ""
    cause: str = ""


@dataclass(frozen=True, slots=True)
class FileAudit:
    """One evidence file.

    Attributes:
        path: As given.
        entries: In the order of the file.
        ambiguous: Ids that stand for several gates, with what they may stand for.
        notes: What is true of the file as a whole.
        missing: Gates that the playbook plans and the file lacks.
    """

    path: str
    entries: tuple[EntryAudit, ...]
    ambiguous: Mapping[str, str]
    notes: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()

    @property
    def counts(self) -> Mapping[Standing, int]:
        """Entries by standing."""
        found = Counter(entry.standing for entry in self.entries)
        return {standing: found[standing] for standing in Standing}

    @property
    def is_sound(self) -> bool:
        """Whether every entry holds and nothing planned is missing."""
        return self.counts[Standing.HOLDS] == len(self.entries) and not self.missing and bool(self.entries)

    @property
    def empty_passes(self) -> int:
        """Passes that are without substance or contradict themselves."""
        worthless = (Standing.WITHOUT_SUBSTANCE, Standing.CONTRADICTS)
        return sum(entry.outcome == "Corroborated" and entry.standing in worthless for entry in self.entries)
