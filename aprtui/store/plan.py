"""What a run is going to do, as it stands in plan.json: enough to show the run and to go on with it."""

from __future__ import annotations

from dataclasses import dataclass

from aprtui.core.events import ConverterFacts
from aprtui.core.gates import GATES, Gate
from aprtui.core.outcomes import Level


@dataclass(frozen=True, slots=True)
class PlannedConversion:
    """One conversion; made once, whichever gates need it.

    Attributes:
        conversion_id: "S>G" from the run's model, "S>G>S" from a product.
        source: Id of the conversion whose product is converted; None for the run's model.
        target: Letter of the product's format.
        asked_for: Output type.
    """

    conversion_id: str
    source: str | None
    target: str
    asked_for: str


@dataclass(frozen=True, slots=True)
class PlannedGate:
    """One gate.

    Attributes:
        gate_id: Row of the table of gates.
        levels: Levels to check.
        tensors: Patterns of the tensors to compare; empty for all.
        asked_for: Output type that the product is judged under.
        source: Id of the conversion whose product is the source; None for the run's model.
        target: Id of the conversion that is tested.
    """

    gate_id: str
    levels: tuple[Level, ...]
    tensors: tuple[str, ...]
    asked_for: str
    source: str | None
    target: str

    @property
    def gate(self) -> Gate:
        """Its row of the table."""
        return GATES[self.gate_id]

    @property
    def needs(self) -> tuple[str, ...]:
        """Ids of the conversions that come first."""
        return (self.target,) if self.source is None else (self.source, self.target)


@dataclass(frozen=True, slots=True)
class PlaybookFacts:
    """What evidence says of the playbook.

    Attributes:
        path: The file.
        name: Its name.
        version: Its version.
        repo: "org/name" of the model.
        seed: Seed of its scenarios.
        allow_skip: Ids of gates that may be Skipped.
    """

    path: str
    name: str
    version: str
    repo: str
    seed: int
    allow_skip: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """The run's model, as it was found.

    Attributes:
        path: What to open.
        how: Which rule found it.
        commit: Of its repository, where that is known.
    """

    path: str
    how: str
    commit: str | None


@dataclass(frozen=True, slots=True)
class Limits:
    """What a run may use; verdicts do not depend on it.

    Attributes:
        jobs: Threads in all.
        gate_seconds: Longest time of one gate or conversion; None for no limit.
        run_seconds: Longest time of the whole run; None for no limit.
    """

    jobs: int = 1
    gate_seconds: float | None = None
    run_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class RunPlan:
    """A run.

    Attributes:
        run_id: Time and random digits.
        playbook: The playbook.
        model: The model.
        converter: The converter; None skips every gate.
        gates: In order.
        conversions: In an order in which each can be made.
        limits: Resources.
        evidence: Where evidence.json goes, beside the one in the run folder.
        scratch: Where products go.
        aprtui_version: Version that made the plan.
        rules_version: Version of tolerances and layout rules.
    """

    run_id: str
    playbook: PlaybookFacts
    model: ModelFacts
    converter: ConverterFacts | None
    gates: tuple[PlannedGate, ...]
    conversions: tuple[PlannedConversion, ...]
    limits: Limits
    evidence: str
    scratch: str
    aprtui_version: str
    rules_version: str
