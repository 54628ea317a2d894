"""The engine: runs a plan with workers, writes the journal alone, and leaves evidence whatever happens.

Every gate runs whatever became of the others. What is known of a run stands in its folder.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from time import monotonic

from aprtui.convert import Converter
from aprtui.core.errors import AprtuiError
from aprtui.core.events import (
    ComparisonFinished,
    Heartbeat,
    ModelOpened,
    RunFinished,
    RunInterrupted,
    RunResumed,
    RunStarted,
    ScenarioFinished,
    WorkerDied,
)
from aprtui.core.outcomes import ExitCode, Outcome
from aprtui.core.tolerance import ToleranceSettings
from aprtui.engine.entry import evidence_entries
from aprtui.engine.interrupts import Interrupts, caught_interrupts
from aprtui.engine.jobs import Measure, ModelRead, NoProduct, Product, measure
from aprtui.engine.journal_writer import JournalWriter
from aprtui.engine.standing import Standing, what_stands
from aprtui.engine.stderr_log import StderrLog
from aprtui.engine.steps import Listener, Steps
from aprtui.engine.worker import Begun, Done, Failed, Interrupted, Progress
from aprtui.engine.worker_mark import worker_mark
from aprtui.engine.workers import Death, Said, Workers
from aprtui.engine.workspace import check_workspace
from aprtui.report.carried import carried_entries
from aprtui.report.evidence import write_evidence
from aprtui.report.junit import write_junit
from aprtui.store.plan import RunPlan
from aprtui.store.process import this_process
from aprtui.store.row_cache import write_rows
from aprtui.store.run_folder import RunFolder
from aprtui.store.summary import RunRecord, exit_code_of, run_exit_code

SECONDS_BETWEEN_HEARTBEATS = 5.0

_SECONDS_BETWEEN_LOOKS = 0.5

_NO_CONVERTER = (
    "no converter: the one under test is not on this machine; --converter names another (builtin has all formats)"
)


def run_plan(
    plan: RunPlan,
    folder: RunFolder,
    converter: Converter | None,
    listener: Listener,
    *,
    how: Measure = measure,
) -> ExitCode:
    """Run a plan; where the folder holds the beginning of this run, go on with it.

    Args:
        plan: What to do.
        folder: The run folder; made where it is not there.
        converter: The converter under test; None skips every gate that needs a conversion.
        listener: Told about comparisons and gates as they begin and end.
        how: How comparisons are done.

    Raises:
        UsageError: Another engine is working on this run.
        AprtuiError: The run folder cannot be written.
    """
    try:
        folder.path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        problem = f"the run folder cannot be made: {error.strerror}"
        raise AprtuiError(problem, file=folder.path, todo="name another directory with --output-dir") from None
    journal = JournalWriter(folder)
    try:
        is_resumed = journal.record.last is not None
        standing = what_stands(folder.plan(), plan, journal.record) if is_resumed else Standing()
        folder.write_plan(plan)
        engine = this_process()
        folder.write_engine(engine)
        folder.take_reason_to_stop()  # Of an engine that was killed before it could tell.
        worker_mark(folder.path).end_processes()
        journal.write(RunStarted(engine.host, engine.pid, is_resumed))
        with caught_interrupts() as interrupts:
            steps = Steps(plan, converter, journal, listener, how)
            return _Attempt(folder, steps, standing, interrupts).run()
    finally:
        journal.close()


class _Attempt:
    """One engine's work on a run, from its start to its end.

    Args:
        folder: The run folder.
        steps: What there is to do.
        standing: What may be taken over from before.
        interrupts: Signals.
    """

    def __init__(self, folder: RunFolder, steps: Steps, standing: Standing, interrupts: Interrupts) -> None:
        self._folder, self._steps, self._standing, self._interrupts = folder, steps, standing, interrupts
        self._plan, self._journal = steps.plan, steps.journal
        limits = self._plan.limits
        self._log = StderrLog(folder.stderr)
        self._workers = Workers(folder.path, steps.share.workers, limits.gate_seconds, self._log.write)
        self._last_beat = monotonic()
        self._run_ends = None if limits.run_seconds is None else monotonic() + limits.run_seconds
        self._interruption: str | None = None
        self._changed = ""

    def run(self) -> ExitCode:
        """Work until every gate has a verdict, or somebody interrupts."""
        try:
            self._work()
        except BaseException as error:
            with suppress(AprtuiError):
                self._journal.write(RunInterrupted(f"the engine failed: {type(error).__name__}: {error}"))
            raise
        finally:
            self._workers.end()
            self._log.close()
            self._write_evidence()
        if self._interruption is not None:
            self._journal.write(RunInterrupted(self._interruption), to_disk=True)
            return ExitCode.INTERRUPTED
        self._steps.products.close()
        code = run_exit_code(self._plan, self._journal.record.verdicts().values())
        self._journal.write(RunFinished(int(code)), to_disk=True)
        write_rows(self._folder)
        return code

    def _work(self) -> None:
        while True:
            while self._workers.has_room and (begun := self._steps.next_job()) is not None:
                step, job = begun
                self._steps.begun(step, self._workers.begin(step, job))
            if not self._workers.busy:
                return
            for happened in self._workers.events(self._patience(), self._interrupts):
                self._died(happened) if isinstance(happened, Death) else self._heard(happened)
            if self._interrupts.received is not None:
                reason = self._folder.take_reason_to_stop()
                self._interruption = reason or f"it was interrupted by {self._interrupts.received}"
            if self._interruption is not None:
                return
            self._beat()
            self._look_for_tolerances()
            if self._changed:
                self._give_up(Outcome.CRASHED, self._changed)
                return
            if self._run_ends is not None and monotonic() >= self._run_ends:
                limit = f"{self._plan.limits.run_seconds:g} s"
                self._give_up(Outcome.TIMEOUT, f"the run's time limit of {limit} was reached")
                return

    def _give_up(self, outcome: Outcome, reason: str) -> None:
        self._workers.end()
        self._steps.finish_all(outcome, reason)

    def _heard(self, said: Said) -> None:
        worker, step, message = said.worker, said.step, said.message
        if isinstance(message, Begun):
            worker.has_begun()
        elif isinstance(message, Progress):
            self._steps.listener.progress(step, message.done, message.total)
        elif isinstance(message, Interrupted):
            self._interruption = "a worker was interrupted"
        elif isinstance(message, Done | Failed):
            worker.step = None
            self._ended(step, message, worker.seconds)
        else:
            self._journal.write(message)

    def _ended(self, step: str, message: Done | Failed, seconds: float) -> None:
        self._changed = self._changed or self._steps.stamps.changed()
        if isinstance(message, Failed):
            self._steps.broke(step, Outcome.CRASHED, message.reason, seconds)
        elif self._changed and isinstance(message.result, ComparisonFinished | ScenarioFinished):
            self._steps.broke(step, Outcome.CRASHED, self._changed, seconds)
        elif isinstance(message.result, ModelRead):
            self._model_read(message.result)
        elif isinstance(message.result, Product | NoProduct):
            self._steps.converted(step, message.result)
        elif isinstance(message.result, ScenarioFinished):
            self._steps.answered(message.result)
        else:
            assert isinstance(message.result, ComparisonFinished)
            self._steps.compared(message.result, self._folder.reader().new_lines())

    def _died(self, death: Death) -> None:
        self._journal.write(WorkerDied(death.worker, death.pid, death.step, death.reason, death.last_lines))
        outcome = Outcome.TIMEOUT if death.timed_out else Outcome.CRASHED
        reason = death.reason if death.timed_out else f"the worker died: {death.reason}"
        self._steps.broke(death.step, outcome, reason, death.seconds, "\n".join(death.last_lines) or None)

    def _model_read(self, read: ModelRead) -> None:
        """Verdicts and products from before stand only if they are about this very model."""
        before, standing = self._journal.record.opened, self._standing
        opened = ModelOpened(read.files, read.sources)
        if before is not None and before != opened:
            standing = Standing(reason="the model changed")
        self._journal.write(opened)
        if before is not None:
            self._journal.write(RunResumed(standing.gates, standing.reason, standing.comparisons, standing.scenarios))
        workspace = check_workspace(self._plan)
        self._journal.write(workspace)
        self._steps.model_read(standing)
        if self._plan.converter is None:
            self._steps.without_conversions(Outcome.SKIPPED, _NO_CONVERTER)
        elif workspace.problem:
            self._steps.without_conversions(Outcome.CRASHED, workspace.problem)

    def _look_for_tolerances(self) -> None:
        """Somebody may have changed the playbook's tolerances while the run goes on."""
        asked = self._folder.asked_tolerances()
        if asked is not None:
            self._folder.tolerances_taken()
            self._steps.change_tolerances(asked, self._folder.reader().new_lines())

    def _patience(self) -> float:
        """Seconds until there is something to do even if nothing happens."""
        now = monotonic()
        until_beat = min(self._last_beat + SECONDS_BETWEEN_HEARTBEATS - now, _SECONDS_BETWEEN_LOOKS)
        return until_beat if self._run_ends is None else min(until_beat, self._run_ends - now)

    def _beat(self) -> None:
        """Now and then say that the run lives, and write the verdicts so far: a killed engine writes no evidence."""
        now = monotonic()
        if now - self._last_beat >= SECONDS_BETWEEN_HEARTBEATS:
            self._last_beat = now
            self._journal.write(Heartbeat(tuple(worker.step for worker in self._workers.busy if worker.step)))
            if entries := evidence_entries(self._plan, self._journal.record):
                write_evidence(self._folder.evidence, entries)

    def _write_evidence(self) -> None:
        """In the run folder, and where the user looks for it; nothing where there is no verdict."""
        publish_evidence(self._plan, self._folder, self._journal.record)


