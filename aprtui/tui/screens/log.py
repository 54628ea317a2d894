"""View 5: what happened in the run, what its processes wrote, and what the console itself has to say."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from datetime import datetime
from heapq import merge
from itertools import islice
from typing import ClassVar

from rich.cells import cell_len
from textual import events
from textual.widget import Widget

from aprtui.report.event_text import journal_line_text
from aprtui.store.filters import Filter
from aprtui.store.run_view import LOG_LINES, RunView
from aprtui.tui.keys import bindings
from aprtui.tui.paint import Line, fit_path, shown
from aprtui.tui.screens.view import ViewScreen
from aprtui.tui.widgets.lines import ScrollingLines, in_two, wrapped

_TAIL = 64 << 10
_UNDER = " " * 11


class LogScreen(ViewScreen):
    """The log."""

    NAME = "log"
    NUMBER = 5
    BINDINGS: ClassVar = bindings("log")

    def __init__(self) -> None:
        super().__init__()
        self._filter = Filter("")
        self._seen = 0
        self._run: RunView | None = None
        self._journal: deque[tuple[datetime, Line]] = deque(maxlen=LOG_LINES)
        self._paused = False
        self._texts: list[str] = []

    def compose_body(self) -> Iterable[Widget]:
        """The lines."""
        yield ScrollingLines(id="log")

    @property
    def lines(self) -> ScrollingLines:
        """The lines."""
        return self.query_one("#log", ScrollingLines)

    def on_mount(self) -> None:
        """Show what there is."""
        self.lines.focus()
        self.fill()

    def on_screen_resume(self) -> None:
        """Everything counts as read, unless it is held still."""
        self._paused = self._paused and self.console.current is self._run
        if not self._paused:
            self.fill()

    def on_resize(self, event: events.Resize) -> None:
        """Long lines are wrapped at another width."""
        if event.size.width:
            self.fill()

    def fill(self, *, follow: bool = True) -> None:
        """Show all lines that fit the filter.

        Args:
            follow: Whether to go to the end; else the place stays, unless the end was in sight.
        """
        if not self.is_ready or not self.size.width:
            return
        follow = follow or self.lines.scroll_offset.y >= self.lines.max_scroll_y - 1
        if self.console.current is not self._run:
            self._run, self._seen = self.console.current, 0
            self._journal.clear()
        self._take_journal()
        # What programs wrote has no times; the rest stands as it happened.
        timed = merge(self._console_lines(), self._journal, key=lambda one: one[0])
        lines = [*self._stderr_lines(), *(line for _, line in timed)]
        wanted = self._filter.names([line[0][0] for line in lines])
        self._texts = [lines[at][0][0].strip() for at in wanted]
        shown = [part for at in wanted for part in _in_parts(lines[at], self.size.width - 1)]
        self.lines.show(shown or [((self._empty(len(lines)), "muted"),)])
        if follow:
            self.lines.scroll_end(animate=False)
        self.console.unread_log = 0

    def _empty(self, count: int) -> str:
        if count:
            return f"  0 of {count} lines match · esc clears the filter"
        alone = self._run is not None and self._run.is_evidence
        return "  Evidence alone holds no log." if alone else "  Nothing has happened yet."

    def _console_lines(self) -> list[tuple[datetime, Line]]:
        return [(time, ((f" {time:%H:%M:%S}  console  {text}", "muted"),)) for time, text in self.console.messages]

    def _stderr_lines(self) -> list[Line]:
        """The end of what converters and workers wrote."""
        if self._run is None:
            return []
        try:
            with self._run.folder.stderr.open("rb") as file:
                file.seek(0, 2)
                file.seek(max(0, file.tell() - _TAIL))
                text = file.read().decode("utf-8", "replace")
        except OSError:
            return []
        return [((f" stderr    {line}", "warn"),) for line in text.splitlines()]

    def _take_journal(self) -> None:
        """Lines of the journal that came since somebody looked."""
        if self._run is None or self._run.is_evidence:
            return
        log = self._run.log
        new = min(self._run.logged - self._seen, len(log))
        for line in islice(log, len(log) - new, None):
            text = journal_line_text(line)
            paint = "fail" if "  FAIL  " in text else "crash" if "Crashed" in text or "ended at" in text else "text"
            self._journal.append((line.time.astimezone().replace(tzinfo=None), ((f" {text}", paint),)))
        self._seen = self._run.logged

    def run_changed(self) -> None:
        """The journal brought lines."""
        if not self._paused:
            view = self.console.current
            if view is self._run and view is not None and view.logged == self._seen:
                return
            self.fill(follow=False)
            self.refresh_chrome()

    def message_came(self) -> None:
        """The console itself has something to say."""
        if not self._paused:
            self.fill(follow=False)

    def status(self) -> Line:
        """Filter and pause."""
        text = "PAUSED  " if self._paused else ""
        return [(text, "warn"), (f"/{self._filter.text} " if self._filter else "", "accent")]

    def fact_line(self) -> Line:
        """Where all of it stands."""
        if self._run is None:
            return ()
        before = " journal.jsonl and stderr.log in "
        return ((f"{before}{fit_path(self._run.folder.path, self.size.width - len(before) - 1)}", "muted"),)

    def focus_body(self) -> None:
        """The lines."""
        self.lines.focus()

    def apply_filter(self, wanted: Filter) -> None:
        """By what stands in a line."""
        self._filter = wanted
        self.fill()

    def action_copy(self) -> None:
        """The lines that are shown, whole, or where all of them stand."""
        choices = {"lines": "\n".join(self._texts)} if self._texts else {}
        if self._run is not None:
            choices["path"] = str(self._run.folder.path)
        self.ask_what_to_copy(choices)

    def action_pause(self) -> None:
        """Hold still, or go on."""
        self._paused = not self._paused
        if not self._paused:
            self.fill(follow=False)
        self.refresh_chrome()


def _in_parts(line: Line, width: int) -> list[Line]:
    """A line as it is where it fits; else in parts, the later ones under what follows the time."""
    (text, paint), *_ = line
    if len(text) <= width // 2 or cell_len(shown(text)) <= width:
        return [line]
    first, rest = in_two(text.strip(), width - 1)
    return [[(f" {first}", paint)], *wrapped(rest, width, paint, _UNDER)]
