"""`aprtui demo`: the demo playbook on the shipped model, then the same conversion broken on purpose."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import click

from aprtui.cli.broken_converter import BrokenConverter
from aprtui.cli.comparison_text import level_lines
from aprtui.cli.console import ConsoleArguments, has_terminal, open_console
from aprtui.cli.running import RunOptions, planned_run, run_planned
from aprtui.compare.comparison import Scope, compare_models
from aprtui.convert.builtin import BuiltinConverter
from aprtui.core.outcomes import ExitCode, Outcome
from aprtui.core.results import Comparison
from aprtui.core.safe_text import safe_text
from aprtui.demo import MODEL
from aprtui.engine.selection import select
from aprtui.faults import FAULTS, Fault, inject
from aprtui.formats.container import Format
from aprtui.formats.model import open_model
from aprtui.formats.output_types import parse_output_type
from aprtui.paths import playbooks_folder
from aprtui.playbook import Playbook, load_playbook
from aprtui.store.plan import Limits

BROKEN_BY = ("weights.transposed_square", "structure.silent_q4_k", "tokenizer.pre_tokenizer_lost")
"""One fault for each question that a failed qualification leaves open: transposed? quantisation? tokenizer?"""

BROKEN_TOGETHER = ("weights.transposed_square", "tokenizer.pre_tokenizer_lost")
"""Faults of the run that the console shows; they damage different things, so that none hides the other."""


@click.command(name="demo")
@click.option("--headless", is_flag=True, help="Print plain lines only.")
@click.option(
    "--output-dir",
    type=click.Path(path_type=Path),
    default=Path("output"),
    show_default=True,
    help="Directory for evidence.json and the run folder.",
)
def command(*, headless: bool, output_dir: Path) -> int:
    """Qualify conversions of the shipped model, then break one on purpose and show that it is found.

    In a terminal it ends in the console, on a run that fails.

    Exit codes: 0 the good conversions pass and the broken ones are falsified, 1 otherwise.
    """
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
    if as_promised and not headless and has_terminal():
        return _show_failing_run(playbook, output_dir)
    return int(ExitCode.PASSED if as_promised else ExitCode.FALSIFIED)


def _show_failing_run(playbook: Playbook, output_dir: Path) -> int:
    """The same playbook through a converter with faults, and the console on that run."""
    click.echo("\n3. the playbook again, through a converter with two of these faults; the console shows it\n")
    # Products stay for as long as the console: the detail of a tensor reads them.
    with tempfile.TemporaryDirectory(prefix="aprtui-") as scratch:
        request = RunOptions(
            model=MODEL, selection=select((), ("S-G",), (), ()), output=output_dir / "broken", scratch=Path(scratch)
        )
        limits = Limits(min(8, os.cpu_count() or 1))
        planned = planned_run(playbook, request, limits, BrokenConverter(BROKEN_TOGETHER))
        run_planned(planned)
        return open_console(ConsoleArguments(run=planned.folder.path.absolute()))


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
