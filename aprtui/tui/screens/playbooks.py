"""View 1: the playbooks at hand, what became of each the last time, and what is wrong with those that do not load."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import ClassVar

from textual import on
from textual.widget import Widget

from aprtui.playbook.kinds import DocumentKind
from aprtui.playbook.listing import Listed
from aprtui.store.filters import Filter
from aprtui.store.plan import RunPlan
from aprtui.store.run_folder import RunFolder
from aprtui.store.run_list import RunSummary
from aprtui.tui.keys import bindings
from aprtui.tui.paint import Line, Span
from aprtui.tui.screens.run_actions import RunActions
from aprtui.tui.widgets.lines import Lines
from aprtui.tui.widgets.row_table import Column, RowTable
from aprtui.tui.words import ago, duration, local_time, result_span

_LETTERS = {"S": "ST", "G": "GGUF", "A": "APR"}
_SORTS = ("name", "last run", "result")


class PlaybookSource:
    """The rows."""

    def __init__(self) -> None:
        self.entries: list[Listed] = []
        self.shown: list[Listed] = []
        self.last: dict[str, RunSummary] = {}
        self.filter = Filter("")
        self.failures_only = False
        self.sort, self.reverse = 0, False
        self._width = 0

    def __len__(self) -> int:
        return len(self.shown)

    def refresh(self) -> None:
        """Choose and order the rows."""
        entries = [self.entries[at] for at in self.filter.names([entry_name(entry) for entry in self.entries])]
        if self.failures_only:
            entries = [one for one in entries if one.error or self._failed(one) > 0]
        if self.sort == 1:
            entries.sort(key=self._last_id, reverse=True)
        elif self.sort == 2:
            entries.sort(key=lambda one: -self._failed(one))
        if self.reverse:
            entries.reverse()
        self.shown = entries

    def _last_id(self, entry: Listed) -> str:
        run = self.run(entry)
        return run.run_id if run is not None else ""

    def _failed(self, entry: Listed) -> int:
        run = self.run(entry)
        return run.failed if run is not None else -1

    def run(self, entry: Listed) -> RunSummary | None:
        """The last run of a playbook, by its file."""
        return self.last.get(str(entry.path.resolve()))

    def columns(self, width: int) -> Sequence[Column]:
        """More of them where there is room."""
        self._width = width
        columns = [Column("PLAYBOOK", 0, sorted=self.sort == 0), Column("FORMATS", 13)]
        if width >= 110:
            columns.append(Column("MODEL", 40, keep_end=True))
        return [
            *columns,
            Column("LAST RUN", 10, sorted=self.sort == 1),
            Column("RESULT", 19, sorted=self.sort == 2),
        ]

    def cells(self, position: int) -> Sequence[Span]:
        """A playbook, or a file that is none."""
        entry = self.shown[position]
        name = entry_name(entry)
        if entry.error:
            return [(name, "text"), (f"! {problem(entry)}", "fail")]
        playbook = entry.playbook
        if playbook is None:
            kind = entry.document.kind.value if entry.document is not None else ""
            return [(name, "muted"), (kind, "muted")]
        formats = " ".join(_LETTERS[letter.value] for letter in playbook.model.formats)
        cells: list[Span] = [(name, "text"), (formats, "muted")]
        if self._width >= 110:
            cells.append((playbook.model.hf_repo or "", "muted"))
        run = self.run(entry)
        if run is None:
            return [*cells, ("—", "muted"), ("· never run", "muted")]
        word, paint = result_span(run)
        is_old = run.plan is not None and run.plan.playbook.fingerprint not in ("", playbook.fingerprint)
        return [*cells, (ago(run.started), "muted"), (f"{word} old" if is_old else word, "warn" if is_old else paint)]


def entry_name(entry: Listed) -> str:
    """Name of a playbook in the list: the file's, which is what is typed."""
    return entry.path.name.removesuffix(".yaml").removesuffix(".yml").removesuffix(".playbook")


def problem(entry: Listed) -> str:
    """Why it does not load, the line first; which file it is, stands beside it."""
    return entry.error.removeprefix(f"{entry.path}, ").removeprefix(f"{entry.path}: ")


