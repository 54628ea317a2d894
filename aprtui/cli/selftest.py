"""`aprtui selftest`: puts every fault into products of the shipped model and says whether it is found and named."""

from __future__ import annotations

import json
import tempfile
from dataclasses import asdict
from pathlib import Path
from time import monotonic
from typing import Any

import click

from aprtui.cli import options
from aprtui.core.errors import UsageError
from aprtui.core.outcomes import ExitCode
from aprtui.core.safe_text import safe_text
from aprtui.demo import MODEL
from aprtui.engine.selftest import Selftest, SelftestResult, StackResult, Verdict, summarised
from aprtui.faults import FAULTS, Fault

_COLORS = {Verdict.FOUND: "green", Verdict.MISSED: "red", Verdict.NOT_APPLICABLE: "yellow"}
_WIDTH = max(map(len, _COLORS))
_SEED = 20261


@click.command(name="selftest")
@click.option("--fault", "codes", multiple=True, metavar="CODE", help="Only this fault (repeatable). All by default.")
@click.option(
    "--stacks",
    type=click.IntRange(0, 10_000),
    help="Pairs and triples of faults to try. 200 by default, none with --fault.",
)
@click.option("--seed", type=int, default=_SEED, show_default=True, help="Chooses the pairs and triples.")
@click.option("--json", "output_format", flag_value="json", help="The same as --format json.")
@options.output_format
def command(codes: tuple[str, ...], stacks: int | None, seed: int, output_format: str) -> int:
    """Show that aprtui finds and names damaged conversions: every fault, in every format, on the model of the demo.

    Exit codes: 0 every fault was found and enough are named, 1 one was missed or too few are named, 2 there is no such
    fault.
    """
    chosen = _chosen(codes)
    plain = output_format == "plain"
    started = monotonic()
    singles: list[SelftestResult] = []
    several: list[StackResult] = []
    with tempfile.TemporaryDirectory(prefix="aprtui-") as scratch:
        selftest = Selftest(MODEL, Path(scratch))
        for result in selftest.results(chosen):
            singles.append(result)
            if plain:
                click.echo(_line(result))
        for stack in selftest.stacks((0 if codes else 200) if stacks is None else stacks, seed):
            several.append(stack)
            if plain:
                click.echo(_stack_line(stack))
        alarms = [] if codes else list(selftest.false_alarms())
        products = 0 if codes else selftest.good_products
    summary = summarised(singles, several, alarms, products, monotonic() - started)
    if plain:
        click.echo(_summary_text(summary))
    else:
        report = {
            "summary": summary,
            "faults": [_as_json(result) for result in singles],
            "stacks": [asdict(stack) | {"named": stack.named} for stack in several],
            "false_alarms": [asdict(alarm) for alarm in alarms],
        }
        click.echo(json.dumps(report, indent=2))
    return int(ExitCode.PASSED if summary["passed"] else ExitCode.FALSIFIED)


def _chosen(codes: tuple[str, ...]) -> list[Fault]:
    unknown = [code for code in codes if code not in FAULTS]
    if unknown:
        raise UsageError(f"there is no fault {unknown[0]!r}", todo="run `aprtui selftest` without --fault for all")
    return [FAULTS[code] for code in codes] if codes else list(FAULTS.values())


def _line(result: SelftestResult) -> str:
    word = click.style(f"{result.verdict:<{_WIDTH}}", fg=_COLORS[result.verdict])
    product = f"{result.format.value} {result.product}".rstrip()
    line = f"{word}  {result.fault.code:<44}  {product:<22}  {safe_text(result.reason, 120)}"
    if result.verdict is Verdict.FOUND and not result.named:
        line += click.style(f"  named {', '.join(result.causes) or 'nothing'}", fg="yellow")
    return line


def _stack_line(stack: StackResult) -> str:
    word = click.style(f"{'named' if stack.named else 'unnamed':<{_WIDTH}}", fg="green" if stack.named else "red")
    line = f"{word}  {' + '.join(stack.faults)}  {stack.format.value} {stack.product}"
    return line if stack.named else f"{line}  named {', '.join(stack.causes) or 'nothing'}"


def _summary_text(summary: dict[str, Any]) -> str:
    color = "green" if summary["passed"] else "red"
    copies, faults = summary["copies"], summary["faults"]
    lines = [click.style(f"{summary['found']} of {copies} damaged copies found ({faults} faults)", fg=color, bold=True)]
    lines.append(f"{summary['named']} of {copies} named right ({_percent(summary['named'], copies)})")
    if summary["stacks"]:
        share = _percent(summary["stacks_named"], summary["stacks"])
        lines.append(
            f"{summary['stacks_named']} of {summary['stacks']} pairs and triples with all members named ({share}); "
            f"{summary['stacks_with_foreign_causes']} name something else, too"
        )
    if summary["good_products"]:
        lines.append(f"{summary['false_alarms']} false alarms in {summary['good_products']} good products")
    lines.append(f"{summary['not_applicable']} cases need a model of another kind; {summary['seconds']} s")
    return "\n".join(lines)


def _percent(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f} %" if whole else "none"


def _as_json(result: SelftestResult) -> dict[str, object]:
    return {
        "fault": result.fault.code,
        "title": result.fault.title,
        "level": result.fault.level.value,
        "format": result.format.value,
        "product": result.product or None,
        "verdict": result.verdict.value,
        "reason": result.reason,
        "causes": list(result.causes),
        "named": result.named,
        "seconds": round(result.seconds, 3),
    }
