"""The one table of the console, painted line by line: any number of rows cost as much as those in sight.

A row that changes is drawn again alone, which keeps a live table cheap over a slow line.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Protocol

from textual import events
from textual.geometry import Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from aprtui.tui.keys import bindings
from aprtui.tui.paint import Painter, Span, fit, shown
from aprtui.tui.widgets.lines import plain_scroll_bar

_SCROLL_OFF = 2

Look = tuple[list[Span], bool, bool, bool]
"""All that the picture of a row follows from, at one width."""


class Sort(StrEnum):
    """The mark of the column that rows are sorted by."""

    NONE = ""
    ASCENDING = "▲"
    DESCENDING = "▼"


@dataclass(frozen=True, slots=True)
class Column:
    """A column.

    Attributes:
        title: Its header.
        width: Cells; 0 for the one that takes what is left.
        right: Whether it stands at the right.
        keep_end: Whether text that is too long is cut at its start.
        sort: How rows are sorted by it; the header says so.
    """

    title: str
    width: int
    right: bool = False
    keep_end: bool = False
    sort: Sort = Sort.NONE


def marked(columns: Iterable[Column], title: str, *, ascending: bool) -> list[Column]:
    """The columns, the one of this title with the mark of the order."""
    sort = Sort.ASCENDING if ascending else Sort.DESCENDING
    return [replace(column, sort=sort) if column.title == title else column for column in columns]


class TableSource(Protocol):
    """Where a table takes its rows from."""

    def __len__(self) -> int:
        """Number of rows."""

    def columns(self, width: int) -> Sequence[Column]:
        """The columns that a table of this many cells shows."""

    def cells(self, position: int) -> Sequence[Span]:
        """One span for each column; where there are fewer, the last one takes the rest of the line."""


class EmptySource:
    """No rows."""

    def __len__(self) -> int:
        return 0

    def columns(self, width: int) -> Sequence[Column]:
        """None."""
        return ()

    def cells(self, position: int) -> Sequence[Span]:
        """None."""
        return ()


class RowTable(ScrollView, can_focus=True):
    """Rows under a header, with a cursor.

    Args:
        source: The rows.
        empty: Lines to show where there are none.
    """

    BINDINGS = bindings("list")

    class Opened(Message):
        """Enter, or a second click on a row."""

        def __init__(self, table: RowTable, position: int) -> None:
            super().__init__()
            self.table, self.position = table, position

        @property
        def control(self) -> RowTable:
            """The table."""
            return self.table

    class Moved(Message):
        """The cursor stands on another row."""

        def __init__(self, table: RowTable, position: int) -> None:
            super().__init__()
            self.table, self.position = table, position

        @property
        def control(self) -> RowTable:
            """The table."""
            return self.table

    class Marked(Message):
        """A row was marked, or is not any more."""

    def __init__(
        self,
        source: TableSource | None = None,
        *,
        header: bool = True,
        id: str | None = None,
        classes: str | None = None,
    ) -> None:
        super().__init__(id=id, classes=classes)
        self.source: TableSource = EmptySource() if source is None else source
        self.cursor = 0
        self.held = False
        self.marked: set[int] = set()
        self.empty: tuple[Sequence[Span], ...] = ()
        self._header = 1 if header else 0
        self._drawn: dict[int, Look] = {}
        self.painter = Painter(self)

    def notify_style_update(self) -> None:
        """Textual's notice that colours changed."""
        self.painter.forget()
        super().notify_style_update()

    def on_mount(self) -> None:
        """Take the size of the source."""
        if self.painter.ascii_only:
            plain_scroll_bar(self)
        self.rebuild()

    def on_resize(self) -> None:
        """The columns may be others."""
        self.rebuild()

    @property
    def page(self) -> int:
        """Rows in sight."""
        return max(1, self.size.height - self._header)

    def rebuild(self, cursor: int | None = None) -> None:
        """The rows are others; draw everything."""
        count = len(self.source)
        self.virtual_size = Size(self.size.width, count + self._header)
        wanted = self.cursor if cursor is None else cursor
        self.cursor = max(0, min(wanted, count - 1))
        self._scroll_to_cursor()
        self.refresh()

    def update_rows(self, positions: Iterable[int]) -> None:
        """Draw rows again; the table may have grown at its end."""
        count = len(self.source)
        if count + self._header != self.virtual_size.height:
            self.virtual_size = Size(self.size.width, count + self._header)
        top, size = self.scroll_offset.y, self.size
        end = top + size.height - self._header
        for position in positions:
            if top <= position < end and self._looks_other(position, y := position - top + self._header):
                self.refresh(Region(0, y, size.width, 1))

    def _looks_other(self, position: int, y: int) -> bool:
        """Whether a row in sight would be drawn another way than it was."""
        return position >= len(self.source) or self._drawn.get(y) != self._look(position)

    def _look(self, position: int) -> Look:
        return list(self.source.cells(position)), position == self.cursor, self.has_focus, position in self.marked

    def move(self, position: int, *, hold: bool = True) -> None:
        """Put the cursor on a row, in sight.

        Args:
            position: The row.
            hold: Whether somebody did it who expects the rows to stay from now on.
        """
        count = len(self.source)
        if not count:
            return
        old, self.cursor = self.cursor, max(0, min(position, count - 1))
        self.held = self.held or hold
        self._scroll_to_cursor()
        self.update_rows((old, self.cursor))
        if old != self.cursor:
            self.post_message(self.Moved(self, self.cursor))

    def _scroll_to_cursor(self) -> None:
        if not self.size.height:
            return
        page, top = self.page, self.scroll_offset.y
        margin = min(_SCROLL_OFF, (page - 1) // 2)
        if self.cursor < top + margin:
            top = self.cursor - margin
        elif self.cursor > top + page - 1 - margin:
            top = self.cursor - page + 1 + margin
        top = max(0, min(top, len(self.source) - page))
        if top != self.scroll_offset.y:
            self.scroll_to(y=top, animate=False, force=True, immediate=True)

    def render_line(self, y: int) -> Strip:
        """The header, or a row in sight."""
        width = self.size.width
        if self._header and y == 0:
            return self._header_strip(width)
        position = y - self._header + self.scroll_offset.y
        self._drawn.pop(y, None)
        if not len(self.source):
            lines = self.empty
            return self.painter.strip(lines[y - self._header] if y - self._header < len(lines) else (), width)
        if position >= len(self.source):
            return self.painter.strip((), width)
        self._drawn[y] = self._look(position)
        return self._row_strip(position, width)

    def _header_strip(self, width: int) -> Strip:
        columns = self.source.columns(width)
        spans: list[Span] = [("  ", "header")]
        for column, room in zip(columns, _widths(columns, width), strict=True):
            spans += [(fit(f"{column.title}{column.sort}", room, right=column.right), "header"), (" ", "header")]
        return self.painter.strip(spans, width, "header")

    def _row_strip(self, position: int, width: int) -> Strip:
        columns = self.source.columns(width)
        rooms = _widths(columns, width)
        cells = list(self.source.cells(position))
        on = position == self.cursor
        under = ("cursor" if self.has_focus else "cursor-blurred") if on else ""
        mark = "*" if position in self.marked else " "
        spans: list[Span] = [("▌" if on else " ", "mark"), (mark, "accent")]
        for number, (text, paint) in enumerate(cells):
            safe = shown(text, ascii_only=self.painter.ascii_only)
            column = columns[number]
            if number == len(cells) - 1 and len(cells) < len(columns):
                room = sum(rooms[number:]) + len(rooms) - number - 1
                spans.append((fit(safe, room), paint))
            else:
                spans += [
                    (fit(safe, rooms[number], right=column.right, keep_end=column.keep_end), paint),
                    (" ", "text"),
                ]
        return self.painter.strip(spans, width, under)

    def action_cursor(self, step: int) -> None:
        """Move by rows."""
        self.move(self.cursor + step)

    def action_page(self, halves: int) -> None:
        """Move by half pages."""
        self.move(self.cursor + halves * max(1, self.page // 2))

    def action_first(self) -> None:
        """Move to the first row."""
        self.move(0)

    def action_last(self) -> None:
        """Move to the last row."""
        self.move(len(self.source) - 1)

    def action_open(self) -> None:
        """Open the row."""
        if len(self.source):
            self.held = True
            self.post_message(self.Opened(self, self.cursor))

    def mark(self) -> None:
        """Mark the chosen row, or take the mark away."""
        if len(self.source):
            self.marked ^= {self.cursor}
            self.update_rows((self.cursor,))
            self.post_message(self.Marked())

    def on_click(self, event: events.Click) -> None:
        """Click: move; double click: open."""
        position = event.y - self._header + self.scroll_offset.y
        if event.y >= self._header and position < len(self.source):
            self.move(position)
            if event.chain > 1:
                self.action_open()


def _widths(columns: Sequence[Column], width: int) -> list[int]:
    fixed = sum(column.width for column in columns)
    # The last cell may lie below the scroll bar, and the one before it keeps the text off.
    flexible = max(4, width - 3 - fixed - len(columns))
    return [column.width or flexible for column in columns]
