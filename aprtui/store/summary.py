"""What a run has come to, from plan and journal alone: the models need not be there any more."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from aprtui.core.behaviour import Behaviour
from aprtui.core.diagnosis import Diagnosis
from aprtui.core.dtypes import Family
from aprtui.core.events import (
    BehaviourMeasured,
    ComparisonFinished,
    ComparisonStarted,
    ConversionFailed,
    ConversionFinished,
    Diagnosed,
    Event,
    GateFinished,
    JournalLine,
    LevelFinished,
    ModelOpened,
    RunFinished,
    RunInterrupted,
    RunResumed,
    RunStarted,
    ScenarioFinished,
    ScenarioStarted,
    TensorFinished,
    TolerancesChanged,
    WorkspaceChecked,
)
from aprtui.core.findings import Finding, LevelResult
from aprtui.core.outcomes import ExitCode, Level, Outcome, exit_code
from aprtui.core.results import TensorResult
from aprtui.core.tolerance import ToleranceSettings
from aprtui.store.plan import RunPlan
from aprtui.store.run_folder import RunFolder, RunState

WORST_KEPT = 10
"""Tensors of a comparison that are kept whole."""


@dataclass
class ToleranceGroup:
    """The tensors of a comparison that one tolerance was applied to.

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
class ComparisonRecord:
    """What the journal holds of one comparison; of a tensor that holds and did not change nothing but a count.

    Attributes:
        started: Whether somebody is measuring, or has.
        worst: The worst tensors, worst first.
        tolerances: The tolerances that were applied, by rule and origin.
        compared: How many tensors were compared.
        changed: Names of the tensors of which any element differs, in the order of the file.
        from_blocks: How many tensors the source stores in blocks.
        failed_from_blocks: Names of those among them that do not hold.
        levels: Worst level first.
        behaviour: What both models do; None where they were not run.
        diagnosis: Why it fails; None where it holds, or was not explained.
        finished: How it ended; None while it has not.
    """

    started: bool = False
    worst: list[TensorResult] = field(default_factory=list)
    tolerances: dict[tuple[str, str], ToleranceGroup] = field(default_factory=dict)
    compared: int = 0
    changed: list[str] = field(default_factory=list)
    from_blocks: int = 0
    failed_from_blocks: list[str] = field(default_factory=list)
    levels: list[LevelResult] = field(default_factory=list)
    behaviour: Behaviour | None = None
    diagnosis: Diagnosis | None = None
    finished: ComparisonFinished | None = None

    def add(self, tensor: TensorResult) -> None:
        """Take the next tensor."""
        self.compared += 1
        self.worst = sorted([*self.worst, tensor], key=lambda one: one.rank)[:WORST_KEPT]
        key = (tensor.tolerance.rule.value, tensor.tolerance.full_origin)
        self.tolerances.setdefault(key, ToleranceGroup(tensor)).add(tensor)
        if tensor.record.differing:
            self.changed.append(tensor.name)
        if tensor.source_dtype.info.family is Family.BLOCK:
            self.from_blocks += 1
            if not tensor.judgement.passed:
                self.failed_from_blocks.append(tensor.name)

    @property
    def failures(self) -> list[Finding]:
        """Findings that fail their level, of all levels."""
        return [finding for level in self.levels for finding in level.failures]

    def level(self, level: Level) -> LevelResult | None:
        """The result of one level; None where it was not checked."""
        return next((result for result in self.levels if result.level is level), None)


