"""What a run has come to, from plan and journal alone: the models need not be there any more."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from aprtui.core.events import (
    ConversionFinished,
    GateFinished,
    GateStarted,
    JournalLine,
    LevelFinished,
    ModelOpened,
    RunFinished,
    RunInterrupted,
    RunResumed,
    RunStarted,
    TensorFinished,
)
from aprtui.core.findings import LevelResult
from aprtui.core.outcomes import ExitCode, Outcome, exit_code
from aprtui.core.results import TensorResult
from aprtui.store.plan import RunPlan
from aprtui.store.run_folder import RunFolder, RunState

WORST_KEPT = 10
"""Tensors of a gate that are kept whole."""


@dataclass
class ToleranceGroup:
    """The tensors of a gate that one tolerance was applied to.

    Attributes:
        worst: The one that ranks first.
        tensors: How many there are.
        failed: How many do not hold.
    """

    worst: TensorResult
    tensors: int = 0
    failed: int = 0

    def add(self, tensor: TensorResult) -> None:
        """Count a tensor."""
        self.worst = min(self.worst, tensor, key=lambda one: one.rank)
        self.tensors += 1
        self.failed += not tensor.judgement.passed


@dataclass
class GateRecord:
    """What the journal holds of one gate, in memory that does not grow with the model.

    Attributes:
        worst: The worst tensors, worst first.
        tolerances: The tolerances that were applied, by rule and origin.
        compared: How many tensors were compared.
        levels: Worst level first.
        finished: The verdict with its time; None while there is none.
    """

    worst: list[TensorResult] = field(default_factory=list)
    tolerances: dict[tuple[str, str], ToleranceGroup] = field(default_factory=dict)
    compared: int = 0
    levels: list[LevelResult] = field(default_factory=list)
    finished: tuple[GateFinished, datetime] | None = None

    def add(self, tensor: TensorResult) -> None:
        """Take the next tensor."""
        self.compared += 1
        self.worst = sorted([*self.worst, tensor], key=lambda one: one.rank)[:WORST_KEPT]
        key = (tensor.tolerance.rule.value, tensor.tolerance.origin)
        self.tolerances.setdefault(key, ToleranceGroup(tensor)).add(tensor)


@dataclass
class RunRecord:
    """What the journal holds of a run so far; `add` takes its lines in their order.

    Attributes:
        gates: By id.
        products: Conversions that were made, by id.
        model_files: Digests of the run's model; None before it was read.
        started: When the run began.
        last: Time and number of the last line.
        end: How the run ended, if it did.
    """

    gates: dict[str, GateRecord] = field(default_factory=dict)
    products: dict[str, ConversionFinished] = field(default_factory=dict)
    model_files: dict[str, str] | None = None
    started: datetime | None = None
    last: JournalLine | None = None
    end: RunFinished | RunInterrupted | None = None

    def add(self, line: JournalLine) -> None:
        """Take the next line."""
        self.last, event = line, line.event
        if isinstance(event, RunStarted):
            self.started, self.end = self.started or line.time, None
        elif isinstance(event, ModelOpened):
            self.model_files = dict(event.files)
        elif isinstance(event, RunResumed):
            self.gates = {gate: record for gate, record in self.gates.items() if gate in event.gates}
        elif isinstance(event, ConversionFinished):
            self.products[event.conversion] = event
        elif isinstance(event, GateStarted):
            self.gates[event.gate] = GateRecord()
        elif isinstance(event, TensorFinished):
            self._gate(event.gate).add(event.tensor)
        elif isinstance(event, LevelFinished):
            self._gate(event.gate).levels.append(event.level)
        elif isinstance(event, GateFinished):
            self._gate(event.gate).finished = (event, line.time)
        elif isinstance(event, RunFinished | RunInterrupted):
            self.end = event

    def verdicts(self) -> dict[str, GateFinished]:
        """The verdicts so far, by gate."""
        return {gate: record.finished[0] for gate, record in self.gates.items() if record.finished is not None}

    def _gate(self, gate: str) -> GateRecord:
        return self.gates.setdefault(gate, GateRecord())


def read_record(lines: Iterable[JournalLine]) -> RunRecord:
    """The record of a journal."""
    record = RunRecord()
    for line in lines:
        record.add(line)
    return record


def state_of(folder: RunFolder, record: RunRecord) -> RunState:
    """What became of a run; an engine that neither lives nor said how it ended has died."""
    engine = folder.engine()
    if isinstance(record.end, RunFinished):
        return RunState.FINISHED
    if isinstance(record.end, RunInterrupted):
        return RunState.INTERRUPTED
    if not engine.is_here:
        return RunState.ELSEWHERE
    return RunState.RUNNING if engine.is_alive else RunState.DIED


def run_exit_code(plan: RunPlan, verdicts: Iterable[GateFinished]) -> ExitCode:
    """The exit code of a run: the worst outcome decides, skips that the playbook accepts do not count."""
    accepted = plan.playbook.allow_skip
    counted = (
        verdict.outcome for verdict in verdicts if not (verdict.outcome is Outcome.SKIPPED and verdict.gate in accepted)
    )
    return exit_code(counted)


def exit_code_of(record: RunRecord) -> ExitCode:
    """The exit code of a command that shows a run: the run's own; 130 interrupted, 3 still running or dead."""
    if isinstance(record.end, RunFinished):
        return ExitCode(record.end.exit_code)
    return ExitCode.INTERRUPTED if isinstance(record.end, RunInterrupted) else ExitCode.ENVIRONMENT
