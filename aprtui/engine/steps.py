"""The steps of a run: which job each one is, and what follows from its result for conversions and gates."""

from __future__ import annotations

import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any, Protocol
from uuid import uuid4

from aprtui.convert import Converter, working_directory
from aprtui.core.events import (
    ConversionFailed,
    ConversionFinished,
    ConversionStarted,
    GateFinished,
    GateStarted,
)
from aprtui.core.gates import FORMAT_NAMES, FormatLetter
from aprtui.core.outcomes import Outcome
from aprtui.engine.entry import evidence_entry
from aprtui.engine.jobs import FORMATS, CheckGate, Convert, GateCheck, Job, Measured, NoProduct, Product, ReadModel
from aprtui.engine.journal_writer import JournalWriter
from aprtui.engine.plan import Standing
from aprtui.engine.schedule import MODEL, Schedule
from aprtui.engine.workers import share
from aprtui.formats.output_types import parse_output_type
from aprtui.report.evidence import EvidenceEntry
from aprtui.store.plan import PlannedConversion, PlannedGate, RunPlan

_WORDS = {
    Outcome.FALSIFIED: "failed",
    Outcome.SKIPPED: "is not offered",
    Outcome.CRASHED: "crashed",
    Outcome.TIMEOUT: "ran out of time",
}


