"""`aprtui show RUN`: verdicts from the journal alone; models need not be there any more."""

from __future__ import annotations

from collections.abc import Iterator

import click

from aprtui.cli.comparison_text import level_lines, outcome_word
from aprtui.cli.diagnosis_text import question_lines
from aprtui.cli.output import show
from aprtui.cli.run_causes_text import cause_lines
from aprtui.core.gates import GateFamily
from aprtui.core.outcomes import Outcome
from aprtui.core.safe_text import safe_text
from aprtui.store.bundle import BundleFacts
from aprtui.store.plan import PlannedGate, RunPlan
from aprtui.store.register import find_run
from aprtui.store.run_causes import run_causes
from aprtui.store.run_folder import RunFolder, RunState
from aprtui.store.summary import RunRecord, exit_code_of, read_record, state_of


@click.command(name="show")
@click.argument("run")
def command(run: str) -> int:
    """Show what RUN, the id or the folder of a run or a bundle, has come to.

    Exit codes: 0 every gate holds, else the run's own; 130 interrupted, 3 still running or its engine died.
    """
    folder = find_run(run)
    reader = folder.reader()
    record = read_record(reader.new_lines())
    show("\n".join(run_lines(folder, folder.plan(), record)))
    if reader.passed_over:
        click.echo(f"{reader.passed_over} damaged or unknown lines were passed over", err=True)
    return int(exit_code_of(record))


def run_lines(folder: RunFolder, plan: RunPlan, record: RunRecord) -> Iterator[str]:
    """The run, then its gates with the levels that failed."""
    state = state_of(folder, record)
    yield f"{plan.run_id}  {state}  {safe_text(plan.playbook.name)}"
    yield f"model      {safe_text(plan.model.path)}"
    converter = plan.converter
    yield f"converter  {'none' if converter is None else safe_text(f'{converter.name} {converter.version}')}"
    if folder.is_bundle:
        facts = BundleFacts.of(folder)
        yield f"bundled    {safe_text(facts.made)} on {safe_text(facts.host)}"
    else:
        yield f"folder     {safe_text(folder.path)}"
    if record.end is None and state is RunState.DIED:
        yield f"its engine died; `aprtui run --resume {plan.run_id}` goes on"
    yield ""
    causes = run_causes(plan, record.comparisons)
    yield from question_lines(causes.questions)
    yield ""
    for gate in plan.gates:
        yield from gate_lines(gate, record)
    yield from cause_lines(causes)


def gate_lines(gate: PlannedGate, record: RunRecord) -> Iterator[str]:
    """One gate; where it is falsified, the levels of its comparisons that failed."""
    if gate.gate_id not in record.gates:
        started = any(one in record.comparisons or one in record.scenarios for one in gate.steps)
        yield f"{'…' if started else '-':<4}  {gate.gate_id:<22} {'being measured' if started else 'no verdict'}"
        return
    finished, _ = record.gates[gate.gate_id]
    line = f"{outcome_word(finished.outcome)}  {gate.gate_id:<22} {finished.duration_ms / 1000:6.1f} s"
    yield f"{line}  {safe_text(finished.reason, 300)}"
    if finished.outcome is Outcome.FALSIFIED and gate.gate.family is not GateFamily.CONTENT:
        for comparison in gate.comparisons:
            yield from _failed_levels(comparison, record)
    for text in (finished.stderr or "").splitlines():
        yield f"      | {safe_text(text)}"


def _failed_levels(comparison: str, record: RunRecord) -> Iterator[str]:
    found = record.comparisons.get(comparison)
    failed = [] if found is None else [level for level in found.levels if level.outcome is Outcome.FALSIFIED]
    if failed:
        yield f"      {safe_text(comparison)}"
    for level in failed:
        for text in level_lines(level):
            yield f"      {text}"
