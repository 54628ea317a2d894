"""What the five views have in common: two lines above, the filter, one line of facts, the keys."""

from __future__ import annotations

import socket
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import ClassVar

from rich.cells import cell_len
from textual import events, on
from textual.app import ComposeResult
from textual.widget import Widget
from textual.widgets import Input

from aprtui.store.filters import Filter, FilterError
from aprtui.tui.keys import ANYWHERE, LIST, TEXT, VIEWS, keys_for
from aprtui.tui.paint import Line, Span, fit, shown
from aprtui.tui.screens.base import BaseScreen
from aprtui.tui.screens.dialog import AskDialog
from aprtui.tui.widgets.lines import Lines, wrapped

SMALLEST = (60, 16)
_MOST_NOTICE_LINES = 3
_TEXTS = ("tensor", "log")


class ConsoleScreen(BaseScreen[None]):
    """A screen of the console.

    Attributes:
        NAME: As the table of keys spells it.
    """

    NAME: ClassVar[str] = ""
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (120, "-medium"), (160, "-wide")]  # noqa: RUF012 - as Textual declares it
    VERTICAL_BREAKPOINTS = [(0, "-short"), (30, "-middle"), (45, "-tall")]  # noqa: RUF012

    def compose(self) -> ComposeResult:
        """Above, the body, below."""
        yield from self.compose_above()
        yield from self.compose_body()
        yield Lines(id="notice")
        yield Lines(id="fact")
        yield Lines(id="keys")
        yield Lines(id="too-small")

    def compose_above(self) -> Iterable[Widget]:
        """The lines above the body."""
        yield Lines(id="top")

    def compose_body(self) -> Iterable[Widget]:
        """The body."""
        raise NotImplementedError

    def on_mount(self) -> None:
        """Fill the lines."""
        self.refresh_chrome()

    def on_resize(self, event: events.Resize) -> None:
        """The lines have another width."""
        width, height = event.size
        small = width < SMALLEST[0] or height < SMALLEST[1]
        self.set_class(small, "-cramped")
        text = f"aprtui needs {SMALLEST[0]}x{SMALLEST[1]}, this is {width}x{height}"
        self.query_one("#too-small", Lines).show([(text, "warn")])
        self.refresh_chrome()

    def on_screen_resume(self) -> None:
        """The screen is in front again."""
        self.refresh_chrome()

    @property
    def key_places(self) -> tuple[str, ...]:
        """Its own, those of its panes, those of the console."""
        return (self.NAME, *(("tree",) if self.NAME == "diff" else ()), TEXT if self.NAME in _TEXTS else LIST, ANYWHERE)

    def refresh_chrome(self) -> None:
        """Write the lines above and below anew; only what differs is drawn."""
        if not self.is_ready or not self.size.width:
            return
        width = self.size.width
        left, right = self.top_line()
        self.query_one("#top", Lines).show(spread(left, right, width))
        self._show_notice(width)
        self.query_one("#fact", Lines).show(self.fact_line())
        keys = key_line(self.NAME, width, self.console.remapped_keys, ascii_only=self.console.ascii_only)
        self.query_one("#keys", Lines).show(keys)

    def _show_notice(self, width: int) -> None:
        """What stays wrong until somebody mends it; takes no place otherwise."""
        notice, problem = self.query_one("#notice", Lines), self.console.watcher.problem
        lines = wrapped(f"✗ {problem}", width - 1, "warn", " ")[:_MOST_NOTICE_LINES] if problem else []
        notice.styles.height = len(lines)
        notice.show(*lines)

    def top_line(self) -> tuple[Line, Line]:
        """Left and right part of the first line."""
        console = self.console
        left: list[Span] = [(" aprtui", "title"), (f" · {socket.gethostname()}", "muted")]
        left += [(f" · {part}", "text") for part in self.subject()]
        right: list[Span] = []
        if console.options.readonly:
            right.append(("read-only  ", "warn"))
        if console.live_runs:
            word = "run" if console.live_runs == 1 else "runs"
            right.append((f"▶ {console.live_runs} {word} live  ", "run"))
        right.append(("watch ON " if console.watching else "watch OFF", "run" if console.watching else "muted"))
        right.append((f"  {datetime.now():%H:%M} ", "muted"))
        return left, right

    def subject(self) -> list[str]:
        """What the screen is about, for the first line."""
        return []

    def fact_line(self) -> Line:
        """The line above the keys."""
        return ()

    def action_back(self) -> None:
        """Leave the screen; the views stay."""
        if len(self.app.screen_stack) > 1:
            self.dismiss(None)


