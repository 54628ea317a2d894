"""View 1: the playbooks at hand, what became of each the last time, and what is wrong with those that do not load."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.widget import Widget

from aprtui.store.plan import RunPlan
from aprtui.store.run_folder import RunFolder
from aprtui.store.run_list import RunSummary
from aprtui.tui.keys import bindings
from aprtui.tui.paint import Line, Span, fit_path
from aprtui.tui.screens.listing import ListScreen, ListSource, Order
from aprtui.tui.screens.run_actions import RunActions
from aprtui.tui.widgets.lines import Lines, in_two
from aprtui.tui.widgets.row_table import Column, RowTable
from aprtui.tui.words import ago, duration, local_time, plural, result_span

if TYPE_CHECKING:
    from aprtui.playbook.listing import Listed

_LETTERS = {"S": "ST", "G": "GGUF", "A": "APR"}


class PlaybookSource(ListSource["Listed"]):
    """The rows.

    Attributes:
        last: The last run of each playbook, by its file.
    """

    def __init__(self) -> None:
        super().__init__()
        self.last: dict[str, RunSummary] = {}

    def name(self, entry: Listed) -> str:
        """As the list shows it."""
        return entry_name(entry)

    def key(self, entry: Listed) -> Path:
        """Its file."""
        return entry.path

    def orders(self) -> Sequence[Order[Listed]]:
        """By name, last run, result."""
        return (
            Order("PLAYBOOK", entry_name),
            Order("LAST RUN", self._started, is_descending=True),
            Order("RESULT", lambda one: (self.failed(one), self._failed(one)), is_descending=True),
        )

    def failed(self, entry: Listed) -> bool:
        """Its last run failed or died, or it does not load."""
        run = self.run(entry)
        return bool(entry.error) or (run is not None and run.is_failure)

    def _started(self, entry: Listed) -> float:
        run = self.run(entry)
        return run.started.timestamp() if run is not None and run.started is not None else 0.0

    def _failed(self, entry: Listed) -> int:
        run = self.run(entry)
        return -1 if run is None else max(run.failed, int(run.is_failure))

    def run(self, entry: Listed) -> RunSummary | None:
        """The last run of a playbook, by its file."""
        return self.last.get(str(entry.path.resolve()))

    def all_columns(self) -> Sequence[Column]:
        """More of them where there is room."""
        model = [Column("MODEL", 40, keep_end=True)] if self.is_wide else []
        file = [Column("FILE", 0, keep_end=True)] if self.has_room else []
        return [
            Column("PLAYBOOK", 36 if file else 0),
            Column("FORMATS", 13),
            *model,
            Column("LAST RUN", 10),
            Column("RESULT", 19),
            *file,
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
        if self.is_wide:
            cells.append((playbook.model.hf_repo or "", "muted"))
        run = self.run(entry)
        if run is None:
            return [*cells, ("—", "muted"), ("· never run", "muted"), *self._file(entry)]
        word, paint = result_span(run)
        is_old = run.plan is not None and run.plan.playbook.fingerprint not in ("", playbook.fingerprint)
        result = (f"{word} old" if is_old else word, "warn" if is_old else paint)
        return [*cells, (ago(run.started), "muted"), result, *self._file(entry)]

    def _file(self, entry: Listed) -> list[Span]:
        return [(str(entry.path), "muted")] if self.has_room else []


def entry_name(entry: Listed) -> str:
    """Name of a playbook in the list: the file's, which is what is typed."""
    return entry.path.name.removesuffix(".yaml").removesuffix(".yml").removesuffix(".playbook")


def problem(entry: Listed) -> str:
    """Why it does not load, the line first; which file it is, stands beside it."""
    return entry.error.removeprefix(f"{entry.path}, ").removeprefix(f"{entry.path}: ")


class PlaybooksScreen(ListScreen["Listed"], RunActions):
    """Home."""

    NAME = "playbooks"
    NUMBER = 1
    BINDINGS: ClassVar = bindings("playbooks")

    def __init__(self) -> None:
        super().__init__()
        self.source: PlaybookSource = PlaybookSource()

    def compose_body(self) -> Iterable[Widget]:
        """List, and what is known of the chosen one."""
        yield from super().compose_body()
        yield Lines(id="about")

    def on_mount(self) -> None:
        """Show what has been read so far."""
        self.table.focus()
        self.refresh_list()

    def refresh_list(self) -> None:
        """Playbooks or runs changed."""
        self.source.last = {}
        for run in self.console.runs:
            if run.plan is not None:
                self.source.last.setdefault(str(Path(run.plan.playbook.path).resolve()), run)
        self.show_entries(self.console.playbooks)

    def none_lines(self) -> tuple[Line, ...]:
        """Where playbooks were looked for."""
        if not self.console.playbooks_read:
            return ((("  reading playbooks …", "muted"),),)
        folders = ", ".join(str(folder) for folder in self.console.playbook_folders())
        return (
            (("  There are no playbooks.", "text"),),
            ((f"  looked in {folders}", "muted"),),
            (("  aprtui init MODEL writes one; playbook_folders in the settings names more places", "muted"),),
        )

    def refresh_chrome(self) -> None:
        """Also what is known of the chosen playbook."""
        super().refresh_chrome()
        if self.is_ready:
            self.query_one("#about", Lines).show(*self._about())

    def _about(self) -> list[Line]:
        entry = self.entry
        if entry is None:
            return []
        run = self.source.run(entry)
        if entry.playbook is None:
            what = entry.document.kind.value if entry.document is not None else "not read"
            first_line, rest = in_two(problem(entry) or what, self.size.width - 2)
            last = f" last good run {run.run_id} · " if entry.error and run is not None else " "
            where = f"{last}{fit_path(entry.path, self.size.width - len(last) - 1)}"
            return [((f" {first_line}", "warn"),), *([((f" {rest}", "warn"),)] if rest else []), ((where, "muted"),)]
        path: Line = ((f" {fit_path(entry.path, self.size.width - 2)}", "muted"),)
        playbook = entry.playbook
        first: list[Span] = [
            (f" {playbook.name} {playbook.version}", "strong"),
            (f"  {playbook.model.hf_repo}", "text"),
        ]
        if playbook.complaints:
            first.append((f"  {plural(len(playbook.complaints), 'key')} without effect", "muted"))
        if run is None:
            return [first, path, ((" never run: r opens the launch dialog", "muted"),)]
        took = ""
        if run.seconds is not None:
            took = f"  took {duration(run.seconds)}"
        line: Line = (
            (f" last  {local_time(run.started)}  run {run.run_id}  ", "muted"),
            result_span(run),
            (took, "muted"),
        )
        return [first, path, line]

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
        if entry is None or entry.is_other_kind:
            return None
        return entry.path
