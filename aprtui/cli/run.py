"""`aprtui run PLAYBOOK`: conversions and their gates, evidence at the end."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import click

from aprtui.cli import options
from aprtui.cli.output import show
from aprtui.cli.playbook_text import complaint_lines
from aprtui.cli.run_listener import ShowingListener
from aprtui.convert import Converter, MissingConverter, converter_named
from aprtui.core.errors import AprtuiError, UsageError
from aprtui.core.outcomes import ExitCode, Outcome
from aprtui.core.safe_text import safe_text
from aprtui.engine.plan import Places, gates_of, make_plan, new_run_id
from aprtui.engine.run import run_plan
from aprtui.models import ResolvedModel, Wanted, resolve_model
from aprtui.playbook import Playbook, load_playbook
from aprtui.report.evidence import EvidenceEntry
from aprtui.settings import load_settings
from aprtui.store.plan import Limits
from aprtui.store.register import find_run, try_register
from aprtui.store.run_folder import RunFolder, RunState
from aprtui.store.summary import read_record, state_of

_SECONDS = click.FloatRange(min=0, min_open=True)


@click.command(name="run")
@click.argument("playbook", type=click.Path(path_type=Path), required=False)
@options.named_model
@options.revision
@click.option("--download", is_flag=True, help="Fetch the model with huggingface_hub where it is not on this machine.")
@click.option("--converter", metavar="NAME", help="Converter under test: apr (default), llama.cpp, builtin, your own.")
@click.option(
    "--output-dir",
    "--output",
    "output",
    type=click.Path(path_type=Path),
    show_default="output",
    help="Directory for evidence.json and run folders, or a path for the evidence that ends in .json.",
)
@click.option("--scratch", type=click.Path(path_type=Path), help="Directory for products; by default the run folder.")
@click.option("--timeout", type=_SECONDS, metavar="SECONDS", help="Longest time of one gate or conversion.")
@click.option("--run-timeout", type=_SECONDS, metavar="SECONDS", help="Longest time of the whole run.")
@click.option("--resume", metavar="RUN", help="Go on with a run that was interrupted; names no PLAYBOOK.")
@options.jobs
def command(
    playbook: Path | None,
    *,
    model: Path | None,
    revision: str | None,
    download: bool,
    converter: str | None,
    output: Path | None,
    scratch: Path | None,
    timeout: float | None,
    run_timeout: float | None,
    resume: str | None,
    jobs: int,
) -> int:
    """Run the six conversion pairs of a playbook and write evidence.json.

    Exit codes: 0 all pairs hold, 1 one is falsified, 2 the playbook is wrong, 3 the model cannot be read or a worker
    crashed, 4 a gate ran out of time, 5 skipped, 130 interrupted.
    """
    limits = Limits(jobs, timeout, run_timeout)
    if resume is not None:
        if download or any(given is not None for given in (playbook, model, revision, converter, output, scratch)):
            raise UsageError("--resume takes playbook, model, converter and places from the run", todo="leave them out")
        return int(resume_run(find_run(resume), limits).code)
    if playbook is None:
        raise UsageError("a playbook is missing", todo="name one, or a run with --resume")
    loaded = load_playbook(playbook)
    show_complaints(loaded)
    found = find_model(loaded, model, revision, download=download)
    if not gates_of(loaded):
        click.echo(f"{safe_text(playbook)}: no conversion pair between the formats that it names", err=True)
        return int(ExitCode.SKIPPED)
    places = run_places(loaded, output or Path("output"), scratch)
    return int(run_playbook(loaded, found, converter, places, limits).code)


def show_complaints(playbook: Playbook) -> None:
    """What has no effect, or not the effect that the playbook's author expects."""
    for line in complaint_lines(playbook):
        click.echo(line, err=True)


def find_model(
    playbook: Playbook, named: Path | None, revision: str | None = None, *, download: bool = False
) -> ResolvedModel:
    """The model of a playbook, found by its own rules (docs/models.md); says on standard error which one it is.

    Raises:
        AprtuiError: It is not on this machine; says how to get it.
        UsageError: Several snapshots fit, or the settings are wrong.
    """
    wanted = Wanted(playbook.model.hf_repo, playbook.model.local_path, named, revision)
    model = resolve_model(wanted, load_settings().model_folders, download=download)
    commit = f", commit {model.commit}" if model.commit else ""
    click.echo(f"model: {safe_text(model.path)} ({safe_text(model.how)}{safe_text(commit)})", err=True)
    return model


def run_places(playbook: Playbook, output: Path, scratch: Path | None = None) -> Places:
    """Where a new run puts things: OUTPUT/NAME/evidence.json, and beside it runs/ID."""
    is_file = output.suffix == ".json"
    folder = (output.parent if is_file else output) / playbook.name
    return Places(folder / "runs" / new_run_id(), output if is_file else folder / "evidence.json", scratch)


@dataclass(frozen=True, slots=True)
class RunResult:
    """What a run came to.

    Attributes:
        code: Its exit code.
        entries: One for each gate that has a verdict, in the order in which they ended.
    """

    code: ExitCode
    entries: tuple[EvidenceEntry, ...]


def run_playbook(
    playbook: Playbook, model: ResolvedModel, converter: str | None, places: Places, limits: Limits
) -> RunResult:
    """Run all gates with a line for each, and say where the evidence is.

    Raises:
        AprtuiError: The run folder cannot be written, or the playbook asks for what does not exist.
    """
    chosen = _converter(converter)
    plan = make_plan(playbook, model, chosen, places, limits)
    folder = RunFolder(places.folder)
    problem = try_register(folder)
    if problem is not None:
        click.echo(f"aprtui: {safe_text(problem)}", err=True)
    with ShowingListener() as listener:
        code = run_plan(plan, folder, chosen, listener)
    accepted = [
        entry.gate_id
        for entry in listener.entries
        if entry.outcome is Outcome.SKIPPED and entry.gate_id in plan.playbook.allow_skip
    ]
    if listener.entries:
        show(f"evidence: {safe_text(places.evidence)}")
    if accepted:
        click.echo(f"skips that the playbook accepts: {', '.join(accepted)}", err=True)
    if code is ExitCode.INTERRUPTED:
        click.echo(f"interrupted; `aprtui run --resume {plan.run_id}` goes on with it", err=True)
    return RunResult(code, tuple(listener.entries))


def resume_run(folder: RunFolder, limits: Limits) -> RunResult:
    """Go on with a run.

    Raises:
        UsageError: The playbook is gone or no longer fits, or the run is still going on.
    """
    plan = folder.plan()
    if state_of(folder, read_record(folder.reader().new_lines())) is RunState.ELSEWHERE:
        raise UsageError(f"this run belongs to host {folder.engine().host}", file=folder.path, todo="resume it there")
    model = ResolvedModel(Path(plan.model.path), plan.model.how, plan.model.commit, ())
    if not model.path.exists():
        raise AprtuiError("the model is gone", file=model.path)
    playbook = load_playbook(Path(plan.playbook.path))
    products = folder.path / "products"
    scratch = None if Path(plan.scratch) == products else Path(plan.scratch).parent
    places = Places(folder.path, Path(plan.evidence), scratch)
    name = None if plan.converter is None else plan.converter.name
    return run_playbook(playbook, model, name, places, limits)


def _converter(name: str | None) -> Converter | None:
    """The converter under test; one that is missing is told, and its gates are Skipped."""
    found = converter_named(name, load_settings())
    if isinstance(found, MissingConverter):
        click.echo(safe_text(found.reason), err=True)
        return None
    return found