def publish_evidence(plan: RunPlan, folder: RunFolder, record: RunRecord) -> None:
    """Write the evidence in the run folder and where the user looks for it; nothing where there is no verdict.

    A run of a part of the gates keeps what earlier runs found about the others, as far as that still stands.
    """
    entries = evidence_entries(plan, record)
    if not entries:
        return
    path = Path(plan.evidence)
    is_part = "--gate" in plan.selection
    own = {entry.gate_id for entry in entries}
    carried = carried_entries(path, own, entries[0]) if is_part else []
    write_evidence(folder.evidence, entries)
    write_evidence(path, entries, carried)
    for evidence in (folder.evidence, path):
        write_junit(_junit_beside(evidence), entries)


def _junit_beside(evidence: Path) -> Path:
    """junit.xml for evidence.json, NAME.junit.xml for NAME.json."""
    return evidence.with_name("junit.xml" if evidence.stem == "evidence" else f"{evidence.stem}.junit.xml")


def rejudge_run(folder: RunFolder, settings: ToleranceSettings, listener: Listener) -> ExitCode:
    """Judge a run that nobody works on under other tolerances; its evidence follows.

    Args:
        folder: The run.
        settings: The tolerances that hold now.
        listener: Told about gates whose verdicts were given again.

    Raises:
        UsageError: An engine is working on it.
        AprtuiError: The run folder cannot be read or written.
    """
    plan, journal = folder.plan(), JournalWriter(folder)
    try:
        end = journal.record.end
        steps = Steps(plan, None, journal, listener, measure)
        steps.decided_before()
        steps.change_tolerances(settings, folder.reader().new_lines())
        publish_evidence(plan, folder, journal.record)
        if not isinstance(end, RunFinished):
            return exit_code_of(journal.record)
        code = run_exit_code(plan, journal.record.verdicts().values())
        journal.write(RunFinished(int(code)), to_disk=True)
        write_rows(folder)
        return code
    finally:
        journal.close()
