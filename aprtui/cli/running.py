"""Runs as commands make them: model and converter found, plan made, engine run, gates shown as they end."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import click

from aprtui.cli.diagnosis_text import question_lines
from aprtui.cli.output import show
from aprtui.cli.playbook_text import complaint_lines
from aprtui.cli.run_causes_text import cause_lines
from aprtui.cli.run_listener import ShowingListener
from aprtui.convert import Converter, MissingConverter, apr_program, converter_named
from aprtui.core.errors import AprtuiError, UsageError
from aprtui.core.outcomes import ExitCode, Outcome
from aprtui.core.safe_text import safe_text
from aprtui.engine.plan import Places, Start, make_plan, new_run_id
from aprtui.engine.run import run_plan
from aprtui.engine.selection import EVERYTHING, Selection
from aprtui.models import GivenSource, ResolvedModel, Wanted, find_sources, resolve_model
from aprtui.playbook import Playbook, load_playbook
from aprtui.report.evidence import EvidenceEntry
from aprtui.settings import load_settings
from aprtui.store.plan import Limits, RunPlan
from aprtui.store.register import try_register
from aprtui.store.run_causes import run_causes
from aprtui.store.run_folder import RunFolder, RunState
from aprtui.store.summary import read_record, state_of


@dataclass(frozen=True, slots=True)
class RunOptions:
    """What a command line says about a run.

    Attributes:
        model: The model that was named, if any.
        revision: Its snapshot, if one was named.
        sources: Files that pairs start from instead of ones that the converter makes.
        download: Whether a model that is not here may be fetched.
        converter: Name of the converter under test; None for apr.
        selection: What of the playbook to run.
        output: Directory of evidence and run folders, or a file for the evidence; None for ./output.
        scratch: Where products go and stay.
        fresh: Whether what earlier runs left there is passed over.
        device: Where models are run.
    """

    model: Path | None = None
    revision: str | None = None
    sources: tuple[Path, ...] = ()
    download: bool = False
    converter: str | None = None
    selection: Selection = EVERYTHING
    output: Path | None = None
    scratch: Path | None = None
    fresh: bool = False
    device: str = "cpu"


@dataclass(frozen=True, slots=True)
class PlannedRun:
    """A run that can begin.

    Attributes:
        plan: What it is going to do.
        folder: Its folder.
        converter: The converter under test; None where it is missing.
    """

    plan: RunPlan
    folder: RunFolder
    converter: Converter | None


@dataclass(frozen=True, slots=True)
class RunResult:
    """What a run came to.

    Attributes:
        code: Its exit code.
        entries: One for each gate that has a verdict, in the order in which they ended.
    """

    code: ExitCode
    entries: tuple[EvidenceEntry, ...]


def show_complaints(playbook: Playbook) -> None:
    """What has no effect, or not the effect that the playbook's author expects."""
    for line in complaint_lines(playbook):
        click.echo(line, err=True)


def planned_run(
    playbook: Playbook, request: RunOptions, limits: Limits, converter: Converter | None = None
) -> PlannedRun:
    """Find model, sources and converter, and plan the run.

    Args:
        playbook: The playbook.
        request: What the command line says.
        limits: Resources.
        converter: In place of the one that is named.

    Raises:
        AprtuiError: The model is not on this machine; says how to get it.
        UsageError: Several snapshots fit, settings are wrong, or the playbook asks for what does not exist.
    """
    settings = load_settings()
    wanted = Wanted(playbook.model.hf_repo, playbook.model.local_path, request.model, request.revision)
    model = resolve_model(wanted, settings.model_folders, download=request.download)
    commit = f", commit {model.commit}" if model.commit else ""
    click.echo(f"model: {safe_text(model.path)} ({safe_text(model.how)}{safe_text(commit)})", err=True)
    sources = find_sources(model.path, request.sources)
    for source in sources:
        click.echo(f"source: {safe_text(source.path)} ({safe_text(source.how)})", err=True)
    start = Start(model, sources, request.device, apr_program(settings))
    found = converter or _converter(request.converter)
    return _planned(playbook, start, request, limits, places=_places(playbook, request), converter=found)


