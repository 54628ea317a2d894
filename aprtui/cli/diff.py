"""`aprtui diff A B`: compare two models and say in one sentence what is true."""

from __future__ import annotations

import json
from pathlib import Path

import click

from aprtui.cli import options
from aprtui.cli.comparison_text import comparison_lines
from aprtui.cli.output import show
from aprtui.cli.progress import progress_reporter
from aprtui.compare.behaviour import BehaviourSettings
from aprtui.compare.comparison import STATIC_LEVELS, Scope, compare_models
from aprtui.compare.unreadable import unreadable_target
from aprtui.core.diagnosis import Diagnosis
from aprtui.core.errors import FormatError
from aprtui.core.outcomes import Level
from aprtui.core.results import Comparison
from aprtui.formats.model import Model, open_model
from aprtui.formats.output_types import parse_output_type
from aprtui.report.comparison_json import comparison_to_json, diagnosis_to_json
from aprtui.report.diagnosis_markdown import markdown_lines


@click.command(name="diff")
@click.argument("a", type=click.Path(path_type=Path))
@click.argument("b", type=click.Path(path_type=Path))
@options.levels
@options.tensor_globs
@options.outtype
@options.prompts
@options.tokens
@options.device
@options.jobs
@click.option(
    "--format",
    "output_format",
    type=click.Choice(["plain", "json", "markdown"]),
    default="plain",
    show_default=True,
    help="How the result is written to standard output; markdown is an issue text.",
)
def command(
    *,
    a: Path,
    b: Path,
    levels: tuple[str, ...],
    tensor_globs: tuple[str, ...],
    outtype: str | None,
    prompts: tuple[str, ...],
    tokens: int,
    device: str,
    jobs: int,
    output_format: str,
) -> int:
    """Compare model B with its source A and name the causes of what differs.

    A and B are files or directories of SafeTensors, GGUF or APR.

    Exit codes: 0 equivalent, 1 a level is falsified (or B cannot be read), 3 A cannot be read, 5 a level was skipped.
    """
    scope = Scope(
        levels=tuple(Level) if "all" in levels else tuple(Level(level) for level in levels) or STATIC_LEVELS,
        tensor_globs=tensor_globs,
        asked_for=parse_output_type(outtype) if outtype else None,
        jobs=jobs,
        prompts=prompts,
        running=BehaviourSettings(device, tokens),
    )
    result, diagnosis = run_diff(a, b, scope)
    if output_format == "json":
        report = comparison_to_json(result) | {"diagnosis": diagnosis_to_json(diagnosis)}
        show(json.dumps(report, indent=2, allow_nan=False))
    elif output_format == "markdown":
        show("\n".join(markdown_lines(result, diagnosis)))
    else:
        show("\n".join(comparison_lines(result, diagnosis)))
    return int(result.exit_code)


def run_diff(a: Path, b: Path, scope: Scope) -> tuple[Comparison, Diagnosis]:
    """Open both models, compare them and explain what fails; a target that cannot be read is a finding, no error."""
    source = open_model(a)
    try:
        target = open_model(b)
    except FormatError as error:
        return _unreadable(source, b, error)
    with progress_reporter("comparing") as progress:
        result = compare_models(source, target, scope, progress)
    from aprtui.diagnose import diagnose, with_logits  # noqa: PLC0415 - takes longer to import than `--help` may

    explained = diagnose(source, target, result, scope)
    return result, with_logits(source, target, explained, result.behaviour, scope)


def _unreadable(source: Model, path: Path, error: FormatError) -> tuple[Comparison, Diagnosis]:
    from aprtui.diagnose import diagnose_file  # noqa: PLC0415 - as above

    result = unreadable_target(source, path, error)
    return result, diagnose_file(result, path)
