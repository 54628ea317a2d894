"""`aprtui compare RUN RUN`: what changed from one run to the next, from their journals alone."""

from __future__ import annotations

import json
from collections.abc import Iterator

import click

from aprtui.cli import options
from aprtui.cli.comparison_text import outcome_word
from aprtui.cli.output import show
from aprtui.core.json_values import to_json
from aprtui.core.outcomes import ExitCode, Outcome
from aprtui.core.safe_text import safe_text
from aprtui.store.register import find_run
from aprtui.store.run_comparison import (
    ComparedGate,
    GateChange,
    LevelFlip,
    RunComparison,
    TensorFlip,
    TensorState,
    compare_runs,
)

_TENSORS_SHOWN = 20


@click.command(name="compare")
@click.argument("before", metavar="RUN")
@click.argument("after", metavar="RUN")
@click.option("--exit-code", is_flag=True, help="Exit with 1 where a gate broke.")
@options.output_format
def command(*, before: str, after: str, exit_code: bool, output_format: str) -> int:
    """Show what changed from the first RUN to the second: gates fixed and broken, and which tensors flipped.

    RUN is the id or the folder of a run, or a bundle; models need not be there any more.

    Exit codes: 0 compared, 1 a gate broke (only with --exit-code), 2 there is no such run, 3 a run cannot be read.
    """
    comparison = compare_runs(find_run(before), find_run(after))
    if output_format == "json":
        show(json.dumps(to_json(comparison), indent=2, allow_nan=False))
    else:
        show("\n".join(comparison_lines(comparison)))
    if comparison.passed_over:
        click.echo(f"{comparison.passed_over} damaged or unknown lines were passed over", err=True)
    broke = bool(comparison.with_change(GateChange.BROKEN))
    return int(ExitCode.FALSIFIED if exit_code and broke else ExitCode.PASSED)


def comparison_lines(comparison: RunComparison) -> Iterator[str]:
    """How many gates changed and how, what was different, each gate that changed; then levels and tensors."""
    counts = [(len(comparison.with_change(change)), change) for change in GateChange]
    yield f"{safe_text(comparison.before)} to {safe_text(comparison.after)}"
    yield ", ".join(f"{count} {change}" for count, change in counts if count) or "no gate has a verdict in either run"
    for one in comparison.circumstances:
        yield f"another {one.what}: {safe_text(one.before)}, now {safe_text(one.after)}"
    for change in GateChange:
        gates = comparison.with_change(change)
        if gates and change is not GateChange.UNCHANGED:
            yield from ("", click.style(f"gates {change}", bold=True))
            yield from (_gate_line(gate, comparison) for gate in gates)
    if comparison.levels:
        yield from ("", click.style("levels that changed", bold=True))
        yield from map(_level_line, comparison.levels)
    if comparison.tensors:
        yield from ("", click.style("tensors that flipped", bold=True))
        for flip in comparison.tensors[:_TENSORS_SHOWN]:
            yield from _tensor_lines(flip)
    if len(comparison.tensors) > _TENSORS_SHOWN:
        yield f"… {len(comparison.tensors) - _TENSORS_SHOWN} more (--format json lists all)"


def _gate_line(gate: ComparedGate, comparison: RunComparison) -> str:
    reason = gate.reason_before if gate.after is None else gate.reason_after
    flipped = len(comparison.tensors_of(gate))
    tensors = f" ({flipped} tensor{'s' if flipped > 1 else ''} flipped)" if flipped else ""
    return f"{_words(gate.before, gate.after)}  {safe_text(gate.gate):<22}  {safe_text(reason, 300)}{tensors}"


def _words(before: Outcome | None, after: Outcome | None) -> str:
    return " > ".join("-   " if outcome is None else outcome_word(outcome) for outcome in (before, after))


def _level_line(flip: LevelFlip) -> str:
    failures = f"{flip.failures_before} findings failed, now {flip.failures_after}"
    return f"{_words(flip.before, flip.after)}  {safe_text(flip.comparison)}  {flip.level}: {failures}"


def _tensor_lines(flip: TensorFlip) -> Iterator[str]:
    yield f"{_words(flip.before.outcome, flip.after.outcome)}  {safe_text(flip.comparison)}  {safe_text(flip.name)}"
    yield f"      before  {_state_text(flip.before)}"
    yield f"      now     {_state_text(flip.after)}"


def _state_text(state: TensorState) -> str:
    return f"{safe_text(state.sentence)}; NMSE {state.nmse:.2e}, max |error| {state.max_abs:.3g}"
