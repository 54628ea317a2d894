"""A map of where the errors of a tensor sit: pan over it, look closer, down to steps of single elements."""

from __future__ import annotations

from collections.abc import Sequence

from aprtui.store.tensor_reading import Element, HeatMap, Region, TensorReading
from aprtui.tui.paint import Line, Span
from aprtui.tui.words import count, number

SHADES = " ░▒▓█"
_FEWEST_ROWS = 10
CLOSE = 7
"""Closeness from which on the elements around the selected one are read."""

_ELEMENT_ROWS, _ELEMENT_COLUMNS = 8, 16
_AROUND_MAP = 3
"""Its head, what the shades mean and what the selected cell holds."""

_FEWEST_ELEMENT_LINES = 3
"""The numbers of columns and both values of one row."""


class HeatView:
    """What of a map is shown, and the element that is selected; the map shows the cell that it is in.

    Attributes:
        row: Row of the selected element in the matrix.
        column: Its column.
        closeness: 0 shows the whole map, more shows a part of it around the selected cell; each step halves what a key
            moves by, down to one element.
        most_rows: Lines that the map may take.
        element_rows: Rows of elements that fit below it.
    """

    def __init__(self) -> None:
        self.row = self.column = self.closeness = 0
        self.most_rows, self.element_rows = _FEWEST_ROWS, _ELEMENT_ROWS

    def fit(self, height: int) -> None:
        """Take up to half of a place of so many lines, and leave room for the row of the selected element."""
        self.most_rows = max(1, min(_FEWEST_ROWS, height - _AROUND_MAP - _FEWEST_ELEMENT_LINES), height // 2)
        room = height - self.most_rows - _AROUND_MAP - 1
        self.element_rows = max(1, min(_ELEMENT_ROWS, room // 2))

    @property
    def height(self) -> int:
        """Lines of the map with its head, what it says of the selected cell and, looked at closely, the elements."""
        elements = 1 + 2 * self.element_rows if self.closeness >= CLOSE else 0
        return self.most_rows + _AROUND_MAP + elements

    def pan(self, heat: HeatMap, down: int, across: int, width: int) -> None:
        """Move the selection by what one character stands for: cells of the map, or, looked at closer, parts of one."""
        step_down, step_across = self._element_steps(heat, width)
        self.row = max(0, min(heat.rows - 1, self.row + down * step_down))
        self.column = max(0, min(heat.columns - 1, self.column + across * step_across))

    def zoom(self, heat: HeatMap, closer: int, width: int) -> None:
        """Look closer, until a key moves by one element, or from farther away."""
        if closer > 0 and self.closeness >= CLOSE and self._element_steps(heat, width) == (1, 1):
            return
        self.closeness = max(0, self.closeness + closer)

    def region(self, heat: HeatMap) -> tuple[range, range]:
        """A region of few elements around the selected one."""
        return _around(self.row, heat.rows, _ELEMENT_ROWS), _around(self.column, heat.columns, _ELEMENT_COLUMNS)

    def cell(self, heat: HeatMap) -> tuple[int, int]:
        """Row and column of the map of the selected element."""
        return self.row // heat.row_step, self.column // heat.column_step

    def go_to_worst(self, heat: HeatMap, worst: Sequence[Element] = ()) -> None:
        """Select the worst element; where nobody says which that is, the middle of the cell with the largest error."""
        if worst and len(worst[0].index) == 2:
            self.row, self.column = worst[0].index
            return
        _, row, column = max(
            (cell, -row, -column) for row, cells in enumerate(heat.cells) for column, cell in enumerate(cells)
        )
        down, across = heat.area(-row, -column)
        self.row, self.column = down[len(down) // 2], across[len(across) // 2]

    def _steps(self, heat: HeatMap, width: int) -> tuple[int, int]:
        down = -(-len(heat.cells) // self.most_rows)
        across = -(-len(heat.cells[0]) // max(8, width))
        return max(1, down >> self.closeness), max(1, across >> self.closeness)

    def _element_steps(self, heat: HeatMap, width: int) -> tuple[int, int]:
        """Elements that a key moves by."""
        steps = self._steps(heat, width)
        further = max(0, self.closeness - CLOSE)
        down, across = steps[0] * heat.row_step, steps[1] * heat.column_step
        return max(1, down >> further), max(1, across >> further)

    def lines(self, heat: HeatMap, width: int) -> list[Line]:
        """The part of the map, then what the selected cell covers."""
        step_down, step_across = self._steps(heat, width)
        row, column = self.cell(heat)
        rows = self._window(len(heat.cells), step_down, self.most_rows, row)
        columns = self._window(len(heat.cells[0]), step_across, max(8, width), column)
        largest = max(max(cells) for cells in heat.cells) or 1.0
        lines: list[Line] = []
        for top in rows:
            spans: list[Span] = [(" ", "text")]
            for left in columns:
                value = _largest(heat, top, left, step_down, step_across)
                outside = _any_outside(heat, top, left, step_down, step_across)
                on = top <= row < top + step_down and left <= column < left + step_across
                spans.append(_cell(value, largest, on=on, outside=outside))
            lines.append(_joined(spans))
        lines.append(
            (
                (f" {SHADES[1]} any  {SHADES[2]} ≥1 %  {SHADES[3]} ≥10 %  {SHADES[4]} ≥50 % of ", "muted"),
                (f"{number(largest)}", "muted"),
            )
        )
        down, across = heat.area(row, column)
        lines.append(
            (
                (f" rows {_span(down)}, columns {_span(across)}: max|Δ| ", "muted"),
                (number(heat.cells[row][column]), "strong"),
                _outside_span(heat.outside[row][column]),
            )
        )
        return lines

    def worst_lines(self, reading: TensorReading, heat: HeatMap) -> list[Line]:
        """Those of the worst elements that are in the selected cell."""
        down, across = heat.area(*self.cell(heat))
        lines: list[Line] = []
        for element in reading.worst:
            if len(element.index) >= 2 and element.index[-1] in across and _flat_row(element.index, heat) in down:
                place = ",".join(map(str, element.index))
                lines.append(((f"   [{place}]  {number(element.source)} → {number(element.target)}", "text"),))
        return lines

    @staticmethod
    def _window(count: int, step: int, most: int, selected: int) -> range:
        """First cells of what is shown, around the selected one."""
        shown = min(most, -(-count // step))
        first = max(0, min(selected // step - shown // 2, -(-count // step) - shown))
        return range(first * step, (first + shown) * step, step)


def _flat_row(index: Sequence[int], heat: HeatMap) -> int:
    # Of more than two dimensions only the command that made the map knows how the leading ones are flattened.
    return index[0] if len(index) == 2 else heat.rows


def _largest(heat: HeatMap, top: int, left: int, down: int, across: int) -> float:
    return max(max(cells[left : left + across], default=0.0) for cells in heat.cells[top : top + down])


def _any_outside(heat: HeatMap, top: int, left: int, down: int, across: int) -> bool:
    return any(any(cells[left : left + across]) for cells in heat.outside[top : top + down])


def _outside_span(amount: int) -> Span:
    return (f"  ✗ {count(amount)} outside ε", "fail") if amount else ("  ✓ none outside ε", "pass")


def _cell(value: float, largest: float, *, on: bool, outside: bool) -> Span:
    share = value / largest if largest else 0.0
    level = 0 if not value else 1 if share < 0.01 else 2 if share < 0.1 else 3 if share < 0.5 else 4
    if on:
        return ("╋" if level else "┼", "title")
    return (SHADES[level], "heat" if outside else "muted")


def _joined(spans: list[Span]) -> Line:
    """Neighbours of one colour as one span."""
    joined: list[Span] = []
    for text, paint in spans:
        if joined and joined[-1][1] == paint:
            joined[-1] = (joined[-1][0] + text, paint)
        else:
            joined.append((text, paint))
    return joined


def _span(values: range) -> str:
    return str(values.start) if len(values) < 2 else f"{values.start}–{values.stop - 1}"


def _around(selected: int, size: int, most: int) -> range:
    first = max(0, min(selected - most // 2, size - most))
    return range(first, min(size, first + most))


def holds(region: Region, element: tuple[int, int]) -> bool:
    """Whether an element is one of a region."""
    row, column = element[0] - region.row, element[1] - region.column
    return 0 <= row < len(region.source) and 0 <= column < len(region.source[0])


def element_lines(region: Region, selected: tuple[int, int], width: int, most_rows: int) -> list[Line]:
    """Source above target for each row of a region, as many rows and columns around the selected element as fit."""
    shown = max(1, min(len(region.source[0]), (width - 12) // 10))
    columns = _around(selected[1] - region.column, len(region.source[0]), shown)
    lines: list[Line] = [[(f"{'':>11}", "muted")]]
    for column in columns:
        is_selected = region.column + column == selected[1]
        lines[0] = [*lines[0], (f"{region.column + column:>10}", "title" if is_selected else "muted")]
    for row in _around(selected[0] - region.row, len(region.source), most_rows):
        source, target = region.source[row], region.target[row]
        paint = "title" if region.row + row == selected[0] else "muted"
        for label, values in ((f"{region.row + row:>7} src", source), ("dst", target)):
            spans: list[Span] = [(f"{label:>11}", paint)]
            for column in columns:
                same = values[column] == source[column]
                spans.append((f"{number(values[column]):>10}", "text" if same else "over"))
            lines.append(spans)
    return lines
