"""`aprtui golden`: keep what a source does, and compare a product with it where the source is not at hand."""

from __future__ import annotations

import json
from pathlib import Path

import click

from aprtui.cli import options
from aprtui.cli.comparison_text import outcome_word
from aprtui.cli.output import show
from aprtui.core.behaviour_judgement import judge_logits
from aprtui.core.behaviour_level import judge_behaviour
from aprtui.core.errors import UsageError
from aprtui.core.json_values import to_json
from aprtui.core.outcomes import ExitCode, exit_code
from aprtui.core.safe_text import safe_text
from aprtui.formats.container import Format
from aprtui.formats.model import open_model
from aprtui.formats.output_types import parse_output_type
from aprtui.inference.errors import CannotRunError, NotAModelError, missing_runtime
from aprtui.report.behaviour_text import behaviour_lines

_FORMATS = {"safetensors": Format.SAFETENSORS, "gguf": Format.GGUF, "apr": Format.APR}


@click.group(name="golden")
def command() -> None:
    """Keep a model's logits in a file, and compare products with them later, without the model.

    Exit codes: 0 saved, or the product does as the source did, 1 it does not, 3 it cannot be run here, 5 there is
    nothing to judge by.
    """


@command.command(name="save")
@click.argument("model", type=click.Path(path_type=Path))
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--to", "target", type=click.Choice(list(_FORMATS)), help="Format of the products to be compared.")
@options.outtype
@options.prompts
@options.device
def save(
    *, model: Path, file: Path, target: str | None, outtype: str | None, prompts: tuple[str, ...], device: str
) -> int:
    """Run MODEL and keep its logits in FILE.

    With --to and --outtype the loss that an honest conversion has is kept beside them; without, a product passes only
    where its logits are equal bit for bit.
    """
    if (target is None) != (outtype is None):
        raise UsageError("--to and --outtype belong together", todo="name both or neither")
    _require_runtime()
    from aprtui.inference.golden import save_golden  # noqa: PLC0415

    product = (_FORMATS[target], parse_output_type(outtype)) if target is not None and outtype is not None else None
    facts = save_golden(open_model(model), file, prompts=prompts, device=device, product=product)
    positions = sum(map(len, facts.ids))
    show(f"{safe_text(file)}: logits at {positions} positions of {len(facts.texts)} texts, {safe_text(facts.how)}")
    return int(ExitCode.PASSED)


@command.command(name="compare")
@click.argument("file", type=click.Path(path_type=Path))
@click.argument("product", type=click.Path(path_type=Path))
@options.device
@options.output_format
def compare(*, file: Path, product: Path, device: str, output_format: str) -> int:
    """Run PRODUCT on the token ids of FILE and judge its logits, and what it would say behind each token.

    Exit codes: 0 as the source does, 1 otherwise, 3 it cannot be run here.
    """
    _require_runtime()
    from aprtui.inference.golden import compare_with_golden  # noqa: PLC0415

    target = open_model(product)
    try:
        facts, behaviour = compare_with_golden(file, target, device=device)
    except NotAModelError as error:
        show(f"NOT EQUIVALENT: {safe_text(error.message)}")
        return int(ExitCode.FALSIFIED)
    judgement, level = judge_logits(behaviour), judge_behaviour(behaviour)
    if output_format == "json":
        parts = {"golden": facts, "judgement": judgement, "level": level, "behaviour": behaviour}
        whole = {name: to_json(part) for name, part in parts.items()}
        show(json.dumps(whole, indent=2, allow_nan=False))
    else:
        lines = [f"{outcome_word(level.outcome)}  {safe_text(judgement.measured, 400)}"]
        lines += [f"      {safe_text(judgement.rule, 400)}"]
        lines += [f"      {safe_text(finding.message, 400)}" for finding in level.failures if finding.subject == "text"]
        lines += ["", *behaviour_lines(behaviour)]
        show("\n".join(lines))
    return int(exit_code([level.outcome]))


def _require_runtime() -> None:
    absent = missing_runtime()
    if absent is not None:
        raise CannotRunError(absent)
