"""`aprtui run PLAYBOOK...`: conversions and their gates, evidence at the end."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from glob import glob
from pathlib import Path
from typing import Any

import click

from aprtui.cli import options
from aprtui.cli.dry_run import show_plan, why_made
from aprtui.cli.output import show
from aprtui.cli.running import RunOptions, RunResult, planned_run, resume_run, run_planned, show_complaints
from aprtui.core.errors import AprtuiError, UsageError
from aprtui.core.json_values import to_json
from aprtui.core.outcomes import ExitCode, Outcome, worst_exit_code
from aprtui.core.safe_text import safe_text
from aprtui.core.scenarios import Backend
from aprtui.engine.selection import Selection, failed_of, select
from aprtui.playbook import Playbook, load_playbook
from aprtui.store.plan import Limits, RunPlan
from aprtui.store.register import find_run
from aprtui.store.summary import read_record

_SECONDS = click.FloatRange(min=0, min_open=True)


@click.command(name="run")
@click.argument("playbooks", metavar="PLAYBOOK...", nargs=-1)
@options.named_model
@options.revision
@options.sources
@click.option("--download", is_flag=True, help="Fetch the model with huggingface_hub where it is not on this machine.")
@options.converter
@options.gates
@options.pairs
@options.tensor_globs
@options.levels
@options.engines
@options.backends
@click.option("--failed-of", metavar="RUN", help="Run what failed in RUN, and the gates that share its conversions.")
@click.option("--allow-skip", multiple=True, metavar="ID", help="A gate that may be Skipped (repeatable).")
@options.output
@options.scratch
@click.option("--fresh", is_flag=True, help="Convert anew, also what an earlier run left in --scratch.")
@click.option("--timeout", type=_SECONDS, metavar="SECONDS", help="Longest time of one comparison or conversion.")
@click.option("--run-timeout", type=_SECONDS, metavar="SECONDS", help="Longest time of the whole run.")
@click.option("--resume", metavar="RUN", help="Go on with a run that was interrupted; names no PLAYBOOK.")
@click.option("--dry-run", is_flag=True, help="List gates, conversions and disk space, and run nothing.")
@options.device
@click.option("--no-gpu", is_flag=True, help="Short for --backend cpu; models run on the CPU unless --device says so.")
@options.output_format
@options.jobs
def command(playbooks: tuple[str, ...], **given: Any) -> int:  # noqa: ANN401 - click passes options by name
    """Run the gates of playbooks and write evidence.json for each.

    PLAYBOOK may be a pattern in quotes ("playbooks/**/*.yaml").

    Exit codes: 0 every gate holds, 1 one is falsified, 2 a playbook is wrong, 3 a model cannot be read or a worker
    crashed, 4 a gate ran out of time, 5 skipped, 130 interrupted. The worst of several playbooks counts.
    """
    limits = Limits(given["jobs"], given["timeout"], given["run_timeout"])
    if given["resume"] is not None:
        return int(_resume(playbooks, given, limits).code)
    request, loaded = _request(playbooks, given)
    if given["dry_run"]:
        for playbook in loaded:
            plan = planned_run(playbook, request, limits).plan
            if given["output_format"] == "json":
                show(json.dumps(to_json(plan) | {"why_made": why_made(plan)}))
            else:
                show_plan(plan)
        return int(ExitCode.PASSED)
    if given["output_format"] == "json":
        raise UsageError("--format json is for --dry-run", todo="a run's results are in its evidence.json")
    if len(loaded) == 1:
        show_complaints(loaded[0])
        result = run_planned(planned_run(loaded[0], request, limits))
        show("\n".join(_summary_lines([Ran(loaded[0], result)])))
        return int(result.code)
    return int(_run_all(loaded, request, limits))


@dataclass(frozen=True, slots=True)
class Ran:
    """A playbook and what became of it.

    Attributes:
        playbook: The playbook.
        result: The result; without entries where it could not begin.
        error: Why it could not begin.
    """

    playbook: Playbook
    result: RunResult
    error: str = ""


def _run_all(playbooks: list[Playbook], request: RunOptions, limits: Limits) -> ExitCode:
    """Several playbooks one after the other, with one summary; what stops one stops no other."""
    if request.output is not None and request.output.suffix == ".json":
        raise UsageError("several playbooks cannot share one evidence file", todo="name a directory with --output-dir")
    ran: list[Ran] = []
    for playbook in playbooks:
        click.echo(f"{safe_text(playbook.path)}", err=True)
        show_complaints(playbook)
        try:
            ran.append(Ran(playbook, run_planned(planned_run(playbook, request, limits))))
        except AprtuiError as error:
            click.echo(f"aprtui: {safe_text(error.message, limit=2000)}", err=True)
            ran.append(Ran(playbook, RunResult(error.exit_code, ()), error.problem))
        if ran[-1].result.code is ExitCode.INTERRUPTED:
            break
    show("\n".join(_summary_lines(ran)))
    return worst_exit_code(one.result.code for one in ran)


def _summary_lines(ran: list[Ran]) -> list[str]:
    """One line for each playbook: how many gates came to what."""
    return [_summary_line(one) for one in ran]


def _summary_line(ran: Ran) -> str:
    name = safe_text(ran.playbook.name)
    if ran.error:
        return f"{name}: exit {int(ran.result.code)}, {safe_text(ran.error, 300)}"
    outcomes = [entry.outcome for entry in ran.result.entries]
    counts = [(outcomes.count(outcome), outcome.value) for outcome in Outcome if outcome in outcomes]
    parts = ", ".join(f"{count} {word}" for count, word in counts) or "no gate was judged"
    return f"{name}: exit {int(ran.result.code)}, {parts}"


def _resume(playbooks: tuple[str, ...], given: dict[str, Any], limits: Limits) -> RunResult:
    allowed = ("resume", "jobs", "timeout", "run_timeout", "no_gpu", "device", "output_format")
    if playbooks or any(value for name, value in given.items() if name not in allowed):
        raise UsageError("--resume takes playbook, model, converter and places from the run", todo="leave them out")
    return resume_run(find_run(given["resume"]), limits)


def _request(names: tuple[str, ...], given: dict[str, Any]) -> tuple[RunOptions, list[Playbook]]:
    """What to run, how and which playbooks; those of --failed-of come from its run."""
    narrowed = ("gates", "pairs", "tensor_globs", "allow_skip", "levels")
    backends = (Backend.CPU.value,) if given["no_gpu"] else given["backends"]
    selection = select(*(given[name] for name in narrowed), engines=given["engines"], backends=backends)
    model, converter = given["model"], given["converter"]
    sources = given["sources"]
    if given["failed_of"] is not None:
        before, selection = _failed_of(given["failed_of"], selection)
        names = names or (before.playbook.path,)
        model = model or Path(before.model.path)
        converter = converter or (None if before.converter is None else before.converter.name)
        sources = sources or tuple(Path(one.path) for one in before.sources if one.how.startswith("given"))
    request = RunOptions(
        model=model,
        revision=given["revision"],
        sources=sources,
        download=given["download"],
        converter=converter,
        selection=selection,
        output=given["output"],
        scratch=given["scratch"],
        fresh=given["fresh"],
        device=given["device"],
    )
    return request, [load_playbook(path) for path in _paths(names)]


def _failed_of(run: str, selection: Selection) -> tuple[RunPlan, Selection]:
    folder = find_run(run)
    plan = folder.plan()
    gates = failed_of(plan, read_record(folder.reader().new_lines()))
    return plan, replace(selection, gates=(*selection.gates, *gates))


def _paths(names: tuple[str, ...]) -> list[Path]:
    """The playbooks that are meant, each once; a pattern stands for what fits it.

    Raises:
        UsageError: There is none, or nothing fits a pattern.
    """
    if not names:
        raise UsageError("a playbook is missing", todo="name one, or a run with --resume or --failed-of")
    paths: dict[Path, None] = {}
    for name in names:
        is_pattern = any(character in name for character in "*?[") and not Path(name).exists()
        found = sorted(glob(name, recursive=True)) if is_pattern else [name]  # noqa: PTH207 - absolute patterns too
        if not found:
            raise UsageError(f"no file fits {name!r}")
        paths.update((Path(one), None) for one in found)
    return list(paths)
