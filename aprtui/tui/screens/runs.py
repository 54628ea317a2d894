"""View 3: the runs of this user, newest first, those of other hosts too."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import ClassVar

from textual import on
from textual.widget import Widget

from aprtui.store.filters import Filter
from aprtui.store.plan import RunPlan
from aprtui.store.run_folder import RunFolder, RunState
from aprtui.store.run_list import RunSummary
from aprtui.tui.keys import bindings
from aprtui.tui.paint import Line, Span
from aprtui.tui.screens.run_actions import RunActions
from aprtui.tui.widgets.row_table import Column, RowTable
from aprtui.tui.words import ago, duration, result_span

_SORTS = ("newest first", "playbook", "result")


class RunSource:
    """The rows."""

    def __init__(self) -> None:
        self.runs: list[RunSummary] = []
        self.shown: list[RunSummary] = []
        self.filter = Filter("")
        self.failures_only = False
        self.sort, self.reverse = 0, False
        self._width = 0

    def __len__(self) -> int:
        return len(self.shown)

    def refresh(self) -> None:
        """Choose and order the rows."""
        names = [f"{run.run_id} {_name(run)}" for run in self.runs]
        runs = [self.runs[at] for at in self.filter.names(names)]
        if self.failures_only:
            runs = [run for run in runs if run.failed or run.problem]
        if self.sort == 1:
            runs.sort(key=_name)
        elif self.sort == 2:
            runs.sort(key=lambda run: -run.failed)
        if self.reverse:
            runs.reverse()
        self.shown = runs

    def columns(self, width: int) -> Sequence[Column]:
        """More of them where there is room."""
        self._width = width
        columns = [
            Column("RUN", 20, sorted=self.sort == 0),
            Column("PLAYBOOK", 0, sorted=self.sort == 1),
            Column("RESULT", 17, sorted=self.sort == 2),
            Column("BEGAN", 10),
        ]
        if width >= 110:
            columns += [Column("TOOK", 9), Column("CONVERTER", 18), Column("HOST", 16)]
        return columns

    def cells(self, position: int) -> Sequence[Span]:
        """A run."""
        run = self.shown[position]
        if run.problem or run.plan is None:
            return [(run.run_id, "text"), ("! its folder cannot be read", "crash")]
        cells: list[Span] = [(run.run_id, "text"), (_name(run), "text"), result_span(run), (ago(run.started), "muted")]
        if self._width >= 110:
            took = (
                "" if run.started is None or run.ended is None else duration((run.ended - run.started).total_seconds())
            )
            converter = run.plan.converter
            name = "none" if converter is None else f"{converter.name} {converter.version}"
            cells += [(took, "muted"), (name, "muted"), (run.host, "muted")]
        return cells


def _name(run: RunSummary) -> str:
    return run.plan.playbook.name if run.plan is not None else ""


class RunsScreen(RunActions):
    """The runs."""

    NAME = "runs"
    NUMBER = 3
    BINDINGS: ClassVar = bindings("runs")

    def __init__(self) -> None:
        super().__init__()
        self.source = RunSource()

    def compose_body(self) -> Iterable[Widget]:
        """The list."""
        yield RowTable(self.source, id="table")

    def on_mount(self) -> None:
        """Show what has been read so far."""
        self.table.focus()
        self.refresh_list()

    @property
    def table(self) -> RowTable:
        """The list."""
        return self.query_one("#table", RowTable)

    @property
    def run(self) -> RunSummary | None:
        """The chosen run."""
        return self.source.shown[self.table.cursor] if self.source.shown else None

    def refresh_list(self) -> None:
        """Runs changed."""
        if not self.is_ready:
            return
        chosen = self.run.folder if self.run is not None else None
        marked = {self.source.shown[at].folder for at in self.table.marked if at < len(self.source.shown)}
        self.source.runs = self.console.runs
        self.source.refresh()
        self.table.empty = self._empty_lines()
        self.table.marked = {at for at, run in enumerate(self.source.shown) if run.folder in marked}
        position = next((at for at, run in enumerate(self.source.shown) if run.folder == chosen), self.table.cursor)
        self.table.rebuild(position)
        self.refresh_chrome()

    def _empty_lines(self) -> tuple[Line, ...]:
        if not self.console.runs_read:
            return ((("  reading runs …", "muted"),),)
        if self.source.runs:
            return (((f"  0 of {len(self.source.runs)} match · esc clears the filter, f shows all", "warn"),),)
        return (
            (("  There are no runs yet.", "text"),),
            (("  1", "key"), (" shows the playbooks, ", "muted"), ("r", "key"), (" starts one", "muted")),
        )

    def status(self) -> Line:
        """How many."""
        spans: list[Span] = [("fails only  ", "accent")] if self.source.failures_only else []
        if self.source.filter:
            spans.append((f"/{self.source.filter.text}  ", "accent"))
        return [*spans, (f"{len(self.source.shown)} of {len(self.source.runs)} ", "muted")]

    def fact_line(self) -> Line:
        """Where the chosen run is."""
        run = self.run
        if run is None:
            return ()
        if run.problem:
            return ((f" {run.problem}", "warn"),)
        if run.state is RunState.ELSEWHERE:
            return ((f" runs on host {run.host}, process {run.pid}: shown, never signalled", "muted"),)
        pid = f"  process {run.pid}" if run.is_live else ""
        return ((f" {run.folder.path}{pid}", "muted"),)

    @on(RowTable.Moved)
    def _moved(self) -> None:
        self.refresh_chrome()

    @on(RowTable.Opened)
    def _opened(self) -> None:
        folder = self.folder()
        if folder is not None:
            self.console.open_run(folder)

    def folder(self) -> RunFolder | None:
        """The chosen run."""
        return self.run.folder if self.run is not None else None

    def plan(self) -> RunPlan | None:
        """Its plan."""
        return self.run.plan if self.run is not None else None

    def _state(self) -> RunState | None:
        return self.run.state if self.run is not None else None

    def playbook(self) -> Path | None:
        """Its playbook."""
        plan = self.plan()
        return Path(plan.playbook.path) if plan is not None else None

    def action_compare(self) -> None:
        """The two that are marked, or the chosen one with another."""
        marked = [self.source.shown[at].folder for at in sorted(self.table.marked, reverse=True)]
        if len(marked) == 2:
            self.console.compare_runs(marked[0], marked[1])
        else:
            super().action_compare()

    def focus_body(self) -> None:
        """The list."""
        self.table.focus()

    def apply_filter(self, wanted: Filter) -> None:
        """By id and playbook."""
        self.source.filter = wanted
        self._rearrange()

    def action_failures_only(self) -> None:
        """Those with failures."""
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
        self.table.marked = set()
        self.table.rebuild()
        self.refresh_chrome()