@dataclass
class RunRecord:
    """What the journal holds of a run so far; `add` takes its lines in their order.

    Attributes:
        comparisons: By id.
        gates: Verdicts with their times, by id.
        products: Conversions that were made, by id.
        failures: Conversions that left no product, by id.
        scenarios: Results of engines, by id; None while one is running.
        opened: Digests of the run's model and of given sources; None before they were read.
        workspace: Whether there is room for products; None before that was looked at.
        tolerances: Those that the playbook set since the run was planned; None where it set none.
        started: When the run began.
        last: Time and number of the last line.
        end: How the run ended, if it did.
    """

    comparisons: dict[str, ComparisonRecord] = field(default_factory=dict)
    gates: dict[str, tuple[GateFinished, datetime]] = field(default_factory=dict)
    products: dict[str, ConversionFinished] = field(default_factory=dict)
    failures: dict[str, ConversionFailed] = field(default_factory=dict)
    scenarios: dict[str, ScenarioFinished | None] = field(default_factory=dict)
    opened: ModelOpened | None = None
    workspace: WorkspaceChecked | None = None
    tolerances: ToleranceSettings | None = None
    started: datetime | None = None
    last: JournalLine | None = None
    end: RunFinished | RunInterrupted | None = None

    def add(self, line: JournalLine) -> None:
        """Take the next line."""
        self.last, event = line, line.event
        if isinstance(event, TensorFinished):
            self.comparison(event.comparison).add(event.tensor)
        elif isinstance(event, LevelFinished):
            self.comparison(event.comparison).levels.append(event.level)
        elif isinstance(event, Diagnosed):
            self.comparison(event.comparison).diagnosis = event.diagnosis
        elif isinstance(event, BehaviourMeasured):
            self.comparison(event.comparison).behaviour = event.behaviour
        elif isinstance(event, ComparisonStarted):
            self.comparisons[event.comparison] = ComparisonRecord(started=True)
        elif isinstance(event, ComparisonFinished):
            self.comparison(event.comparison).finished = event
        elif isinstance(event, GateFinished):
            self.gates[event.gate] = (event, line.time)
        elif isinstance(event, ConversionFinished):
            self.products[event.conversion] = event
        elif isinstance(event, ConversionFailed):
            self.failures[event.conversion] = event
        elif isinstance(event, ScenarioStarted | ScenarioFinished):
            self.scenarios[event.scenario] = event if isinstance(event, ScenarioFinished) else None
        else:
            self._add_of_run(event, line)

    def _add_of_run(self, event: Event, line: JournalLine) -> None:
        """Events of the run as a whole."""
        if isinstance(event, RunStarted):
            self.started, self.end = self.started or line.time, None
        elif isinstance(event, ModelOpened):
            self.opened = event
        elif isinstance(event, WorkspaceChecked):
            self.workspace = event
        elif isinstance(event, RunResumed):
            self.gates = {gate: found for gate, found in self.gates.items() if gate in event.gates}
            self.comparisons = {one: found for one, found in self.comparisons.items() if one in event.comparisons}
            self.scenarios = {one: found for one, found in self.scenarios.items() if one in event.scenarios}
            self.failures.clear()
        elif isinstance(event, TolerancesChanged):
            self.tolerances = event.tolerances
        elif isinstance(event, RunFinished | RunInterrupted):
            self.end = event

    @property
    def finished(self) -> set[str]:
        """Ids of comparisons and scenarios that have their result."""
        compared = {one for one, found in self.comparisons.items() if found.finished is not None}
        return compared | {one for one, found in self.scenarios.items() if found is not None}

    def verdicts(self) -> dict[str, GateFinished]:
        """The verdicts so far, by gate."""
        return {gate: finished for gate, (finished, _) in self.gates.items()}

    def comparison(self, comparison: str) -> ComparisonRecord:
        """The record of a comparison, a new one where there is none."""
        return self.comparisons.setdefault(comparison, ComparisonRecord())


def read_record(lines: Iterable[JournalLine]) -> RunRecord:
    """The record of a journal."""
    record = RunRecord()
    for line in lines:
        record.add(line)
    return record


def state_of(folder: RunFolder, record: RunRecord) -> RunState:
    """What became of a run; an engine that neither lives nor said how it ended has died."""
    return run_state(folder, record.end)


def run_state(folder: RunFolder, end: RunFinished | RunInterrupted | None) -> RunState:
    """What became of a run, by the last word of its journal and by its engine.

    Raises:
        AprtuiError: Which engine it has cannot be read.
    """
    if isinstance(end, RunFinished):
        return RunState.FINISHED
    if isinstance(end, RunInterrupted):
        return RunState.INTERRUPTED
    if folder.is_bundle:
        return RunState.BUNDLED
    engine = folder.engine()
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