class Listener(Protocol):
    """Whoever shows a run while it goes on."""

    def started(self, gate: str) -> None:
        """A gate is being measured."""
        ...

    def progress(self, gate: str, done: int, total: int) -> None:
        """Bytes of a gate so far, and in all."""
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
        listener: Told about gates.
        check: How gates are checked.
    """

    def __init__(
        self, plan: RunPlan, converter: Converter | None, journal: JournalWriter, listener: Listener, check: GateCheck
    ) -> None:
        self.plan, self.journal, self.listener = plan, journal, listener
        self._converter, self._check = converter, check
        self.share = share(self.plan.limits.jobs, parallel=converter is None or converter.parallel_safe)
        self._schedule = Schedule(plan)
        self._kept: dict[str, ConversionFinished] = {}
        self._commands: dict[str, tuple[str, ...]] = {}
        self._model = Path(plan.model.path)

    def next_job(self) -> tuple[str, Job] | None:
        """The next step that can begin, as a job."""
        step = self._schedule.ready()
        if step is None:
            return None
        if step == MODEL:
            return step, ReadModel(self._model)
        if step in self._schedule.conversions:
            return step, self._conversion_job(self._schedule.conversions[step])
        gate = self._schedule.gates[step]
        source = self._model if gate.source is None else Path(self._schedule.made[gate.source].product)
        product = Path(self._schedule.made[gate.target].product)
        threads = self.share.threads
        return step, CheckGate(gate, self._model, source, product, threads, self._check)

    def begun(self, step: str, worker: int) -> None:
        """A worker has the job."""
        if step in self._schedule.conversions:
            self.journal.write(ConversionStarted(step, worker))
        elif step != MODEL:
            self.journal.write(GateStarted(step, worker))
            self.listener.started(step)

    def model_read(self, standing: Standing) -> None:
        """Gates can begin; those that stand from before are as good as new."""
        self._kept = {one: self.journal.record.products[one] for one in standing.conversions}
        for gate in standing.gates:
            self._show(self._schedule.gates[gate])
        self._schedule.model_read(standing.gates)

    def converted(self, step: str, result: Product | NoProduct) -> None:
        """A converter ended."""
        commands = self._commands[step]
        if isinstance(result, NoProduct):
            self._no_product(ConversionFailed(step, result.outcome, result.reason, commands, result.seconds))
            return
        made = ConversionFinished(
            step, str(result.path), dict(result.files), commands, result.converter, result.seconds
        )
        self.journal.write(made, to_disk=True)
        self._schedule.made[step] = made

    def measured(self, step: str, result: Measured, seconds: float) -> None:
        """A gate was measured."""
        gate = self._schedule.gates[step]
        made = self._schedule.made[gate.target]
        details = self._digests(gate) | {
            "conversion_commands": list(made.commands),
            "converter": asdict(made.converter),
            **result.details,
        }
        self._finish(
            gate, result.outcome, result.reason, output=result.output, seconds=seconds + made.seconds, details=details
        )

    def broke(self, step: str, outcome: Outcome, reason: str, seconds: float, stderr: str | None = None) -> None:
        """A step ended without a result: its worker failed, died or ran out of time."""
        if step == MODEL:
            self.finish_all(outcome, reason, stderr)
        elif step in self._schedule.conversions:
            self._no_product(ConversionFailed(step, outcome, reason, self._commands[step], seconds, stderr))
        else:
            gate = self._schedule.gates[step]
            details = self._digests(gate)
            self._finish(gate, outcome, reason, seconds=seconds, details=details, stderr=stderr)

    def finish_all(self, outcome: Outcome, reason: str, stderr: str | None = None) -> None:
        """Give every gate that has no verdict this one."""
        for gate in tuple(self._schedule.gates.values()):
            self._finish(gate, outcome, reason, stderr=stderr)

    def _conversion_job(self, planned: PlannedConversion) -> Convert:
        assert self._converter is not None
        before = None if planned.source is None else self._schedule.made[planned.source]
        source = self._model if before is None else Path(before.product)
        target, directory = FormatLetter(planned.target), self._directory(planned.conversion_id)
        command = self._converter.command(source, FORMATS[target], directory, parse_output_type(planned.asked_for))
        self._commands[planned.conversion_id] = (*(() if before is None else before.commands), command)
        event = self._kept.get(planned.conversion_id)
        kept = None if event is None else Product(Path(event.product), event.files, event.converter, event.seconds)
        return Convert(self._converter, source, target, planned.asked_for, directory, kept)

    def _directory(self, conversion: str) -> Path:
        return Path(self.plan.scratch) / conversion.replace(">", "-")

    def _discard(self, conversion: str) -> None:
        """Delete a product, and what its converter left beside it."""
        directory = self._directory(conversion)
        for path in (directory, working_directory(directory)):
            shutil.rmtree(path, ignore_errors=True)

    def _no_product(self, failed: ConversionFailed) -> None:
        """Every gate that needs the product has its verdict: it was the tested conversion, or it has no source."""
        self.journal.write(failed)
        self._discard(failed.conversion)
        self._schedule.failed[failed.conversion] = failed
        word = _WORDS[failed.outcome]
        for gate, failure in self._schedule.without_product():
            if failure.conversion == gate.target:
                outcome, reason, stderr = failed.outcome, f"the conversion {word}: {failed.reason}", failed.stderr
            else:
                source = FORMAT_NAMES[gate.gate.source]
                reason = f"no {source} source: its conversion {word}: {failed.reason}"
                outcome, stderr = Outcome.SKIPPED, None
            details = {"conversion_commands": list(failed.commands), **self._digests(gate)}
            self._finish(gate, outcome, reason, seconds=failed.seconds, details=details, stderr=stderr)

    def _digests(self, gate: PlannedGate) -> dict[str, Any]:
        """Digests of a gate's source and product, as far as they are there."""
        made = self._schedule.made
        source = self.journal.record.model_files if gate.source is None else None
        if gate.source in made:
            source = dict(made[gate.source].files)
        target = dict(made[gate.target].files) if gate.target in made else None
        known = {"source_files": source, "target_files": target}
        return {name: files for name, files in known.items() if files is not None}

    def _finish(
        self,
        gate: PlannedGate,
        outcome: Outcome,
        reason: str,
        *,
        output: str = "",
        seconds: float = 0.0,
        details: dict[str, Any] | None = None,
        stderr: str | None = None,
    ) -> None:
        milliseconds = round(seconds * 1000)
        finished = GateFinished(gate.gate_id, outcome, reason, uuid4().hex, milliseconds, output, details or {}, stderr)
        self.journal.write(finished, to_disk=True)
        self._schedule.gate_done(gate.gate_id)
        for conversion in self._schedule.unneeded():
            self._discard(conversion)
        self._show(gate)

    def _show(self, gate: PlannedGate) -> None:
        self.listener.finished(evidence_entry(self.plan, gate, self.journal.record.gates[gate.gate_id]))