class PlaybooksScreen(RunActions):
    """Home."""

    NAME = "playbooks"
    NUMBER = 1
    BINDINGS: ClassVar = bindings("playbooks")
    CSS = "PlaybooksScreen #about { height: 4; border-top: solid $apr-line; }"

    def __init__(self) -> None:
        super().__init__()
        self.source = PlaybookSource()

    def compose_body(self) -> Iterable[Widget]:
        """List, and what is known of the chosen one."""
        yield RowTable(self.source, id="table")
        yield Lines(id="about")

    def on_mount(self) -> None:
        """Show what has been read so far."""
        self.table.focus()
        self.refresh_list()

    @property
    def table(self) -> RowTable:
        """The list."""
        return self.query_one("#table", RowTable)

    @property
    def entry(self) -> Listed | None:
        """The chosen playbook."""
        return self.source.shown[self.table.cursor] if self.source.shown else None

    def refresh_list(self) -> None:
        """Playbooks or runs changed."""
        source, console = self.source, self.console
        chosen = self.entry.path if self.is_ready and self.entry is not None else None
        source.entries = console.playbooks
        source.last = {}
        for run in console.runs:
            if run.plan is not None:
                source.last.setdefault(str(Path(run.plan.playbook.path).resolve()), run)
        source.refresh()
        if self.is_ready:
            self.table.empty = self._empty_lines()
            position = next((at for at, one in enumerate(source.shown) if one.path == chosen), self.table.cursor)
            self.table.rebuild(position)
            self.refresh_chrome()

    def _empty_lines(self) -> tuple[Line, ...]:
        if not self.console.playbooks_read:
            return (((("  reading playbooks …"), "muted"),),)
        if self.source.entries:
            return (((f"  0 of {len(self.source.entries)} match · esc clears the filter, f shows all", "warn"),),)
        folders = ", ".join(str(folder) for folder in self.console.playbook_folders())
        return (
            (("  There are no playbooks.", "text"),),
            ((f"  looked in {folders}", "muted"),),
            (("  aprtui init MODEL writes one; playbook_folders in the settings names more places", "muted"),),
        )

    def status(self) -> Line:
        """How many."""
        spans: list[Span] = [("fails only  ", "accent")] if self.source.failures_only else []
        if self.source.filter:
            spans.append((f"/{self.source.filter.text}  ", "accent"))
        return [*spans, (f"{len(self.source.shown)} of {len(self.source.entries)} ", "muted")]

    def refresh_chrome(self) -> None:
        """Also what is known of the chosen playbook."""
        super().refresh_chrome()
        if self.is_ready:
            self.query_one("#about", Lines).show(*self._about())

    def _about(self) -> list[Line]:
        entry = self.entry
        if entry is None:
            return []
        path: Line = ((f" {entry.path}", "muted"),)
        if entry.playbook is None:
            what = entry.document.kind.value if entry.document is not None else "not read"
            run = self.source.run(entry)
            last: Line = ((f" last good run {run.run_id}", "muted"),) if entry.error and run is not None else ()
            return [((f" {problem(entry) or what}", "warn"),), path, last]
        playbook = entry.playbook
        first: list[Span] = [
            (f" {playbook.name} {playbook.version}", "strong"),
            (f"  {playbook.model.hf_repo}", "text"),
        ]
        if playbook.complaints:
            first.append((f"  {len(playbook.complaints)} keys without effect", "muted"))
        run = self.source.run(entry)
        if run is None:
            return [first, path, ((" never run: r opens the launch dialog", "muted"),)]
        took = ""
        if run.started is not None and run.ended is not None:
            took = f"  took {duration((run.ended - run.started).total_seconds())}"
        line: Line = (
            (f" last  {local_time(run.started)}  run {run.run_id}  ", "muted"),
            result_span(run),
            (took, "muted"),
        )
        return [first, path, line]

    @on(RowTable.Moved)
    def _moved(self) -> None:
        self.refresh_chrome()

    @on(RowTable.Opened)
    def _opened(self) -> None:
        folder = self.folder()
        if folder is not None:
            self.console.open_run(folder)
        else:
            self.action_start_run()

    def folder(self) -> RunFolder | None:
        """The last run of the chosen playbook."""
        entry = self.entry
        run = self.source.run(entry) if entry is not None else None
        return run.folder if run is not None else None

    def plan(self) -> RunPlan | None:
        """Its plan."""
        entry = self.entry
        run = self.source.run(entry) if entry is not None else None
        return run.plan if run is not None else None

    def playbook(self) -> Path | None:
        """The chosen playbook, if it is one."""
        entry = self.entry
        if entry is None or (entry.document is not None and entry.document.kind is not DocumentKind.PLAYBOOK):
            return None
        return entry.path

    def focus_body(self) -> None:
        """The list."""
        self.table.focus()

    def apply_filter(self, wanted: Filter) -> None:
        """By name."""
        self.source.filter = wanted
        self._rearrange()

    def action_failures_only(self) -> None:
        """Those that failed the last time, or do not load."""
        self.source.failures_only = not self.source.failures_only
        self._rearrange()

    def action_sort(self) -> None:
        """The next column."""
        self.source.sort = (self.source.sort + 1) % len(_SORTS)
        self._rearrange()

    def action_reverse(self) -> None:
        """The other way round."""
        self.source.reverse = not self.source.reverse
        self._rearrange()

    def _rearrange(self) -> None:
        self.source.refresh()
        self.table.empty = self._empty_lines()
        self.table.rebuild()
        self.refresh_chrome()
