"""What a gate is: the row of a table that says what is tested, on which levels, and when it passes.

The rows themselves stand in `core.gate_table`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from aprtui.core.outcomes import Level


class GateSeverity(StrEnum):
    """How much a failure weighs."""

    P0 = "P0"
    P1 = "P1"
    P2 = "P2"


class FormatLetter(StrEnum):
    """apr-qa's letters for formats."""

    SAFETENSORS = "S"
    GGUF = "G"
    APR = "A"


FORMAT_NAMES = {FormatLetter.SAFETENSORS: "safetensors", FormatLetter.GGUF: "gguf", FormatLetter.APR: "apr"}
"""Spelling of the formats in playbooks and evidence."""

FORMAT_TITLES = {FormatLetter.SAFETENSORS: "SafeTensors", FormatLetter.GGUF: "GGUF", FormatLetter.APR: "APR"}
"""Spelling of the formats in sentences."""


class GateFamily(StrEnum):
    """Gates that are judged alike."""

    PAIR = "pair"
    ROUND_TRIP = "round trip"
    TWO_ROUTES = "two routes"
    CONTENT = "content"
    CONTRACT = "contract"
    GATEWAY = "gateway"
    SCENARIO = "scenario"
    OTHER = "other"
    """Gates of other programs and other versions, which stand in evidence and plans but in no row of the table."""


@dataclass(frozen=True, slots=True)
class Gate:
    """One gate.

    Attributes:
        gate_id: apr-qa's id; the same for a pass and a failure.
        title: What is tested.
        family: How it is judged.
        routes: Conversions that it needs, as the letters of the formats in their order ("GASG"); a gate of two routes
            compares the ends of both. Empty where it looks at whatever the run converts, or at the model alone.
        levels: Levels that the gate asks for; every one is required.
        severity: Weight of a failure.
        inputs: What it looks at.
        pass_rule: When it is Corroborated.
        unlike_upstream: What it means that apr-qa's gate of this id does not.
    """

    gate_id: str
    title: str
    family: GateFamily
    routes: tuple[str, ...]
    levels: tuple[Level, ...]
    severity: GateSeverity
    inputs: str
    pass_rule: str
    unlike_upstream: str

    @property
    def source(self) -> FormatLetter:
        """Format that its route starts from; of a pair the format of the source."""
        return FormatLetter(self.routes[0][0])

    @property
    def target(self) -> FormatLetter:
        """Format that its route ends in; of a pair the format of the product."""
        return FormatLetter(self.routes[0][-1])

    @property
    def formats(self) -> frozenset[FormatLetter]:
        """Formats that have to take part in a run for this gate to be planned."""
        return frozenset(FormatLetter(letter) for route in self.routes for letter in route)
