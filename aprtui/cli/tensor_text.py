"""One tensor as lines of text: verdict, both sides, errors by decade and by place, worst elements, one block."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import floor, isfinite, log2

import click

from aprtui.cli.comparison_text import outcome_word
from aprtui.compare.tensor_block import BlockDetail, StoredParts
from aprtui.compare.tensor_detail import ElementValues, SideDetail, TensorDetail, WorstElement
from aprtui.compare.tensor_places import HeatMap
from aprtui.core.results import TensorResult
from aprtui.core.safe_text import safe_text

_BAR = 40
_DIGITS = 9
_VALUES_PER_LINE = 8


def tensor_lines(comparison: str, detail: TensorDetail, notes: Sequence[str]) -> Iterator[str]:
    """The whole report."""
    result = detail.result
    shape = " x ".join(map(str, result.shape)) or "scalar"
    types = f"{result.source_dtype} > {result.target_dtype}"
    word = outcome_word(result.judgement.outcome)
    yield f"{word}  {safe_text(result.name)}  {shape}  {types}  in {safe_text(comparison)}"
    yield f"measured   {safe_text(result.judgement.sentence)}"
    yield f"tolerance  {result.tolerance.rule}: {safe_text(result.tolerance.full_origin)}"
    yield f"layout     {safe_text(result.layout) or 'rows as stored'}"
    yield from (f"note       {safe_text(note)}" for note in notes)
    for title, side in (("source", detail.source), ("target", detail.target)):
        yield ""
        yield from _side_lines(title, side)
    yield ""
    yield from _error_lines(result)
    if detail.histogram:
        yield from ("", "elements by size of the error", *_histogram_lines(detail))
    if result.record.differing:
        yield ""
        yield from _heat_lines(detail.heat)
    if detail.worst:
        yield from ("", "worst elements", *_worst_lines(detail.worst))
    if detail.block is not None:
        yield ""
        yield from _block_lines(detail.block)
    if detail.elements is not None:
        yield ""
        yield from _element_lines(detail.elements)


def _side_lines(title: str, side: SideDetail) -> Iterator[str]:
    for one in side.stored:
        shape = " x ".join(map(str, one.shape)) or "scalar"
        yield f"{title:<9}  {safe_text(one.name)}  {one.dtype}  {shape}  {one.nbytes:,} bytes at offset {one.offset:,}"
        yield f"           {safe_text(one.file)}"
    if not side.stored:
        yield f"{title:<9}  computed from the configuration"
    found = side.statistics
    odd = [f"{count:,} {what}" for count, what in ((found.nan, "NaN"), (found.inf, "infinite")) if count]
    yield (
        f"           min {found.min:.6g}  max {found.max:.6g}  mean {found.mean:.4g}  std {found.std:.4g}  "
        f"{', '.join([f'{found.zeros:,} zeros', *odd])}"
    )


def _error_lines(result: TensorResult) -> Iterator[str]:
    record = result.record
    yield f"errors     {record.differing:,} of {record.elements:,} elements differ"
    yield (
        f"           max {record.max_abs:.4g} ({record.max_ulp:.4g} ULP)  mean {record.mean_error:.3g}  "
        f"RMSE {record.rmse:.3g}  NMSE {record.nmse:.3g}  cosine distance {record.cosine_distance:.3g}"
    )


def _histogram_lines(detail: TensorDetail) -> Iterator[str]:
    most = max(detail.histogram.values())
    for decade, count in detail.histogram.items():
        bar = "#" * -(-count * _BAR // most)
        outside = detail.outside.get(decade, 0)
        yield f"  1e{decade:<+5} {count:>12,}  {f'{outside:,} outside' if outside else '':<20} {bar}".rstrip()


def _heat_lines(heat: HeatMap) -> Iterator[str]:
    """A digit for each cell: 9 for more than half of the largest error, one less for each halving."""
    finite = [error for row in heat.max_error for error in row if isfinite(error)]
    top = max(finite, default=0.0)
    outside = sum(1 for row in heat.violations for count in row if count)
    yield (
        f"where they sit: from row {heat.row}, column {heat.column}; a cell is {heat.row_step} x {heat.column_step} "
        f"elements; {outside} of {heat.rows * heat.columns} cells have elements outside the tolerance"
    )
    yield f"  9 is more than half of {top:.3g}, each digit less half as much; . equal, ! not finite"
    for row in heat.max_error:
        yield f"  {''.join(_cell(error, top) for error in row)}"


def _cell(error: float, top: float) -> str:
    if not error:
        return "."
    return str(max(0, _DIGITS - floor(log2(top / error)))) if isfinite(error) else "!"


def _worst_lines(worst: Sequence[WorstElement]) -> Iterator[str]:
    rows = [("index", "source", "target", "difference", "ULP")]
    rows += [
        (
            ", ".join(map(str, one.index)),
            f"{one.source:.8g}",
            f"{one.target:.8g}",
            f"{one.difference:.4g}",
            f"{one.ulp:.4g}",
        )
        for one in worst
    ]
    yield from _table(rows)


def _block_lines(block: BlockDetail) -> Iterator[str]:
    yield f"block {block.index}, from row {block.row}, column {block.column}"
    if block.parts is not None:
        yield from _part_lines(block.parts)
    for clause in block.clauses:
        measured = ", ".join(f"{name} {value:.4g}" for name, value in clause.measured.items())
        word = click.style("pass", fg="green") if clause.holds else click.style("FAIL", fg="red")
        yield f"  {word}  {clause.clause:<5}  {measured}"
    codes = block.parts.codes if block.parts is not None else ()
    for start in range(0, len(block.source), _VALUES_PER_LINE):
        span = slice(start, start + _VALUES_PER_LINE)
        if codes:
            yield f"  {start:>3}  codes   {_row(str(code) for code in codes[span])}"
        yield f"  {start if not codes else '':>3}  source  {_row(f'{value:.4g}' for value in block.source[span])}"
        yield f"       stored  {_row(f'{value:.4g}' for value in block.decoded[span])}"


def _part_lines(parts: StoredParts) -> Iterator[str]:
    minimum = "" if parts.min is None else f"  min {parts.min:.6g}"
    yield f"  scale {parts.scale:.6g}{minimum}"
    if parts.sub_scales:
        yield f"  sub-scales {' '.join(map(str, parts.sub_scales))}"
    if parts.sub_mins:
        yield f"  sub-mins   {' '.join(map(str, parts.sub_mins))}"


def _row(cells: Iterator[str]) -> str:
    return " ".join(f"{cell:>11}" for cell in cells)


def _element_lines(elements: ElementValues) -> Iterator[str]:
    yield f"elements of rows {elements.rows[0]}:{elements.rows[1]}, columns {elements.columns[0]}:{elements.columns[1]}"
    rows = [("row", "column", "source", "target", "difference")]
    for row, (source, target) in enumerate(zip(elements.source, elements.target, strict=True), elements.rows[0]):
        for column, (x, y) in enumerate(zip(source, target, strict=True), elements.columns[0]):
            rows.append((str(row), str(column), f"{x:.8g}", f"{y:.8g}", f"{y - x:.4g}" if x != y else "."))
    yield from _table(rows)


def _table(rows: Sequence[tuple[str, ...]]) -> Iterator[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        yield "  " + "  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True))
