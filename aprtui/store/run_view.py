"""A run as a screen follows it: plan, rows, gates, progress and log, brought up to date from the journal bit by bit."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from fnmatch import fnmatchcase
from time import monotonic

from aprtui.core.behaviour import Behaviour, LayerError
from aprtui.core.diagnosis import Diagnosis, NamedCause
from aprtui.core.errors import AprtuiError
from aprtui.core.events import (
    AUDIT,
    BehaviourMeasured,
    ComparisonFinished,
    ComparisonStarted,
    ConversionFailed,
    ConversionFinished,
    ConversionStarted,
    Diagnosed,
    GateFinished,
    Heartbeat,
    JournalLine,
    LayerMeasured,
    LevelFinished,
    RunFinished,
    RunInterrupted,
    RunResumed,
    RunStarted,
    ScenarioFinished,
    ScenarioStarted,
    TolerancesChanged,
)
from aprtui.core.findings import FindingKind, LevelResult
from aprtui.core.json_values import from_json, to_json
from aprtui.core.outcomes import Level, Outcome
from aprtui.core.results import TensorResult
from aprtui.core.tolerance import ToleranceSettings, judge, with_settings
from aprtui.store.bundle import BundleFacts
from aprtui.store.columns import NO_COMPARISON, Columns, RowKind
from aprtui.store.plan import PlannedComparison, RunPlan
from aprtui.store.row_cache import read_rows, tensor_line
from aprtui.store.row_status import OPEN, RowStatus, status_of_finding, status_of_outcome
from aprtui.store.run_causes import RunCauses, run_causes
from aprtui.store.run_folder import RunFolder, RunState
from aprtui.store.summary import run_state
from aprtui.store.working_time import WorkingTime

LOG_LINES = 5000


@dataclass
class ComparisonState:
    """What is known of one comparison.

    Attributes:
        plan: What it compares.
        started: Whether somebody measures, or has.
        finished: How it ended.
        levels: Results of its levels.
        behaviour: What both models do; None where they were not run.
        layer: The part of the product that was held to its source last; None where no model runs.
        diagnosis: Why it fails; None where it holds, or was not explained.
        bytes_done: Bytes of finished tensors.
        tensors_done: Tensors with a result.
    """

    plan: PlannedComparison
    started: bool = False
    finished: ComparisonFinished | None = None
    levels: list[LevelResult] = field(default_factory=list)
    behaviour: Behaviour | None = None
    layer: LayerError | None = None
    diagnosis: Diagnosis | None = None
    bytes_done: int = 0
    tensors_done: int = 0

    @property
    def has_tensors(self) -> bool:
        """Whether it compares weights."""
        return Level.WEIGHTS in self.plan.levels


@dataclass
class Changes:
    """What a look at the journal brought.

    Attributes:
        rows: Numbers of rows that changed.
        gates: Whether a gate, a comparison or the run itself changed.
        log: How many lines were logged.
        more: Whether there is more to read at once.
    """

    rows: set[int] = field(default_factory=set)
    gates: bool = False
    log: int = 0
    more: bool = False


class RunView:
    """A run folder, followed.

    Args:
        folder: The run's folder.

    Raises:
        AprtuiError: It holds no plan that can be understood.
    """

    def __init__(self, folder: RunFolder) -> None:
        self.folder = folder
        self.plan: RunPlan = folder.plan()
        self.columns = Columns()
        self.comparisons = [ComparisonState(plan) for plan in self.plan.comparisons]
        self.gates: dict[str, GateFinished] = {}
        self.products: dict[str, ConversionFinished] = {}
        self.running: set[str] = set()
        self.log: deque[JournalLine] = deque(maxlen=LOG_LINES)
        self.logged = 0
        self.tolerances: ToleranceSettings = self.plan.tolerances
        self._recorded = self.tolerances
        self._asked: ToleranceSettings | None = None
        self.started: datetime | None = None
        self.worked = WorkingTime()
        self.end: RunFinished | RunInterrupted | None = None
        self.passed_over = 0
        self.bundled = BundleFacts.of(folder) if folder.is_bundle else None
        self.inventory: tuple[str, ...] = ()
        self._indices = {one.comparison_id: index for index, one in enumerate(self.plan.comparisons)}
        self._reader = folder.reader()
        self._cached = read_rows(folder, len(self.comparisons))
        self._unread: Iterator[tuple[int, bytes] | range] = iter(())
        if self._cached is not None:
            self._unread = self._cached.items(self._reader)
        self._to_judge: list[int] = []

    def index(self, comparison: str) -> int | None:
        """Index of a comparison."""
        return self._indices.get(comparison)

    def comparisons_of(self, gate_id: str) -> tuple[int, ...]:
        """Indices of the comparisons that a gate is judged from."""
        for gate in self.plan.gates:
            if gate.gate_id == gate_id:
                return tuple(index for one in gate.comparisons if (index := self.index(one)) is not None)
        return ()

    def scenarios_of(self, gate_id: str) -> tuple[str, ...]:
        """Ids of the scenarios that a gate is judged from."""
        return next((gate.scenarios for gate in self.plan.gates if gate.gate_id == gate_id), ())

    def state(self) -> RunState:
        """What became of the run; one whose engine nobody knows has died."""
        try:
            return run_state(self.folder, self.end)
        except AprtuiError:
            return RunState.FINISHED if isinstance(self.end, RunFinished) else RunState.DIED

    @property
    def is_evidence(self) -> bool:
        """Whether there is no run folder behind it but only an evidence.json."""
        return self.bundled is not None and bool(self.bundled.evidence)

    def judge_under(self, tolerances: ToleranceSettings) -> None:
        """Show rows as they are judged under these tolerances, whatever the journal says, until `follow_journal`."""
        self._asked = tolerances
        self._judge_all(tolerances)

    def follow_journal(self, *, at_once: bool = False) -> None:
        """Show rows as the journal judges them: from its next judgements on, or as it did last, at once."""
        self._asked = None
        if at_once:
            self._judge_all(self._recorded)

    def _judge_all(self, tolerances: ToleranceSettings) -> None:
        self.tolerances = tolerances
        self._to_judge = [number for number in range(len(self.columns)) if self.columns.offsets[number] >= 0]

    def take_inventory(self, names: Sequence[str]) -> None:
        """The tensors of the run's model: every comparison of weights gets a waiting row for each."""
        self.inventory = tuple(names)
        for index, comparison in enumerate(self.comparisons):
            if comparison.has_tensors and comparison.finished is None:
                self._allocate(index)

    def read(self, seconds: float) -> Changes:
        """Read on in the journal, for at most about this long."""
        deadline = monotonic() + seconds
        changes = Changes()
        before = self.logged
        done = False
        while not done and not changes.more:
            done = True
            for item in self._unread:
                done = False
                self._add_item(item, changes)
                if monotonic() > deadline:
                    changes.more = True
                    break
            else:
                self._unread, self._cached = self._reader.new_raw_lines(), None
                done = done and self._is_at_end(changes)
        while self._to_judge:
            self._judge_again(self._to_judge.pop())
            if monotonic() > deadline:
                break
        changes.more = changes.more or bool(self._to_judge)
        changes.log = self.logged - before
        changes.rows, self.columns.changed = self.columns.changed, set()
        self.passed_over = self._reader.passed_over
        return changes

    def _is_at_end(self, changes: Changes) -> bool:
        """Whether a fresh iterator has nothing; its first line, if any, is taken in."""
        first = next(self._unread, None)
        if first is None:
            return True
        self._add_item(first, changes)
        return False

    def tensor(self, number: int) -> TensorResult | None:
        """A tensor's whole result, from the journal; None where the line is gone or cannot be understood."""
        offset = self.columns.offsets[number]
        if offset < 0 or self.columns.kinds[number] != RowKind.TENSOR:
            return None
        try:
            with self.folder.journal.open("rb") as file:
                file.seek(offset)
                result = from_json(TensorResult, json.loads(file.readline())["tensor"])
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return result

    def causes(self, number: int) -> tuple[NamedCause, ...]:
        """The causes that explain a row."""
        index = self.columns.comparisons[number]
        diagnosis = self.comparisons[index].diagnosis if index != NO_COMPARISON else None
        name = self.columns.names[number]
        return tuple(cause for cause in diagnosis.causes if name in cause.members) if diagnosis is not None else ()

    def causes_of_run(self) -> RunCauses:
        """Why the run fails, over all its conversions."""
        return run_causes(self.plan, {one.plan.comparison_id: one for one in self.comparisons})

    def _add_item(self, item: tuple[int, bytes] | range, changes: Changes) -> None:
        if isinstance(item, range):
            self._add_cached(item)
            return
        offset, line = item
        if self._add_tensor(line, offset):
            return
        parsed = self._reader.parsed(line)
        if parsed is not None:
            self._add(parsed, offset, changes)

    def _add_tensor(self, line: bytes, offset: int) -> bool:
        """The short way for the most frequent line: straight into the columns."""
        found = tensor_line(line, self.folder.path.name, self._indices)
        if found is None:
            return False
        index, tensor = found
        try:
            known = self.columns.tensor(index, str(tensor["name"]))
            was_open = known is None or self.columns.status(known).is_open
            number = self.columns.set_tensor(index, tensor, offset)
        except (ValueError, KeyError, TypeError):
            return False
        if self._asked is not None and self._asked != self._recorded:
            self._to_judge.append(number)
        if was_open:
            self.comparisons[index].bytes_done += self.columns.nbytes[number]
            self.comparisons[index].tensors_done += 1
        return True

    def _add_cached(self, rows: range) -> None:
        assert self._cached is not None
        columns = self._cached.columns
        index = columns.comparisons[rows.start]
        tensors, nbytes = self.columns.take(index, columns, rows)
        self.comparisons[index].tensors_done += tensors
        self.comparisons[index].bytes_done += nbytes

    def _add(self, line: JournalLine, offset: int, changes: Changes) -> None:
        event = line.event
        self.worked.add(line)
        if isinstance(event, Heartbeat):
            running = set(event.running)
            changes.gates = changes.gates or running != self.running
            self.running = running
            return
        self.log.append(line)
        self.logged += 1
        changes.gates = True
        if isinstance(event, LevelFinished):
            self._add_level(event, offset)
        elif isinstance(event, LayerMeasured | BehaviourMeasured | Diagnosed):
            self._add_measured(event)
        elif isinstance(event, ComparisonStarted):
            self._start(event)
        elif isinstance(event, ComparisonFinished):
            self._finish(event, offset)
        elif isinstance(event, GateFinished):
            self._add_gate(event, offset)
        elif isinstance(event, ConversionStarted):
            self.running.add(event.conversion)
        elif isinstance(event, ScenarioStarted):
            self.running.add(event.scenario)
        elif isinstance(event, ScenarioFinished):
            self.running.discard(event.scenario)
        elif isinstance(event, ConversionFinished):
            self.products[event.conversion] = event
            self.running.discard(event.conversion)
        elif isinstance(event, ConversionFailed):
            self._add_failed_conversion(event, offset)
        elif isinstance(event, RunStarted):
            self.started, self.end = self.started or line.time, None
        elif isinstance(event, RunResumed):
            self._resume(event)
        elif isinstance(event, TolerancesChanged):
            self._recorded = event.tolerances
            if self._asked is None:
                self._judge_all(event.tolerances)
        elif isinstance(event, RunFinished | RunInterrupted):
            self.end = event
            self.running.clear()

    def _add_measured(self, event: LayerMeasured | BehaviourMeasured | Diagnosed) -> None:
        index = self.index(event.comparison)
        if index is None:
            return
        state = self.comparisons[index]
        if isinstance(event, LayerMeasured):
            state.layer = event.layer
        elif isinstance(event, BehaviourMeasured):
            state.behaviour, state.layer = event.behaviour, None
        else:
            state.diagnosis = event.diagnosis

    def _start(self, event: ComparisonStarted) -> None:
        index = self.index(event.comparison)
        if index is None:
            return
        self._clear(index)
        self.comparisons[index].started = True
        self.running.add(event.comparison)
        if self.comparisons[index].has_tensors:
            self._allocate(index)

    def _allocate(self, index: int) -> None:
        patterns = self.comparisons[index].plan.tensors
        names = self.inventory
        if patterns:
            names = tuple(name for name in names if any(fnmatchcase(name, pattern) for pattern in patterns))
        self.columns.allocate(index, names)

    def _clear(self, index: int) -> None:
        self.columns.clear(index)
        self.comparisons[index] = ComparisonState(self.comparisons[index].plan)

    def _resume(self, event: RunResumed) -> None:
        self.gates = {gate: found for gate, found in self.gates.items() if gate in event.gates}
        self.running.clear()
        for index, comparison in enumerate(self.comparisons):
            if comparison.plan.comparison_id not in event.comparisons:
                self._clear(index)
                if comparison.has_tensors:
                    self._allocate(index)
        for number in self.columns.rows_of(NO_COMPARISON):
            self.columns.set_status(number, RowStatus.HIDDEN)

    def _add_level(self, event: LevelFinished, offset: int) -> None:
        index = self.index(event.comparison)
        if index is None:
            return
        comparison = self.comparisons[index]
        comparison.levels = [one for one in comparison.levels if one.level is not event.level.level]
        comparison.levels.append(event.level)
        comparison.levels.sort(key=lambda one: list(Level).index(one.level))
        if event.level.outcome is Outcome.SKIPPED:
            # Such as models that were to run on a GPU that is not there: the rest of the comparison does not say so.
            name = event.level.level.value
            reasons = [reason.removeprefix(f"{name}: ") for reason in event.level.not_checked]
            text = "; ".join(reasons) or "not checked"
            self.columns.add_text_row(RowKind.FINDING, RowStatus.SKIPPED, index, name, text=text, offset=offset)
        for finding in event.level.failures:
            if finding.kind is not FindingKind.TOLERANCE:
                status = status_of_finding(finding.level, finding.kind)
                text = finding.message
                if finding.expected is not None and finding.found is not None:
                    text += f" (expected {finding.expected}, found {finding.found})"
                self.columns.add_text_row(RowKind.FINDING, status, index, finding.subject, text=text, offset=offset)

    def _finish(self, event: ComparisonFinished, offset: int) -> None:
        index = self.index(event.comparison)
        if index is None:
            return
        self.comparisons[index].finished = event
        self.running.discard(event.comparison)
        measured = event.outcome in (Outcome.CORROBORATED, Outcome.FALSIFIED)
        # Where nothing was measured one row with the reason says it all.
        whole = measured or not self.comparisons[index].tensors_done
        left = RowStatus.HIDDEN if whole else status_of_outcome(event.outcome)
        statuses, kinds = self.columns.statuses, self.columns.kinds
        compared = []
        for number in self.columns.rows_of(index):
            if statuses[number] in OPEN:
                self.columns.set_status(number, left)
            elif kinds[number] == RowKind.TENSOR:
                compared.append(number)
        if any(level.outcome is Outcome.SKIPPED for level in self.comparisons[index].levels):
            pass  # the level's own row says why
        elif not measured:
            text = event.reason if not event.stderr else f"{event.reason}: {event.stderr.strip().splitlines()[-1]}"
            status = status_of_outcome(event.outcome)
            self.columns.add_text_row(RowKind.NOTICE, status, index, event.comparison, text=text, offset=offset)
        elif compared and not self.inventory and self.comparisons[index].has_tensors:
            self.take_inventory([self.columns.names[number] for number in compared])

    def _add_gate(self, event: GateFinished, offset: int) -> None:
        self.gates[event.gate] = event
        # Of evidence alone gates are all there is, so those that hold have their row, too.
        shown = event.outcome is not Outcome.CORROBORATED or self.is_evidence
        if shown and not self.comparisons_of(event.gate):
            status = status_of_outcome(event.outcome)
            # Of a pass what it is worth matters more than what it says.
            parts = [event.reason, str(event.details.get(AUDIT, ""))]
            parts.sort(key=lambda part: part is event.reason and event.outcome is Outcome.CORROBORATED)
            text = " · ".join(part for part in parts if part)
            self.columns.add_text_row(RowKind.NOTICE, status, NO_COMPARISON, event.gate, text=text, offset=offset)

    def _add_failed_conversion(self, event: ConversionFailed, offset: int) -> None:
        self.running.discard(event.conversion)
        status = status_of_outcome(event.outcome)
        status = RowStatus.CONVERTER if status is RowStatus.FAILED else status
        users = [index for index, one in enumerate(self.plan.comparisons) if event.conversion in one.files]
        text = event.reason if not event.stderr else f"{event.reason}: {event.stderr.strip().splitlines()[-1]}"
        index = users[0] if users else NO_COMPARISON
        self.columns.add_text_row(RowKind.NOTICE, status, index, event.conversion, text=text, offset=offset)

    def _judge_again(self, number: int) -> None:
        """A row under the tolerances that hold now; the journal's own judgements overrule it when they come."""
        tensor = self.tensor(number)
        if tensor is None:
            return
        tolerance = with_settings(tensor.tolerance, self.tolerances)
        judged = to_json(tensor) | {
            "tolerance": to_json(tolerance),
            "judgement": to_json(judge(tensor.record, tolerance)),
        }
        self.columns.set_tensor(self.columns.comparisons[number], judged, self.columns.offsets[number])
