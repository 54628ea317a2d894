"""What the lists of playbooks, models and runs have in common: filter, failures only, order, what is chosen."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, TypeVar

from textual import on
from textual.widget import Widget

from aprtui.store.filters import Filter
from aprtui.tui.paint import Line, Span
from aprtui.tui.screens.view import ViewScreen
from aprtui.tui.widgets.row_table import Column, RowTable, marked

T = TypeVar("T")

WIDE = 110
"""Cells from which a list shows more columns."""

WIDEST = 160
"""Cells from which it also shows where an entry lies, behind columns of a width of their own."""


@dataclass(frozen=True, slots=True)
class Order(Generic[T]):
    """An order of a list.

    Attributes:
        column: Title of the column that it sorts by.
        by: What an entry is sorted by; None keeps the order of the entries.
        is_descending: Whether the largest stands first.
    """

    column: str
    by: Callable[[T], Any] | None
    is_descending: bool = False


class ListSource(ABC, Generic[T]):
    """The rows of a list.

    Attributes:
        entries: All there are, in their own order.
        shown: Those that fit filter and `failures_only`, in the chosen order.
        order: Which of the orders is chosen.
        is_wide: Whether the table has room for more columns.
        has_room: Whether it has room for paths, too.
    """

    def __init__(self) -> None:
        self.entries: Sequence[T] = ()
        self.shown: list[T] = []
        self.filter = Filter("")
        self.failures_only = False
        self.order, self.reverse = 0, False
        self.is_wide = self.has_room = False

    def __len__(self) -> int:
        return len(self.shown)

    @abstractmethod
    def name(self, entry: T) -> str:
        """What the filter is held against."""

    @abstractmethod
    def key(self, entry: T) -> object:
        """What tells an entry from others when the list is read anew."""

    @abstractmethod
    def orders(self) -> Sequence[Order[T]]:
        """What it can be sorted by."""

    def failed(self, entry: T) -> bool:
        """Whether an entry counts as failed."""
        return False

    def refresh(self) -> None:
        """Choose and order the rows."""
        names = [self.name(entry) for entry in self.entries]
        shown = [self.entries[at] for at in self.filter.names(names)]
        if self.failures_only:
            shown = [entry for entry in shown if self.failed(entry)]
        order = self.orders()[self.order]
        if order.by is not None:
            shown.sort(key=order.by, reverse=order.is_descending)
        if self.reverse:
            shown.reverse()
        self.shown = shown

    def columns(self, width: int) -> Sequence[Column]:
        """More of them where there is room."""
        self.is_wide, self.has_room = width >= WIDE, width >= WIDEST
        order = self.orders()[self.order]
        return marked(self.all_columns(), order.column, ascending=order.is_descending is self.reverse)

    @abstractmethod
    def all_columns(self) -> Sequence[Column]:
        """The columns for the room there is."""

    @abstractmethod
    def cells(self, position: int) -> Sequence[Span]:
        """One span for each column."""


class ListScreen(ViewScreen, Generic[T]):
    """A view that is a list."""

    HAS_FAILURES: ClassVar[bool] = True

    source: ListSource[T]

    def __init__(self) -> None:
        super().__init__()
        self._marked: set[object] = set()

    def compose_body(self) -> Iterable[Widget]:
        """The list."""
        yield RowTable(self.source, id="table")

    @property
    def table(self) -> RowTable:
        """The list."""
        return self.query_one("#table", RowTable)

    @property
    def entry(self) -> T | None:
        """What is chosen."""
        return self.source.shown[self.table.cursor] if self.source.shown else None

    @property
    def marked(self) -> list[T]:
        """What is marked, also where the filter hides it, in the order of the entries."""
        source = self.source
        keys = [source.key(entry) for entry in source.shown]
        self._marked = self._marked.difference(keys) | {keys[at] for at in self.table.marked if at < len(keys)}
        return [entry for entry in source.entries if source.key(entry) in self._marked]

    def empty_lines(self) -> tuple[Line, ...]:
        """What stands where no row does."""
        if not self.source.entries:
            return self.none_lines()
        more = ", f shows all" if self.HAS_FAILURES else ""
        return (((f"  0 of {len(self.source.entries)} match · esc clears the filter{more}", "warn"),),)

    def none_lines(self) -> tuple[Line, ...]:
        """What stands there when there are no entries at all."""
        raise NotImplementedError

    def show_entries(self, entries: Sequence[T]) -> None:
        """Show entries that were read or arranged anew; what was chosen or marked and is still shown stays so."""
        source = self.source
        if not self.is_ready:
            source.entries = entries
            source.refresh()
            return
        chosen = source.key(self.entry) if self.entry is not None else None
        marked = {source.key(entry) for entry in self.marked}
        source.entries = entries
        source.refresh()
        keys = [source.key(entry) for entry in source.shown]
        self._show_rows(marked, keys.index(chosen) if chosen in keys else self.table.cursor)

    def _show_rows(self, marked: set[object], cursor: int | None) -> None:
        """The rows are others, or stand in another order; marks go with what they mark."""
        source = self.source
        self._marked = marked
        self.table.empty = self.empty_lines()
        self.table.marked = {at for at, entry in enumerate(source.shown) if source.key(entry) in marked}
        self.table.rebuild(cursor)
        self.refresh_chrome()

    def status(self) -> Line:
        """How many of how many, and what chose them."""
        source = self.source
        spans: list[Span] = [("fails only  ", "accent")] if source.failures_only else []
        if source.filter:
            spans.append((f"/{source.filter.text}  ", "accent"))
        if marked := len(self.marked):
            spans.append((f"{marked} marked  ", "accent"))
        return [*spans, (f"{len(source.shown)} of {len(source.entries)} ", "muted")]

    @on(RowTable.Moved)
    @on(RowTable.Marked)
    def _moved(self) -> None:
        self.refresh_chrome()

    def action_back(self) -> None:
        """Clear the filter, then the marks."""
        if not self.source.filter and self.marked:
            self._show_rows(set(), None)
        else:
            super().action_back()

    def focus_body(self) -> None:
        """The list."""
        self.table.focus()

    def apply_filter(self, wanted: Filter) -> None:
        """By name."""
        self.source.filter = wanted
        self._rearrange()

    def action_failures_only(self) -> None:
        """Those that failed, or all."""
        self.source.failures_only = not self.source.failures_only
        self._rearrange()

    def action_sort(self) -> None:
        """The next order."""
        self.source.order = (self.source.order + 1) % len(self.source.orders())
        self._rearrange()

    def action_reverse(self) -> None:
        """The other way round."""
        self.source.reverse = not self.source.reverse
        self._rearrange()

    def _rearrange(self) -> None:
        self.show_entries(self.source.entries)
        if not self.table.held:
            # Nobody chose a row: the first one is what was asked for.
            self.table.rebuild(0)
            self.refresh_chrome()
