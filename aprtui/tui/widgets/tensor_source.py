"""The rows of a run as a table shows them: worst first, with tolerance and margin in the unit of its rule."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

from aprtui.store.columns import NO_COMPARISON, Row, RowKind
from aprtui.store.row_order import RowOrder, SortKey
from aprtui.store.row_status import RowStatus
from aprtui.store.run_view import RunView
from aprtui.tui.paint import Span, bar
from aprtui.tui.widgets.row_table import Column, marked
from aprtui.tui.words import comparison_title, margin_text, number, size, status_span, tolerance_text

_ROOM_FOR_MAX = 96
_ROOM_FOR_BAR = 124
_ROOM_FOR_SHAPE = 140
_LONGEST_WHERE = 12


class TensorSource:
    """Rows of a run in an order.

    Args:
        view: The run.
        order: Which rows, and in which order.
    """

    def __init__(self, view: RunView, order: RowOrder) -> None:
        self.view, self.order = view, order
        self.several = True
        self._width = 0
        self._ambiguous = _compared_several_times(view)
        self._shortest = max((len(self._letters(index)) for index in self._ambiguous), default=0)

    def __len__(self) -> int:
        return len(self.order.numbers)

    def row(self, position: int) -> Row:
        """The row at a position."""
        return self.view.columns.row(self.order.numbers[position])

    def columns(self, width: int) -> Sequence[Column]:
        """More columns where there is room."""
        self._width = width
        order = self.order
        title = _COLUMN_OF_KEY[order.key]
        columns = self._columns(width)
        if not self.view.comparisons:
            columns = [Column("ST", 6), Column("GATE", 26), Column("WHAT IT SAYS", 0)]
            title = "GATE" if order.key is SortKey.NAME else title
        return marked(columns, title, ascending=order.key.is_ascending is not order.reverse)

    def _columns(self, width: int) -> list[Column]:
        columns = [Column("ST", 6), Column("TENSOR", 0, keep_end=True)]
        if self.several:
            columns.append(Column("WHERE", self._where_width(width)))
        if width >= _ROOM_FOR_SHAPE:
            columns.append(Column("SHAPE", 14))
        if self._has_types:
            columns.append(Column("TYPES", self._types_width(width)))
        if (value := self._value) is not None:
            columns.append(Column(_COLUMN_OF_KEY[value], 14 if value is SortKey.SHAPE else 8, right=True))
        columns += [Column("ε FROM", 11), Column("MARGIN", 11, right=True)]
        if width >= _ROOM_FOR_BAR:
            columns.append(Column("OF SIGNAL", 9))
        return columns

    @property
    def _value(self) -> SortKey | None:
        """Of which value there is a column: what rows are sorted by, else the largest difference where it fits."""
        key = self.order.key
        is_shown = key is SortKey.SHAPE and self._width >= _ROOM_FOR_SHAPE
        if key in _VALUES and not is_shown:
            return key
        return SortKey.MAX_ABS if self._has_room_for_value else None

    @property
    def _has_room_for_value(self) -> bool:
        return self._width >= _ROOM_FOR_MAX or not self.several

    @property
    def _has_types(self) -> bool:
        """They give way to what rows are sorted by."""
        return self._has_room_for_value or self._value is None

    def _where_width(self, width: int) -> int:
        usual = 7 if width < _ROOM_FOR_MAX else 10 if width < _ROOM_FOR_BAR else 20
        return max(usual, min(self._shortest, _LONGEST_WHERE))

    def cells(self, position: int) -> Sequence[Span]:
        """A tensor with all its numbers, or a finding with its text."""
        row = self.row(position)
        name_paint = "text" if row.status.is_failure else "muted" if row.status.is_open else "text"
        cells: list[Span] = [status_span(row.status), (row.name, name_paint)]
        if self.several and self.view.comparisons:
            cells.append((self._where(row), "muted"))
        if row.kind is not RowKind.TENSOR:
            return [*cells, (row.text, "muted" if row.status is RowStatus.SKIPPED else "text")]
        if self._width >= _ROOM_FOR_SHAPE:
            cells.append((shape_text(row), "muted"))
        if self._has_types:
            cells.append((self._types(row), "muted"))
        measured = not row.status.is_open and row.status is not RowStatus.SKIPPED
        if (value := self._value) is not None:
            cells.append((_VALUES[value](row) if measured else "", "text"))
        cells.append((tolerance_text(row), "muted"))
        paint = "over" if row.status.is_failure else "muted"
        cells.append((margin_text(row) if measured else "", paint))
        if self._width >= _ROOM_FOR_BAR:
            cells.append((bar(self._share(row), 9) if row.status.is_failure else "", paint))
        return cells

    def _types_width(self, width: int) -> int:
        return 9 if width < _ROOM_FOR_MAX else 12

    def _types(self, row: Row) -> str:
        """Both types, or the target's where there is no room for both."""
        both = f"{row.source_type}→{row.target_type}" if row.target_type else ""
        return both if len(both) <= self._types_width(self._width) else f"→{row.target_type}"

    def _where(self, row: Row) -> str:
        if row.comparison == NO_COMPARISON:
            return "run"
        plan = self.view.plan.comparisons[row.comparison]
        if self._width >= _ROOM_FOR_BAR:
            return comparison_title(plan)
        ids = (plan.target, plan.source) if row.comparison in self._ambiguous else (plan.target,)
        shown = "/".join(ids).replace(">", "→")
        # Five formats in a row do not fit with their arrows.
        return shown if len(shown) <= self._where_width(self._width) else self._letters(row.comparison)

    def _letters(self, comparison: int) -> str:
        """The product, and its source where others have the same product, without arrows."""
        plan = self.view.plan.comparisons[comparison]
        ids = (plan.target, plan.source) if comparison in self._ambiguous else (plan.target,)
        return "/".join(ids).replace(">", "")

    @staticmethod
    def _share(row: Row) -> float:
        """Length of the bar: the error's share of the signal, on a scale on which an eighth is still seen."""
        nmse = row.nmse
        return 1.0 if nmse >= 1 or row.status is RowStatus.NOT_FINITE else max(0.06, nmse**0.25)


def shape_text(row: Row) -> str:
    """A shape in brackets; a scalar's is empty."""
    return f"[{','.join(map(str, row.shape))}]" if row.shape else ""


_COLUMN_OF_KEY = {
    SortKey.WORST: "ST",
    SortKey.NAME: "TENSOR",
    SortKey.FILE_ORDER: "WHERE",
    SortKey.SHAPE: "SHAPE",
    SortKey.TYPE: "TYPES",
    SortKey.MAX_ABS: "MAX|Δ|",
    SortKey.ULP: "MAX ULP",
    SortKey.EPSILON: "ε FROM",
    SortKey.MARGIN: "MARGIN",
    SortKey.SIZE: "BYTES",
}
_VALUES: dict[SortKey, Callable[[Row], str]] = {
    SortKey.MAX_ABS: lambda row: number(row.max_abs),
    SortKey.ULP: lambda row: number(row.max_ulp),
    SortKey.SHAPE: shape_text,
    SortKey.SIZE: lambda row: size(row.nbytes),
}
"""Values of which one has a column."""


def _compared_several_times(view: RunView) -> frozenset[int]:
    """Comparisons that do not differ in their product from another one of the run."""
    targets = Counter(plan.target for plan in view.plan.comparisons)
    return frozenset(index for index, plan in enumerate(view.plan.comparisons) if targets[plan.target] > 1)
