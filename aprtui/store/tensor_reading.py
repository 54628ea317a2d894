"""What `aprtui tensor RUN COMPARISON NAME --format json` says of one tensor: what no journal holds.

The answer comes from another process and may come from another version: what is missing or has another shape is left
out, the rest is shown.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from math import prod
from typing import Any


@dataclass(frozen=True, slots=True)
class Decade:
    """Elements whose error has one order of magnitude.

    Attributes:
        power: 10 to this power is the smallest of these errors.
        count: How many elements.
        outside: How many of them are outside the tolerance.
    """

    power: int
    count: int
    outside: int


@dataclass(frozen=True, slots=True)
class HeatMap:
    """Largest error of each cell of a grid laid over a matrix.

    Attributes:
        cells: Rows of cells.
        row_step: Rows of the matrix that a cell covers.
        column_step: Columns of the matrix that a cell covers.
        rows: Rows of the matrix; leading dimensions are flattened.
        columns: Columns of the matrix.
        outside: Elements outside the tolerance in each cell.
    """

    cells: tuple[tuple[float, ...], ...]
    row_step: int
    column_step: int
    rows: int
    columns: int
    outside: tuple[tuple[int, ...], ...]

    def area(self, row: int, column: int) -> tuple[range, range]:
        """Rows and columns of the matrix that a cell covers."""
        top, left = row * self.row_step, column * self.column_step
        return range(top, min(self.rows, top + self.row_step)), range(left, min(self.columns, left + self.column_step))


@dataclass(frozen=True, slots=True)
class Element:
    """One element with the values of both sides."""

    index: tuple[int, ...]
    source: float
    target: float
    ulp: float


@dataclass(frozen=True, slots=True)
class Region:
    """Elements of a region, row by row.

    Attributes:
        row: First row.
        column: First column.
        source: Values of the source.
        target: Values of the target.
    """

    row: int
    column: int
    source: tuple[tuple[float, ...], ...]
    target: tuple[tuple[float, ...], ...]


@dataclass(frozen=True, slots=True)
class TensorReading:
    """One tensor, read again.

    Attributes:
        source: Facts of the source, by name.
        target: Facts of the target.
        histogram: Errors by decade, smallest first.
        heat: Where the errors sit; None where nobody says.
        worst: The worst elements, worst first.
        block: Facts of one block of a block type; empty where there is none.
        elements: Both values of every element of a small region; None where none was asked for.
        notes: What else there is to say.
    """

    source: Mapping[str, Any] = field(default_factory=dict)
    target: Mapping[str, Any] = field(default_factory=dict)
    histogram: tuple[Decade, ...] = ()
    heat: HeatMap | None = None
    worst: tuple[Element, ...] = ()
    block: Mapping[str, Any] = field(default_factory=dict)
    elements: Region | None = None
    notes: tuple[str, ...] = ()


def read_tensor(value: object) -> TensorReading:
    """The reading in a child's answer."""
    if not isinstance(value, Mapping):
        return TensorReading()
    return TensorReading(
        source=_side(value.get("source")),
        target=_side(value.get("target")),
        histogram=tuple(sorted(_decades(value.get("histogram")), key=lambda one: one.power)),
        heat=_heat(value.get("heat"), value.get("shape")),
        worst=tuple(_elements(value.get("worst"))),
        block=_mapping(value.get("block")),
        elements=_region(value.get("elements")),
        notes=tuple(map(str, notes)) if isinstance(notes := value.get("notes"), list) else (),
    )


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _side(value: object) -> Mapping[str, Any]:
    """Facts of a side with its statistics beside them."""
    facts = _mapping(value)
    return {**facts, **_mapping(facts.get("statistics"))}


def _items(value: object) -> Iterable[Mapping[str, Any]]:
    return (item for item in value if isinstance(item, Mapping)) if isinstance(value, list) else ()


def _decades(value: object) -> Iterable[Decade]:
    for item in _items(value):
        try:
            yield Decade(int(item["decade"]), int(item["count"]), int(item.get("outside", 0)))
        except (KeyError, TypeError, ValueError, OverflowError):
            continue


def _elements(value: object) -> Iterable[Element]:
    for item in _items(value):
        try:
            index = tuple(int(one) for one in item["index"])
            yield Element(index, float(item["source"]), float(item["target"]), float(item.get("ulp", 0)))
        except (KeyError, TypeError, ValueError, OverflowError):
            continue


def _heat(value: object, shape: object) -> HeatMap | None:
    facts = _mapping(value)
    try:
        cells = tuple(tuple(float(cell) for cell in row) for row in facts["max_error"])
        sizes = [int(size) for size in shape] if isinstance(shape, list) else []
        outside = tuple(tuple(int(cell) for cell in row) for row in facts["violations"])
        down, across = max(1, int(facts["row_step"])), max(1, int(facts["column_step"]))
    except (KeyError, TypeError, ValueError, OverflowError):
        return None
    widths = [len(row) for row in cells]
    if not cells or not cells[0] or len(set(widths)) > 1 or not sizes or [len(row) for row in outside] != widths:
        return None
    return HeatMap(cells, down, across, prod(sizes[:-1]), sizes[-1], outside)


def _region(value: object) -> Region | None:
    facts = _mapping(value)
    try:
        source, target = (tuple(tuple(map(float, row)) for row in facts[side]) for side in ("source", "target"))
        region = Region(int(facts["rows"][0]), int(facts["columns"][0]), source, target)
    except (KeyError, IndexError, TypeError, ValueError):
        return None
    same = [len(row) for row in source] == [len(row) for row in target]
    return region if same and source and source[0] else None
