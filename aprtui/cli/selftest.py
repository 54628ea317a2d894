"""`aprtui selftest`: puts every fault into products of the shipped model and says whether it is found."""

from __future__ import annotations

import json
import tempfile
from collections import Counter
from pathlib import Path

import click

from aprtui.cli import options
from aprtui.core.errors import UsageError
from aprtui.core.outcomes import ExitCode
from aprtui.core.safe_text import safe_text
from aprtui.demo import MODEL
from aprtui.engine.selftest import Selftest, SelftestResult, Verdict
from aprtui.faults import FAULTS, Fault

_COLORS = {Verdict.FOUND: "green", Verdict.MISSED: "red", Verdict.NOT_APPLICABLE: "yellow"}
_WIDTH = max(map(len, _COLORS))


@click.command(name="selftest")
@click.option("--fault", "codes", multiple=True, metavar="CODE", help="Only this fault (repeatable). All by default.")
@options.output_format
def command(codes: tuple[str, ...], output_format: str) -> int:
    """Show that aprtui finds damaged conversions: every fault, in every format, on the model of the demo.

    Exit codes: 0 every fault was found, 1 one was missed, 2 there is no such fault.
    """
    chosen = _chosen(codes)
    results = []
    with tempfile.TemporaryDirectory(prefix="aprtui-") as scratch:
        for result in Selftest(MODEL, Path(scratch)).results(chosen):
            results.append(result)
            if output_format == "plain":
                click.echo(_line(result))
    if output_format == "json":
        click.echo(json.dumps([_as_json(result) for result in results], indent=2))
    else:
        click.echo(_summary(results))
    missed = any(result.verdict is Verdict.MISSED for result in results)
    return int(ExitCode.FALSIFIED if missed else ExitCode.PASSED)


def _chosen(codes: tuple[str, ...]) -> list[Fault]:
    unknown = [code for code in codes if code not in FAULTS]
    if unknown:
        raise UsageError(f"there is no fault {unknown[0]!r}", todo="run `aprtui selftest` without --fault for all")
    return [FAULTS[code] for code in codes] if codes else list(FAULTS.values())


def _line(result: SelftestResult) -> str:
    word = click.style(f"{result.verdict:<{_WIDTH}}", fg=_COLORS[result.verdict])
    product = f"{result.format.value} {result.product}".rstrip()
    return f"{word}  {result.fault.code:<44}  {product:<22}  {safe_text(result.reason, 120)}"


def _summary(results: list[SelftestResult]) -> str:
    counts = Counter(result.verdict for result in results)
    tried = len({result.fault.code for result in results if result.verdict is not Verdict.NOT_APPLICABLE})
    color = "red" if counts[Verdict.MISSED] else "green"
    verdict = f"{counts[Verdict.FOUND]} of {counts[Verdict.FOUND] + counts[Verdict.MISSED]} damaged copies found"
    rest = f"{counts[Verdict.NOT_APPLICABLE]} cases need a model of another kind"
    return click.style(f"{verdict} ({tried} faults)", fg=color, bold=True) + f"; {rest}"


def _as_json(result: SelftestResult) -> dict[str, object]:
    return {
        "fault": result.fault.code,
        "title": result.fault.title,
        "level": result.fault.level.value,
        "format": result.format.value,
        "product": result.product or None,
        "verdict": result.verdict.value,
        "reason": result.reason,
    }
