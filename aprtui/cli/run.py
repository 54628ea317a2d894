"""`aprtui run PLAYBOOK`: conversions and their gates, evidence at the end."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import click

from aprtui.cli import options
from aprtui.cli.comparison_text import outcome_word
from aprtui.cli.playbook_text import complaint_lines
from aprtui.cli.progress import progress_reporter
from aprtui.compare.weights import Progress
from aprtui.convert import Converter, MissingConverter, converter_named
from aprtui.core.gates import Gate
from aprtui.core.outcomes import ExitCode, Outcome, exit_code
from aprtui.core.safe_text import safe_text
from aprtui.engine.run import Run
from aprtui.models import ResolvedModel, Wanted, resolve_model
from aprtui.playbook import Playbook, load_playbook
from aprtui.report.evidence import EvidenceEntry, write_evidence
from aprtui.settings import load_settings


@click.command(name="run")
@click.argument("playbook", type=click.Path(path_type=Path))
@options.named_model
@options.revision
@click.option("--download", is_flag=True, help="Fetch the model with huggingface_hub where it is not on this machine.")
@click.option("--converter", metavar="NAME", help="Converter under test: apr (default), llama.cpp, builtin, your own.")
@click.option(
    "--output-dir",
    "--output",
    "output",
    type=click.Path(path_type=Path),
    default=Path("output"),
    show_default=True,
    help="Directory for evidence.json, or a path that ends in .json.",
)
@options.jobs
def command(
    playbook: Path,
    *,
    model: Path | None,
    revision: str | None,
    download: bool,
    converter: str | None,
    output: Path,
    jobs: int,
) -> int:
    """Run the six conversion pairs of a playbook and write evidence.json.

    Exit codes: 0 all pairs hold, 1 one is falsified, 2 the playbook is wrong, 3 the model cannot be read, 5 skipped.
    """
    loaded = load_playbook(playbook)
    show_complaints(loaded)
    found = find_model(loaded, model, revision, download=download)
    evidence = output if output.suffix == ".json" else output / loaded.name / "evidence.json"
    entries: list[EvidenceEntry] = []
    try:
        for entry in run_playbook(loaded, found, converter, jobs):
            entries.append(entry)
            click.echo(entry_line(entry))
    finally:
        # What was measured before an interruption is kept.
        if entries:
            write_evidence(evidence, entries)
            click.echo(f"evidence: {safe_text(evidence)}")
    if not entries:
        click.echo(f"{safe_text(playbook)}: no conversion pair between the formats that it names", err=True)
        return int(ExitCode.SKIPPED)
    accepted = [entry.gate_id for entry in entries if _skip_is_accepted(loaded, entry)]
    if accepted:
        click.echo(f"skips that the playbook accepts: {', '.join(accepted)}", err=True)
    return int(exit_code(entry.outcome for entry in entries if entry.gate_id not in accepted))


def _skip_is_accepted(playbook: Playbook, entry: EvidenceEntry) -> bool:
    return entry.outcome is Outcome.SKIPPED and entry.gate_id in playbook.settings.allow_skip


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


def run_playbook(playbook: Playbook, model: ResolvedModel, converter: str | None, jobs: int) -> Iterator[EvidenceEntry]:
    """Run all gates, with a progress bar for each; products are gone when the last entry was taken."""
    chosen = _converter(converter)
    with tempfile.TemporaryDirectory(prefix="aprtui-") as scratch, ExitStack() as bars:

        def started(gate: Gate) -> Progress:
            return bars.enter_context(progress_reporter(gate.gate_id))

        for entry in Run(playbook, model, chosen, Path(scratch), jobs=jobs).results(started):
            bars.close()
            yield entry


def entry_line(entry: EvidenceEntry) -> str:
    """One gate as a line."""
    seconds = entry.duration_ms / 1000
    return f"{outcome_word(entry.outcome)}  {entry.gate_id:<12} {seconds:6.1f} s  {safe_text(entry.reason, 300)}"


def _converter(name: str | None) -> Converter | None:
    """The converter under test; one that is missing is told, and its gates are Skipped."""
    found = converter_named(name, load_settings())
    if isinstance(found, MissingConverter):
        click.echo(safe_text(found.reason), err=True)
        return None
    return found
