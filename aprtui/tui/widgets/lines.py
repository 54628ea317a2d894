"""A widget that shows painted lines: bars, facts, panels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from rich.cells import cell_len, chop_cells
from textual.geometry import Region, Size
from textual.scroll_view import ScrollView
from textual.scrollbar import ScrollBarRender
from textual.strip import Strip
from textual.widget import Widget

from aprtui.core.safe_text import safe_text
from aprtui.tui.keys import TEXT, bindings
from aprtui.tui.paint import Line, Painter, Span

_LONGEST_WRAPPED = 4000


class PlainScrollBarRender(ScrollBarRender):
    """A scroll bar of whole cells: the halves and eighths that Textual draws are not ASCII."""

    VERTICAL_BARS: ClassVar[list[str]] = [" "] * 8
    HORIZONTAL_BARS: ClassVar[list[str]] = [" "] * 8


def plain_scroll_bar(widget: ScrollView) -> None:
    """Give a widget such a scroll bar, where the terminal shows ASCII alone."""
    widget.vertical_scrollbar.renderer = PlainScrollBarRender  # type: ignore[misc]  # of this bar alone


class Lines(Widget):
    """Lines that fit their place; what does not fit is cut.

    Args:
        lines: What to show.
    """

    def __init__(self, *lines: Line, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self._lines: list[Line] = list(lines)
        self.painter = Painter(self)

    @property
    def lines(self) -> Sequence[Line]:
        """What is shown."""
        return self._lines

    def show(self, *lines: Line) -> None:
        """Show other lines; only those that differ are drawn again."""
        if len(lines) != len(self._lines):
            self._lines = list(lines)
            self.refresh()
            return
        for number, (old, new) in enumerate(zip(self._lines, lines, strict=True)):
            if list(old) != list(new):
                self._lines[number] = new
                self.refresh(Region(0, number, self.size.width, 1))

    def notify_style_update(self) -> None:
        """Textual's notice that colours changed."""
        self.painter.forget()
        super().notify_style_update()

    def render_line(self, y: int) -> Strip:
        """A line of the widget."""
        line = self._lines[y] if y < len(self._lines) else ()
        return self.painter.strip(line, self.size.width)


class ScrollingLines(ScrollView, can_focus=True, inherit_bindings=False):
    """Lines that can be scrolled, such as a log or the detail of a tensor."""

    BINDINGS = bindings(TEXT)

    def __init__(self, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self._lines: list[Line] = []
        self.painter = Painter(self)

    def on_mount(self) -> None:
        """A plain scroll bar where asked."""
        if self.painter.ascii_only:
            plain_scroll_bar(self)

    @property
    def lines(self) -> Sequence[Line]:
        """What is shown."""
        return self._lines

    def show(self, lines: Sequence[Line]) -> None:
        """Show other lines; the place in them stays."""
        if list(lines) == self._lines:
            return
        same_length = len(lines) == len(self._lines)
        old, self._lines = self._lines, list(lines)
        if same_length:
            for number, (before, after) in enumerate(zip(old, self._lines, strict=True)):
                if before != after:
                    self.refresh_line(number)
            return
        self.virtual_size = Size(self.size.width, len(self._lines))
        self.refresh()

    def action_scroll(self, halves: int, lines: int) -> None:
        """Scroll by half pages and lines."""
        by = halves * max(1, self.size.height // 2) + lines
        self.scroll_to(y=self.scroll_offset.y + by, animate=False)

    def action_scroll_home(self) -> None:
        """To the beginning."""
        self.scroll_home(animate=False)

    def action_scroll_end(self) -> None:
        """To the end."""
        self.scroll_end(animate=False)

    def notify_style_update(self) -> None:
        """Textual's notice that colours changed."""
        self.painter.forget()
        super().notify_style_update()

    def render_line(self, y: int) -> Strip:
        """A line in sight."""
        number = y + self.scroll_offset.y
        line = self._lines[number] if number < len(self._lines) else ()
        return self.painter.strip(line, self.size.width)


def wrapped(text: str, width: int, paint: str = "text", indent: str = "") -> list[Line]:
    """A text in lines of at most this many cells, cut at blanks, each line of it after an indent."""
    lines: list[Line] = []
    current: list[str] = []
    used = 0
    room = max(8, width - len(indent))
    for raw in safe_text(text, _LONGEST_WRAPPED).split(" "):
        word = raw
        if cell_len(word) > room:
            if current:
                lines.append(_line(indent, current, paint))
                current, used = [], 0
            *parts, word = chop_cells(word, room)
            lines += [_line(indent, [part], paint) for part in parts]
        if used + cell_len(word) + bool(current) > room and current:
            lines.append(_line(indent, current, paint))
            current, used = [], 0
        current.append(word)
        used += cell_len(word) + (len(current) > 1)
    if current:
        lines.append(_line(indent, current, paint))
    return lines


def in_two(text: str, width: int) -> tuple[str, str]:
    """What fits on one line of this width, and what is left for others."""
    safe = safe_text(text, _LONGEST_WRAPPED)
    first = wrapped(safe, width)[0][0][0]
    return first, safe[len(first) :].lstrip(" ")


def _line(indent: str, words: list[str], paint: str) -> list[Span]:
    return [(indent + " ".join(words), paint)]
