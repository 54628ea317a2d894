"""One block of a block type: which clauses of the certificate it violates, its scales, its codes, both values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from aprtui.tui.paint import Line, Span
from aprtui.tui.widgets.lines import wrapped
from aprtui.tui.words import number

_VALUES = ("source", "decoded")
_PLACE = ("index", "row", "column")
_PER_LINE = 32


def rule_line(title: str, width: int) -> list[Line]:
    """A blank line and a title with a line behind it."""
    return [(), ((f" ── {title} ", "muted"), ("─" * max(0, width - len(title) - 6), "muted"))]


def block_lines(block: Mapping[str, Any], width: int) -> list[Line]:
    """Clauses, then what is stored, then source above decoded values."""
    place = f"block {block.get('index', '?')}, row {block.get('row', '?')}, from column {block.get('column', '?')}"
    lines = rule_line(place, width)
    clauses = block.get("clauses")
    for clause in clauses if isinstance(clauses, list) else ():
        if isinstance(clause, Mapping):
            holds = clause.get("holds") is True
            glyph: Span = ("✓", "pass") if holds else ("✗", "fail")
            lines.append([(" ", "text"), glyph, (f" {clause.get('clause', '')!s:<8}", "text"), _measured(clause)])
    for key, value in block.items():
        if key not in (*_PLACE, *_VALUES, "clauses") and value is not None:
            lines += _stored(str(key), value, width)
    return [*lines, *_values(block, width)]


def _measured(clause: Mapping[str, Any]) -> Span:
    measured = clause.get("measured")
    if not isinstance(measured, Mapping):
        return ("", "muted")
    return ("  ".join(f"{key} {_short(value)}" for key, value in measured.items()), "muted")


def _stored(key: str, value: object, width: int) -> list[Line]:
    if not isinstance(value, list):
        return [((f" {key:<12}", "muted"), (_short(value), "text"))]
    room = max(8, min(_PER_LINE, (width - 14) // 3))
    lines: list[Line] = []
    for first in range(0, len(value), room):
        text = " ".join(f"{_short(item):>2}" for item in value[first : first + room])
        lines.append(((f" {key if not first else '':<12}", "muted"), (text, "text")))
    return lines


def _values(block: Mapping[str, Any], width: int) -> list[Line]:
    source, decoded = (block.get(key) for key in _VALUES)
    if not isinstance(source, list) or not isinstance(decoded, list):
        return []
    room = max(1, (width - 14) // 10)
    lines: list[Line] = []
    for first in range(0, min(len(source), len(decoded), room * 4), room):
        for label, values in (("source", source), ("decoded", decoded)):
            lines.append(((f" {label:<12}", "muted"), (_row(values[first : first + room]), "text")))
    if len(source) > room * 4:
        lines += wrapped(f"… {len(source)} elements in all", width - 2, "muted", " ")
    return lines


def _row(values: Sequence[object]) -> str:
    return "".join(f"{_short(value):>10}" for value in values)


def _short(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return number(value) if isinstance(value, int | float) else str(value)


def block_at(known: Mapping[str, Any], element: tuple[int, int], columns: int) -> int | None:
    """Number of the block of an element, from the facts of any block of the tensor; None where those do not say.

    Blocks begin anew with each row, unless the known one shows that they run on.
    """
    try:
        size, index = len(known["decoded"]), int(known["index"])
        row, column = int(known["row"]), int(known["column"])
    except (KeyError, TypeError, ValueError):
        return None
    if not size:
        return None
    per_row = -(-columns // size)
    if row * per_row + column // size == index:
        return element[0] * per_row + element[1] // size
    return (element[0] * columns + element[1]) // size
