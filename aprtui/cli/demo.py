"""`aprtui demo`: the demo playbook on the shipped model, then the same conversion broken on purpose."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import click

from aprtui.cli.comparison_text import level_lines
from aprtui.cli.running import RunOptions, planned_run, run_planned
from aprtui.compare.comparison import Scope, compare_models
from aprtui.convert.builtin import BuiltinConverter
from aprtui.core.outcomes import ExitCode, Outcome
from aprtui.core.results import Comparison
from aprtui.core.safe_text import safe_text
from aprtui.demo import MODEL
from aprtui.faults import FAULTS, Fault, inject
from aprtui.formats.container import Format
from aprtui.formats.model import open_model
from aprtui.formats.output_types import parse_output_type
from aprtui.paths import playbooks_folder
from aprtui.playbook import load_playbook
from aprtui.store.plan import Limits

BROKEN_BY = ("weights.transposed_square", "structure.silent_q4_k", "tokenizer.pre_tokenizer_lost")
"""One fault for each question that a failed qualification leaves open: transposed? quantisation? tokenizer?"""


@click.command(name="demo")
@click.option("--headless", is_flag=True, help="Print plain lines, as the demo does without a console anyway.")
@click.option(
    "--output-dir",
    type=click.Path(path_type=Path),
    default=Path("output"),
    show_default=True,
    help="Directory for evidence.json and the run folder.",
)
def command(*, headless: bool, output_dir: Path) -> int:
    """Qualify conversions of the shipped model, then break one on purpose and show that it is found.

    Exit codes: 0 the good conversions pass and the broken ones are falsified, 1 otherwise.
    """
    del headless
    playbook = load_playbook(playbooks_folder() / "demo.playbook.yaml")
    click.echo("1. the shipped model, converted between all three formats by the built-in converter\n")
    request = RunOptions(model=MODEL, converter="builtin", output=output_dir)
    entries = run_planned(planned_run(playbook, request, Limits(min(8, os.cpu_count() or 1)))).entries
    click.echo()
    good = bool(entries) and all(entry.outcome is Outcome.CORROBORATED for entry in entries)
    click.echo("2. the same model as GGUF, broken on purpose\n")
    with tempfile.TemporaryDirectory(prefix="aprtui-") as scratch:
        found = [result.outcome is Outcome.FALSIFIED for result in _broken(Path(scratch))]
    as_promised = good and all(found)
    click.echo(f"good conversions pass: {_yes(good)}; broken ones are found: {sum(found)} of {len(found)}")
    return int(ExitCode.PASSED if as_promised else ExitCode.FALSIFIED)


def _broken(scratch: Path) -> list[Comparison]:
    """Convert once, damage copies, compare each with the source and print what was found."""
    (scratch / "good").mkdir()
    lossless = parse_output_type("lossless")
    product = BuiltinConverter().convert(MODEL, Format.GGUF, scratch / "good", lossless)
    source = open_model(MODEL)
    results = []
    for code in BROKEN_BY:
        fault = FAULTS[code]
        damaged = inject(fault, product, scratch / code, source=source)
        results.append(compare_models(source, open_model(damaged.path), Scope(asked_for=lossless)))
        _show(fault, results[-1])
    return results


def _show(fault: Fault, result: Comparison) -> None:
    click.echo(f"{fault.code}: {fault.title}")
    click.echo(f"    {click.style(safe_text(result.sentence), bold=True)}")
    for level in result.levels:
        if level.outcome is Outcome.FALSIFIED:
            for line in level_lines(level):
                click.echo(f"    {line}")
    click.echo()


def _yes(holds: bool) -> str:
    return click.style("yes", fg="green") if holds else click.style("NO", fg="red", bold=True)
