"""The rows of a run as a table for other programs: CSV for spreadsheets, JSON for scripts."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator
from enum import StrEnum
from math import isfinite
from pathlib import Path
from typing import Any

from aprtui.store.atomic import write_text
from aprtui.store.columns import NO_COMPARISON
from aprtui.store.row_status import RowStatus
from aprtui.store.run_view import RunView

_FIELDS = (
    *("status", "comparison", "name", "source_type", "target_type", "shape", "nbytes", "max_abs", "max_ulp", "nmse"),
    *("rule", "limit", "margin", "unit", "origin", "set_by", "text"),
)
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


class TableFormat(StrEnum):
    """How the table is written; the value is the file's ending."""

    CSV = "csv"
    JSON = "json"


def write_table(path: Path, kind: TableFormat, view: RunView, numbers: Iterable[int]) -> None:
    """Write rows, whole or not at all.

    Raises:
        OSError: The file cannot be written.
    """
    rows = list(table_rows(view, numbers))
    if kind is TableFormat.JSON:
        write_text(path, json.dumps(rows, indent=1, allow_nan=False) + "\n")
        return
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, _FIELDS)
    writer.writeheader()
    writer.writerows({key: _cell(value) for key, value in row.items()} for row in rows)
    write_text(path, buffer.getvalue())


def table_rows(view: RunView, numbers: Iterable[int]) -> Iterator[dict[str, Any]]:
    """One mapping for each row; numbers that JSON lacks are the texts "inf" and "nan"."""
    for number in numbers:
        row = view.columns.row(number)
        if row.status is RowStatus.HIDDEN:
            continue
        comparison = "" if row.comparison == NO_COMPARISON else view.plan.comparisons[row.comparison].comparison_id
        values: dict[str, Any] = {"status": row.status.word, "comparison": comparison, "shape": list(row.shape)}
        values |= {key: _number(getattr(row, key)) for key in _FIELDS if key not in values}
        yield {key: values[key] for key in _FIELDS}


def _number(value: object) -> object:
    return str(value) if isinstance(value, float) and not isfinite(value) else value


def _cell(value: object) -> object:
    """A value for a spreadsheet: names from files must not become formulas there."""
    if isinstance(value, list):
        return "x".join(map(str, value))
    if isinstance(value, str) and value.startswith(_FORMULA):
        return f"'{value}"
    return value
