"""`aprtui run --dry-run`: what a run is going to do and what it will cost, without doing it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from shutil import disk_usage

from aprtui.cli.output import show
from aprtui.core.safe_text import safe_text
from aprtui.core.scenarios import MOST_TOKENS, PROMPTS, Modality
from aprtui.engine.product_store import ProductStore
from aprtui.store.plan import PlannedConversion, PlannedGate, RunPlan

_GIB = 2**30


def show_plan(plan: RunPlan) -> None:
    """Print a plan: gates that run, gates that do not and why, conversions, bytes, disk space."""
    show("\n".join(plan_lines(plan)))


def plan_lines(plan: RunPlan) -> Iterator[str]:
    """The lines of a plan."""
    converter = plan.converter
    yield f"{safe_text(plan.playbook.name)}: {len(plan.gates)} gates"
    yield f"model      {safe_text(plan.model.path)} ({safe_text(plan.model.how)})"
    for source in plan.sources:
        yield f"source     {safe_text(source.path)} ({safe_text(source.how)})"
    words = "none: every gate that needs a conversion will be Skipped"
    if converter is not None:
        words = safe_text(f"{converter.name} {converter.version} ({converter.path}, {converter.digest})")
    yield f"converter  {words}"
    yield ""
    yield "gates to run"
    yield from (f"  {_gate_line(plan, gate)}" for gate in plan.gates)
    if plan.not_planned:
        yield ""
        yield "gates not planned"
        yield from (f"  {one.gate_id:<24} {one.reason}" for one in plan.not_planned)
    yield from _engine_lines(plan)
    yield ""
    yield "conversions"
    made = why_made(plan)
    yield from (f"  {_conversion_line(one, made[one.conversion_id])}" for one in plan.conversions)
    yield ""
    yield from _cost_lines(plan)


def _engine_lines(plan: RunPlan) -> Iterator[str]:
    """Which engine runs which files, and which engines this machine lacks."""
    if not plan.scenarios:
        return
    yield ""
    count = len(plan.running.prompts or PROMPTS)
    yield f"files to run, on {count} prompt{'s' if count > 1 else ''} of at most {MOST_TOKENS} tokens each"
    for one in plan.scenarios:
        timed = f", {one.warmup} + {one.measure} runs of the first prompt" if one.is_timed else ""
        chat = ", in its chat template" if one.modality is Modality.CHAT else ""
        yield f"  {one.file:<8} {one.engine} on {one.backend}{timed}{chat}"
    yield from (f"  no {safe_text(one)}" for one in plan.engines_left_out)


def _gate_line(plan: RunPlan, gate: PlannedGate) -> str:
    count, what = len(gate.steps), "scenario" if gate.scenarios else "comparison"
    needs = "no comparison" if not count else f"{count} {what}{'s' if count > 1 else ''}"
    products = {one for step in plan.steps if step.step in gate.steps for one in step.files if ">" in one}
    skipped = " - will be Skipped" if plan.converter is None and products else ""
    return f"{gate.gate_id:<24} {gate.gate.severity}  {gate.gate.title}, {needs}{skipped}"


def why_made(plan: RunPlan) -> dict[str, str]:
    """For each conversion why the run makes it; empty where an earlier run's product is expected to serve."""
    products = ProductStore(plan)
    return {one.conversion_id: products.why_made(one.conversion_id) for one in plan.conversions}


def _conversion_line(conversion: PlannedConversion, why: str) -> str:
    size = f"about {conversion.estimated_bytes / _GIB:.2f} GiB"
    how = f"converted: {why}" if why else "reused: an earlier run's product"
    return f"{conversion.conversion_id:<16} {conversion.asked_for}, {size}, {how}"


def _cost_lines(plan: RunPlan) -> Iterator[str]:
    """Bytes to read and write and the peak on disk; estimated from the model's size and the output types."""
    sizes = {one.conversion_id: one.estimated_bytes for one in plan.conversions}
    model = {plan.model.letter: plan.model.nbytes} | {one.letter: one.nbytes for one in plan.sources}
    known = model | sizes
    read = sum(one.estimated_bytes for one in plan.comparisons) + sum(known[one.source] for one in plan.conversions)
    yield f"to read     about {read / _GIB:.2f} GiB"
    yield f"to write    about {sum(sizes.values()) / _GIB:.2f} GiB"
    free = _free_bytes(Path(plan.scratch))
    enough = "" if free >= plan.peak_bytes else " - NOT ENOUGH"
    space = f"{plan.peak_bytes / _GIB:.2f} GiB of {free / _GIB:.2f} GiB free"
    yield f"peak disk   about {space} in {safe_text(plan.scratch)}{enough}"
    yield "lossless products are estimated at the size of their source; a converter that widens types needs more"


def _free_bytes(path: Path) -> int:
    """Free space where a directory is or will be."""
    while not path.exists() and path != path.parent:
        path = path.parent
    return disk_usage(path).free