class ViewScreen(ConsoleScreen):
    """One of the five views."""

    NUMBER: ClassVar[int] = 0

    def compose_above(self) -> Iterable[Widget]:
        """First line, tabs."""
        yield Lines(id="top")
        yield Lines(id="tabs")

    def compose(self) -> ComposeResult:
        """The filter's input stands above the line of facts."""
        yield from self.compose_above()
        yield from self.compose_body()
        yield Lines(id="notice")
        yield Input(id="filter", placeholder="filter: words, !words, dtype:q4_K, margin>2", compact=True)
        yield Lines(id="fact")
        yield Lines(id="keys")
        yield Lines(id="too-small")

    def refresh_chrome(self) -> None:
        """Also the tabs."""
        super().refresh_chrome()
        if self.is_ready and self.size.width:
            status, width = self.status(), self.size.width
            tabs = tab_spans(self.NUMBER, self.console.unread_log)
            self.query_one("#tabs", Lines).show(spread(tabs, squeezed(status, width - cells(tabs)), width))

    def status(self) -> Line:
        """Right of the tabs: how many rows of how many, filter, order."""
        return ()

    def on_click(self, event: events.Click) -> None:
        """A click on a tab."""
        if event.widget is not None and event.widget.id == "tabs":
            x = 1
            for number, name in enumerate(VIEWS, start=1):
                x += len(name) + 4
                if event.x < x:
                    self.console.action_view(number)
                    break

    def action_filter(self) -> None:
        """Open the filter."""
        box = self.query_one("#filter", Input)
        box.add_class("-on")
        box.focus()

    @property
    def has_filter(self) -> bool:
        """Whether there is a filter, or one is being typed."""
        box = self.query_one("#filter", Input)
        return box.has_class("-on") or bool(box.value)

    def action_back(self) -> None:
        """Clear the filter; a view itself stays."""
        if self.has_filter:
            self._close_filter(keep=False)
        elif len(self.app.screen_stack) > 1:
            self.dismiss(None)

    @on(Input.Changed, "#filter")
    def _typed(self, event: Input.Changed) -> None:
        try:
            wanted = Filter(event.value)
        except FilterError as error:
            self.query_one("#fact", Lines).show([(f" {error}", "warn")])
            return
        self.apply_filter(wanted)
        self.refresh_chrome()

    @on(Input.Submitted, "#filter")
    def _entered(self, event: Input.Submitted) -> None:
        try:
            Filter(event.value)
        except FilterError as error:
            self.query_one("#fact", Lines).show([(f" {error}", "warn")])
            return
        self._close_filter(keep=True)

    def _close_filter(self, *, keep: bool) -> None:
        box = self.query_one("#filter", Input)
        if not keep:
            box.value = ""
        box.remove_class("-on")
        self.focus_body()

    def clear_filter(self) -> None:
        """Show everything, at once."""
        self.apply_filter(Filter(""))
        self._close_filter(keep=False)

    def ask_what_to_copy(self, choices: Mapping[str, str]) -> None:
        """Copy one of these texts, which are chosen by their names."""
        if not choices:
            self.console.say("there is nothing to copy", "warning")
            return

        def answered(answer: str | None) -> None:
            if answer is not None:
                self.console.copy(choices[answer], answer)

        self.app.push_screen(AskDialog("Copy", "What to copy", tuple(choices)), answered)

    def focus_body(self) -> None:
        """Where keys go when the filter closes."""

    def apply_filter(self, wanted: Filter) -> None:
        """Show what fits."""


def cells(line: Line) -> int:
    """Width of a line as it is shown."""
    return sum(cell_len(shown(text)) for text, _ in line)


def squeezed(line: Line, room: int) -> Line:
    """The spans, the longest of them cut where they do not fit: a filter is long, a count is not."""
    over = cells(line) - room
    if over <= 0:
        return line
    longest = max(range(len(line)), key=lambda at: cell_len(shown(line[at][0])))
    spans = list(line)
    text, paint = spans[longest]
    safe = shown(text).rstrip()
    # Two blanks keep it off what follows.
    kept = max(4, cell_len(shown(text)) - over - 2)
    spans[longest] = (f"{fit(safe, kept).rstrip()}  ", paint)
    return spans


def spread(left: Line, right: Line, width: int) -> Line:
    """Spans at both ends of a line; the left ones are cut where both do not fit."""
    room = max(0, width - cells(right))
    if cells(left) > room:
        # What is cut does not touch what follows.
        right = [(" ", "text"), *right]
        room = max(0, room - 1)
    spans: list[Span] = []
    for text, paint in left:
        safe = shown(text)
        length = cell_len(safe)
        if length > room:
            safe = fit(safe, room) if room > 2 else ""
            length = cell_len(safe)
        spans.append((safe, paint))
        room -= length
    return [*spans, (" " * room, "text"), *right]


def tab_spans(number: int, unread: int) -> list[Span]:
    """The five views, the open one in brackets."""
    spans: list[Span] = [(" ", "tab")]
    for position, name in enumerate(VIEWS, start=1):
        count = f"({min(unread, 999)})" if name == "Log" and unread and position != number else ""
        if position == number:
            spans.append((f"[{position} {name}] ", "tab-on"))
        else:
            spans.append((f" {position} {name}{count} ", "tab"))
    return spans


def key_line(screen: str, width: int, remapped: dict[str, str], *, ascii_only: bool = False) -> Line:
    """The keys that matter now, as many as fit; help, palette and the way out always do."""
    always = ("help", "palette", "quit" if screen in {name.lower() for name in VIEWS} else "back")
    entries = [(key, shown(press, ascii_only=ascii_only)) for key, press in keys_for(screen, remapped)]
    entries = [(key, press) for key, press in entries if key.key_id not in ("quit", "back") or key.key_id in always]
    room = width - 1 - sum(_entry_width(press, key.label) for key, press in entries if key.key_id in always)
    spans: list[Span] = [(" ", "text")]
    kept = []
    for key, press in entries:
        needed = _entry_width(press, key.label)
        if key.key_id not in always:
            if needed > room:
                continue
            room -= needed
        kept.append((key, press))
    for key, press in kept:
        spans += [(press, "key"), (f" {key.label}  ", "text")]
    return spans


def _entry_width(press: str, label: str) -> int:
    return cell_len(press) + cell_len(label) + 3
