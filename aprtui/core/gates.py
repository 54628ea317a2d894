"""The table of gates: what each one takes, which levels it asks for, when it passes.

There is no gate without a row. Ids are apr-qa's; what a gate means here that upstream's does not, its row says.
"""

from __future__ import annotations

from collections.abc import Mapping
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


@dataclass(frozen=True, slots=True)
class Gate:
    """One gate.

    Attributes:
        gate_id: The same for a pass and a failure.
        title: What is tested.
        source: Format of the source.
        target: Format of the product.
        levels: Levels that the gate asks for; every one is required.
        severity: Weight of a failure.
        pass_rule: When it is Corroborated.
        unlike_upstream: What it means that apr-qa's gate of this id does not.
    """

    gate_id: str
    title: str
    source: FormatLetter
    target: FormatLetter
    levels: tuple[Level, ...]
    severity: GateSeverity
    pass_rule: str
    unlike_upstream: str


_STATIC_LEVELS = tuple(level for level in Level if level is not Level.BEHAVIOUR)


_EVERY_LEVEL_HOLDS = "every level holds: the product's tensors equal the source's under the layout rules and tolerances"


def _pair(source: FormatLetter, target: FormatLetter) -> Gate:
    names = {FormatLetter.SAFETENSORS: "SafeTensors", FormatLetter.GGUF: "GGUF", FormatLetter.APR: "APR"}
    return Gate(
        gate_id=f"F-CONV-{source}-{target}",
        title=f"{names[source]} converted to {names[target]}",
        source=source,
        target=target,
        levels=_STATIC_LEVELS,
        severity=GateSeverity.P0,
        pass_rule=_EVERY_LEVEL_HOLDS,
        unlike_upstream="compares stored weights, metadata and tokenizer; upstream compared standard output",
    )


_S, _G, _A = FormatLetter.SAFETENSORS, FormatLetter.GGUF, FormatLetter.APR

CONVERSION_PAIRS: tuple[Gate, ...] = tuple(
    _pair(source, target) for source, target in ((_S, _G), (_S, _A), (_G, _S), (_A, _S), (_A, _G), (_G, _A))
)
"""The six pairs."""

GATES: Mapping[str, Gate] = {gate.gate_id: gate for gate in CONVERSION_PAIRS}
"""Every gate by its id."""
