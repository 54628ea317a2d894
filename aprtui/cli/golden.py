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
from aprtui.core.errors import AprtuiError, FormatError, UsageError
from aprtui.core.findings import Finding, judge_level
from aprtui.core.json_values import to_json
from aprtui.core.outcomes import ExitCode, Level, Outcome, exit_code
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

    Its tokenizer has to make these ids of the texts of FILE.

    Exit codes: 0 as the source does, 1 otherwise (also where PRODUCT cannot be read), 3 it cannot be run here.
    """
    _require_runtime()
    from aprtui.compare.token_ids import stored_ids_level  # noqa: PLC0415
    from aprtui.inference.golden import compare_with_golden  # noqa: PLC0415

    try:
        target = open_model(product)
    except FormatError as error:
        return _no_model(error, output_format)
    try:
        facts, behaviour = compare_with_golden(file, target, device=device)
    except NotAModelError as error:
        return _no_model(error, output_format)
    judgement, level, ids = judge_logits(behaviour), judge_behaviour(behaviour), stored_ids_level(facts.encoded, target)
    # Ids that nobody can make leave the logits judged as they are.
    outcomes = [level.outcome, *([] if ids.outcome is Outcome.SKIPPED else [ids.outcome])]
    if output_format == "json":
        parts = {"golden": facts, "judgement": judgement, "level": level, "tokenizer": ids, "behaviour": behaviour}
        whole = {name: to_json(part) for name, part in parts.items()}
        show(json.dumps(whole, indent=2, allow_nan=False))
    else:
        worst = max(outcomes, key=lambda outcome: outcome is Outcome.FALSIFIED)
        lines = [f"{outcome_word(worst)}  {safe_text(judgement.measured, 400)}"]
        lines += [f"      {safe_text(judgement.rule, 400)}"]
        failures = [*level.failures, *ids.failures]
        lines += [f"      {safe_text(finding.message, 400)}" for finding in failures if finding.subject != "logits"]
        lines += [f"      not checked: {safe_text(part, 400)}" for part in (*level.not_checked, *ids.not_checked)]
        lines += ["", *behaviour_lines(behaviour)]
        show("\n".join(lines))
    return int(exit_code(outcomes))


def _no_model(error: AprtuiError, output_format: str) -> int:
    """A product that cannot be read, or whose files make no model, is a finding."""
    if output_format == "json":
        finding = Finding(Level.BEHAVIOUR, "model", error.message, expected="a model that runs", found="none")
        level = to_json(judge_level(Level.BEHAVIOUR, [finding], checked=1))
        show(json.dumps({"level": level, "behaviour": None}, indent=2, allow_nan=False))
    else:
        show(f"NOT EQUIVALENT: {safe_text(error.message, 2000)}")
    return int(ExitCode.FALSIFIED)


def _require_runtime() -> None:
    absent = missing_runtime()
    if absent is not None:
        raise CannotRunError(absent)
