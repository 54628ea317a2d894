"""The steps of a run: which job each one is, and what follows from its result for comparisons and gates."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Protocol
from uuid import uuid4

from aprtui.convert import Converter
from aprtui.core.events import (
    ComparisonFinished,
    ComparisonStarted,
    ConversionFailed,
    ConversionFinished,
    ConversionStarted,
    Event,
    GateFinished,
    JournalLine,
    ScenarioFinished,
    ScenarioStarted,
    TolerancesChanged,
)
from aprtui.core.gates import FormatLetter
from aprtui.core.outcomes import Outcome
from aprtui.core.tolerance import ToleranceSettings
from aprtui.engine.entry import evidence_entry, gate_duration, gate_output
from aprtui.engine.jobs import FORMATS, Compare, Convert, Job, Measure, NoProduct, Product, ReadModel, RunScenario
from aprtui.engine.journal_writer import JournalWriter
from aprtui.engine.product_store import ProductStore
from aprtui.engine.rejudge import judge_again
from aprtui.engine.schedule import MODEL, Schedule
from aprtui.engine.stamps import Stamps
from aprtui.engine.standing import Standing
from aprtui.engine.workers import share
from aprtui.formats.output_types import parse_output_type
from aprtui.gates import judge_gate
from aprtui.report.evidence import EvidenceEntry
from aprtui.store.plan import PlannedConversion, PlannedGate, PlannedScenario, PlannedStep, RunPlan


class Listener(Protocol):
    """Whoever shows a run while it goes on."""

    def started(self, step: str) -> None:
        """A comparison is being measured."""
        ...

    def progress(self, step: str, done: int, total: int) -> None:
        """Bytes of a comparison so far, and in all."""
        ...

    def finished(self, entry: EvidenceEntry) -> None:
        """A gate has its verdict."""
        ...


class Steps:
    """What there is to do in a run, and what became of it.

    Args:
        plan: The plan.
        converter: The converter under test.
        journal: Takes every event.
        listener: Told about comparisons and gates.
        measure: How comparisons are done.
    """

    def __init__(
        self, plan: RunPlan, converter: Converter | None, journal: JournalWriter, listener: Listener, measure: Measure
    ) -> None:
        self.plan, self.journal, self.listener = plan, journal, listener
        self._converter, self._measure = converter, measure
        self.share = share(self.plan.limits.jobs, parallel=converter is None or converter.parallel_safe)
        self._schedule = Schedule(plan)
        self._undecided: dict[str, PlannedGate] = {gate.gate_id: gate for gate in plan.gates}
        self._kept: dict[str, ConversionFinished] = {}
        self.products = ProductStore(plan)
        self.stamps = Stamps()
        self._commands: dict[str, tuple[str, ...]] = {}
        self._model = Path(plan.model.path)
        self._paths = {plan.model.letter: self._model} | {one.letter: Path(one.path) for one in plan.sources}
        self.tolerances = plan.tolerances
        self._begun_under: dict[str, ToleranceSettings] = {}

    def decided_before(self) -> None:
        """Nothing is to be done: gates that have a verdict are decided."""
        for gate in self.journal.record.gates:
            self._undecided.pop(gate, None)

    def next_job(self) -> tuple[str, Job] | None:
        """The next step that can begin, as a job."""
        step = self._schedule.ready()
        if step is None:
            return None
        if step == MODEL:
            sources = {letter: path for letter, path in self._paths.items() if letter != self.plan.model.letter}
            return step, ReadModel(self._model, sources)
        if step in self._schedule.conversions:
            return step, self._conversion_job(self._schedule.conversions[step])
        planned = self._schedule.left[step]
        if isinstance(planned, PlannedScenario):
            return step, RunScenario(planned, self._path(planned.file), self.plan.running)
        self._begun_under[step] = self.tolerances
        files = {file: self._path(file) for file in planned.files}
        return step, Compare(
            planned,
            self._model,
            files,
            self.plan.model.expected,
            self.tolerances,
            self.plan.running,
            self.share.threads,
            self._measure,
        )

    def begun(self, step: str, worker: int) -> None:
        """A worker has the job."""
        if step in self._schedule.conversions:
            self.journal.write(ConversionStarted(step, worker))
        elif step != MODEL:
            scenario = isinstance(self._schedule.left[step], PlannedScenario)
            self.journal.write(ScenarioStarted(step, worker) if scenario else ComparisonStarted(step, worker))
            self.listener.started(step)

    def model_read(self, standing: Standing) -> None:
        """Comparisons can begin; those that stand from before are as good as new."""
        self._kept = {one: self.journal.record.products[one] for one in standing.conversions}
        for gate in standing.gates:
            self._show(self._undecided.pop(gate))
        opened = self.journal.record.opened
        if opened is not None:
            start = {self.plan.model.letter: opened.files, **opened.sources}
            self.products.model_read(start)
            self.stamps.take(file for files in start.values() for file in files)
        self._schedule.model_read((*standing.comparisons, *standing.scenarios))
        self._decide()

    def without_conversions(self, outcome: Outcome, reason: str) -> None:
        """Nothing can be converted: every comparison and scenario that needs a product has this result."""
        for planned in tuple(self._schedule.left.values()):
            if self._schedule.missing(planned):
                self._end(_without_result(planned, outcome, reason))
        self._decide()

    def converted(self, step: str, result: Product | NoProduct) -> None:
        """A converter ended."""
        commands = self._commands[step]
        if isinstance(result, NoProduct):
            failed = ConversionFailed(
                step, result.outcome, result.reason, commands, result.seconds, programs=result.programs
            )
            self._no_product(failed)
            return
        made = ConversionFinished(
            step,
            str(result.path),
            dict(result.files),
            commands,
            result.converter,
            result.seconds,
            result.programs,
            result.kept,
        )
        self.journal.write(made, to_disk=True)
        self._schedule.made[step] = made
        self.stamps.take(made.files)

    def compared(self, result: ComparisonFinished, lines: Iterable[JournalLine] = ()) -> None:
        """A comparison was measured.

        Args:
            result: How it ended.
            lines: The journal; read where tolerances changed while it was measured.
        """
        self._end(result)
        if self._begun_under.pop(result.comparison, self.tolerances) != self.tolerances:
            self._judge_again(judge_again(self.plan, lines, self.tolerances, result.comparison))
        self._decide()

    def answered(self, result: ScenarioFinished) -> None:
        """An engine ran a file."""
        self._end(result)
        self._decide()

    def broke(self, step: str, outcome: Outcome, reason: str, seconds: float, stderr: str | None = None) -> None:
        """A step ended without a result: its worker failed, died or ran out of time."""
        if step == MODEL:
            self.finish_all(outcome, reason, stderr)
        elif step in self._schedule.conversions:
            self._no_product(ConversionFailed(step, outcome, reason, self._commands[step], seconds, stderr))
        elif isinstance(self._schedule.left[step], PlannedScenario):
            self.answered(ScenarioFinished(step, outcome, reason, seconds=seconds, stderr=stderr))
        else:
            # What was measured until then is no result.
            self.journal.write(ComparisonStarted(step, -1))
            self.compared(ComparisonFinished(step, outcome, reason, seconds, stderr=stderr))

    def finish_all(self, outcome: Outcome, reason: str, stderr: str | None = None) -> None:
        """Give every gate that has no verdict this one."""
        for gate in tuple(self._undecided.values()):
            self._finish(gate, outcome, reason, stderr=stderr)

    def change_tolerances(self, settings: ToleranceSettings, lines: Iterable[JournalLine]) -> None:
        """Judge what was measured under other tolerances, and everything from here on.

        Args:
            settings: The tolerances.
            lines: The journal so far.
        """
        self.tolerances = settings
        self.journal.write(TolerancesChanged(settings))
        self._judge_again(judge_again(self.plan, lines, settings))

    def _judge_again(self, again: Mapping[str, list[Event]]) -> None:
        """Write comparisons that are judged again, and the verdicts that follow."""
        for events in again.values():
            for event in events:
                self.journal.write(event)
        for gate in self.plan.gates:
            if gate.gate_id not in self._undecided and not again.keys().isdisjoint(gate.comparisons):
                self._judge(gate)

    def _path(self, file: str) -> Path:
        return self._paths[file] if file in self._paths else Path(self._schedule.made[file].product)

    def _conversion_job(self, planned: PlannedConversion) -> Convert:
        assert self._converter is not None
        source, target = self._path(planned.source), FormatLetter(planned.target)
        directory = self.products.directory(planned.conversion_id)
        command = self._converter.command(source, FORMATS[target], directory, parse_output_type(planned.asked_for))
        before = self._schedule.made.get(planned.source)
        self._commands[planned.conversion_id] = (*(() if before is None else before.commands), command)
        event = self._kept.get(planned.conversion_id)
        kept = self.products.find(planned.conversion_id) if event is None else _product(event)
        return Convert(self._converter, source, target, planned.asked_for, directory, kept)

    def _no_product(self, failed: ConversionFailed) -> None:
        """Comparisons that need the product cannot run; their gates say why."""
        self.journal.write(failed)
        self.products.release(failed.conversion, None)
        for planned in self._schedule.without(failed.conversion):
            reason = f"there is no product of {failed.conversion}"
            self._end(_without_result(planned, Outcome.SKIPPED, reason, failed.conversion))
        self._decide()

    def _end(self, result: ComparisonFinished | ScenarioFinished) -> None:
        self.journal.write(result, to_disk=True)
        self._schedule.done(result.comparison if isinstance(result, ComparisonFinished) else result.scenario)
        for made in self._schedule.unneeded():
            self.stamps.forget(made.files)
            self.products.release(made.conversion, _product(made))

    def _decide(self) -> None:
        """Judge every gate whose comparisons and scenarios all have their results."""
        finished = self.journal.record.finished
        for gate in tuple(self._undecided.values()):
            if finished.issuperset(gate.steps):
                self._judge(gate)

    def _judge(self, gate: PlannedGate) -> None:
        verdict = judge_gate(self.plan, gate, self.journal.record)
        self._finish(gate, verdict.outcome, verdict.reason, dict(verdict.details), verdict.stderr)

    def _finish(
        self,
        gate: PlannedGate,
        outcome: Outcome,
        reason: str,
        details: dict[str, object] | None = None,
        stderr: str | None = None,
    ) -> None:
        record = self.journal.record
        finished = GateFinished(
            gate.gate_id,
            outcome,
            reason,
            uuid4().hex,
            gate_duration(self.plan, gate, record),
            gate_output(gate, record),
            details or {},
            stderr,
        )
        self.journal.write(finished, to_disk=True)
        self._undecided.pop(gate.gate_id, None)
        self._show(gate)

    def _show(self, gate: PlannedGate) -> None:
        self.listener.finished(evidence_entry(self.plan, gate, self.journal.record))


def _without_result(
    planned: PlannedStep, outcome: Outcome, reason: str, lacks: str = ""
) -> ComparisonFinished | ScenarioFinished:
    if isinstance(planned, PlannedScenario):
        return ScenarioFinished(planned.scenario_id, outcome, reason, lacks=lacks)
    return ComparisonFinished(planned.comparison_id, outcome, reason, lacks=lacks)


def _product(made: ConversionFinished) -> Product:
    return Product(Path(made.product), made.files, made.converter, made.seconds, made.programs)
