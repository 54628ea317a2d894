"""`aprtui tensor RUN COMPARISON NAME`: one tensor of a run, read again: where it is off, and what its blocks hold."""

from __future__ import annotations

import json
import re
from dataclasses import fields
from typing import Any

import click

from aprtui.cli import options
from aprtui.cli.output import show
from aprtui.cli.tensor_text import tensor_lines
from aprtui.compare.tensor_block import BlockDetail, StoredParts
from aprtui.compare.tensor_detail import Asked, SideDetail, TensorDetail, tensor_detail
from aprtui.core.json_values import to_json
from aprtui.core.outcomes import ExitCode
from aprtui.engine.compared_tensor import open_compared_tensor
from aprtui.report.comparison_json import tensor_to_json
from aprtui.store.register import find_run

_RANGE = re.compile(r"(\d{1,18}):(\d{1,18})")


def _range(_context: click.Context, _option: click.Parameter, value: str | None) -> tuple[int, int] | None:
    """Both numbers of "A:B", which is from A up to, but not with, B."""
    if value is None:
        return None
    match = _RANGE.fullmatch(value)
    if match is None:
        raise click.BadParameter(f"{value!r} is no range; write 0:64")
    return int(match[1]), int(match[2])


@click.command(name="tensor")
@click.argument("run")
@click.argument("comparison")
@click.argument("name")
@click.option("--block", type=click.IntRange(min=0), help="Block to take apart. By default the worst.")
@click.option("--rows", callback=_range, metavar="A:B", help="Rows of the heat map. All by default.")
@click.option("--columns", callback=_range, metavar="A:B", help="Columns of the heat map. All by default.")
@options.output_format
def command(
    *,
    run: str,
    comparison: str,
    name: str,
    block: int | None,
    rows: tuple[int, int] | None,
    columns: tuple[int, int] | None,
    output_format: str,
) -> int:
    """Show one tensor of RUN: both sides of COMPARISON ("S~S>G"), read again under its layout rules and tolerances.

    NAME is the tensor's canonical name. A region of at most 64 x 64 elements is shown with both values of each.

    Products end with a run unless it was made with --scratch.

    Exit codes: 0 shown, whatever the verdict, 2 there is no such run, comparison, tensor or region, 3 a file is gone.
    """
    compared = open_compared_tensor(find_run(run), comparison, name)
    detail = tensor_detail(
        compared.pair,
        Asked(block, rows, columns),
        settings=compared.settings,
        importance_matrix=compared.importance_matrix,
    )
    notes = list(compared.notes)
    if compared.measured is not None and compared.measured.record != detail.result.record:
        notes.append("what is measured now is not what the journal has: a file is another one")
    if output_format == "json":
        show(json.dumps(detail_to_json(comparison, detail, notes), allow_nan=False))
    else:
        show("\n".join(tensor_lines(comparison, detail, notes)))
    return int(ExitCode.PASSED)


def detail_to_json(comparison: str, detail: TensorDetail, notes: list[str]) -> dict[str, Any]:
    """The tensor as JSON values; non-finite numbers are the texts "inf", "-inf" and "nan"."""
    result = detail.result
    return {
        "comparison": comparison,
        "name": result.name,
        "shape": list(result.shape),
        "source": _side_to_json(detail.source),
        "target": _side_to_json(detail.target),
        "layout": result.layout,
        "statistics": tensor_to_json(result)["statistics"],
        "tolerance": to_json(result.tolerance) | {"origin": result.tolerance.full_origin},
        "judgement": to_json(result.judgement),
        "histogram": [
            {"decade": decade, "count": count, "outside": detail.outside.get(decade, 0)}
            for decade, count in detail.histogram.items()
        ],
        "heat": to_json(detail.heat),
        "worst": to_json(detail.worst),
        "block": None if detail.block is None else _block_to_json(detail.block),
        "elements": to_json(detail.elements),
        "notes": notes,
    }


def _side_to_json(side: SideDetail) -> dict[str, Any]:
    """The first stored tensor's facts, further ones under "more", the statistics."""
    stored = [
        {
            "name": one.name,
            "dtype": one.dtype,
            "shape": list(one.shape),
            "bytes": one.nbytes,
            "offset": one.offset,
            "file": str(one.file),
        }
        for one in side.stored
    ]
    nothing = dict.fromkeys(("name", "dtype", "shape", "bytes", "offset", "file"))
    first: dict[str, Any] = stored[0] if stored else nothing
    return {**first, "more": stored[1:], "statistics": to_json(side.statistics)}


def _block_to_json(block: BlockDetail) -> dict[str, Any]:
    """The block with its stored parts beside the rest, null where they cannot be read."""
    values: dict[str, Any] = to_json(block)
    parts = values.pop("parts") or dict.fromkeys(field.name for field in fields(StoredParts))
    return values | parts
