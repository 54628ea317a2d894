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
from aprtui.core.errors import FormatError
from aprtui.core.outcomes import Level
from aprtui.core.results import Comparison
from aprtui.formats.model import open_model
from aprtui.formats.output_types import parse_output_type
from aprtui.report.comparison_json import comparison_to_json


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
@options.output_format
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
    """Compare model B with its source A: files or directories of SafeTensors, GGUF or APR.

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
    result = run_diff(a, b, scope)
    if output_format == "json":
        show(json.dumps(comparison_to_json(result), indent=2, allow_nan=False))
    else:
        show("\n".join(comparison_lines(result)))
    return int(result.exit_code)


def run_diff(a: Path, b: Path, scope: Scope) -> Comparison:
    """Open both models and compare them; a target that cannot be read is a finding, not an error."""
    source = open_model(a)
    try:
        target = open_model(b)
    except FormatError as error:
        return unreadable_target(source, b, error)
    with progress_reporter("comparing") as progress:
        return compare_models(source, target, scope, progress)