def _planned(
    playbook: Playbook,
    start: Start,
    request: RunOptions,
    limits: Limits,
    *,
    places: Places,
    converter: Converter | None,
) -> PlannedRun:
    plan = make_plan(playbook, start, converter, places=places, limits=limits, selection=request.selection)
    return PlannedRun(plan, RunFolder(places.folder), converter)


def _places(playbook: Playbook, request: RunOptions) -> Places:
    """Where a new run puts things: OUTPUT/NAME/evidence.json, and beside it runs/ID."""
    output = request.output or load_settings().output_dir
    is_file = output.suffix == ".json"
    folder = (output.parent if is_file else output) / playbook.name
    evidence = output if is_file else folder / "evidence.json"
    return Places(folder / "runs" / new_run_id(), evidence, request.scratch, request.fresh)


def run_planned(planned: PlannedRun) -> RunResult:
    """Run all gates with a line for each, and say where the evidence is.

    Raises:
        AprtuiError: The run folder cannot be written.
    """
    plan = planned.plan
    problem = try_register(planned.folder)
    if problem is not None:
        click.echo(f"aprtui: {safe_text(problem)}", err=True)
    with ShowingListener() as listener:
        code = run_plan(plan, planned.folder, planned.converter, listener)
    accepted = [
        entry.gate_id
        for entry in listener.entries
        if entry.outcome is Outcome.SKIPPED and entry.gate_id in plan.playbook.allow_skip
    ]
    if listener.entries:
        show("\n".join(_causes_of(planned)))
        show(f"evidence: {safe_text(plan.evidence)}")
    if accepted:
        click.echo(f"skips that are accepted: {', '.join(accepted)}", err=True)
    if code is ExitCode.INTERRUPTED:
        click.echo(f"interrupted; `aprtui run --resume {plan.run_id}` goes on with it", err=True)
    return RunResult(code, tuple(listener.entries))


def _causes_of(planned: PlannedRun) -> Iterator[str]:
    """The three questions, and the causes by name."""
    causes = run_causes(planned.plan, read_record(planned.folder.reader().new_lines()).comparisons)
    yield from question_lines(causes.questions)
    yield from cause_lines(causes)


def resume_run(folder: RunFolder, limits: Limits) -> RunResult:
    """Go on with a run.

    Raises:
        UsageError: The playbook is gone or no longer fits, or the run is still going on.
    """
    if folder.is_bundle:
        raise UsageError("a bundle can only be read", file=folder.path, todo="name the run's own folder")
    plan = folder.plan()
    if state_of(folder, read_record(folder.reader().new_lines())) is RunState.ELSEWHERE:
        raise UsageError(f"this run belongs to host {folder.engine().host}", file=folder.path, todo="resume it there")
    model = ResolvedModel(Path(plan.model.path), plan.model.how, plan.model.commit, ())
    if not model.path.exists():
        raise AprtuiError("the model is gone", file=model.path)
    playbook = load_playbook(Path(plan.playbook.path))
    places = Places(
        folder.path,
        Path(plan.evidence),
        Path(plan.scratch) if plan.keeps_products else None,
        plan.ignores_kept,
    )
    request = RunOptions(
        converter=None if plan.converter is None else plan.converter.name,
        selection=Selection.from_arguments(plan.selection),
    )
    sources = tuple(GivenSource.from_facts(one.letter, one.path, one.how) for one in plan.sources)
    start = Start(model, sources, plan.running.device, plan.running.apr)
    found = _converter(request.converter)
    return run_planned(_planned(playbook, start, request, limits, places=places, converter=found))


def _converter(name: str | None) -> Converter | None:
    """The converter under test; one that is missing is told, and its gates are Skipped."""
    found = converter_named(name, load_settings())
    if isinstance(found, MissingConverter):
        click.echo(safe_text(found.reason), err=True)
        return None
    return found
