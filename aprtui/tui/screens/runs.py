"""View 3: the runs of this user, newest first, those of other hosts too."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from textual import on

from aprtui.store.plan import RunPlan
from aprtui.store.run_folder import RunFolder, RunState
from aprtui.store.run_list import RunSummary
from aprtui.tui.keys import bindings
from aprtui.tui.paint import Line, Span, fit_path
from aprtui.tui.screens.listing import ListScreen, ListSource, Order
from aprtui.tui.screens.run_actions import RunActions
from aprtui.tui.widgets.row_table import Column, RowTable
from aprtui.tui.words import ago, duration, result_span


class RunSource(ListSource[RunSummary]):
    """The rows."""

    def name(self, entry: RunSummary) -> str:
        """Id and playbook."""
        return f"{entry.run_id} {_name(entry)}"

    def key(self, entry: RunSummary) -> RunFolder:
        """Its folder."""
        return entry.folder

    def orders(self) -> Sequence[Order[RunSummary]]:
        """Newest first, by playbook, by result."""
        return (
            Order("RUN", None, is_descending=True),
            Order("PLAYBOOK", _name),
            Order("RESULT", lambda run: (run.is_failure, run.failed), is_descending=True),
        )

    def failed(self, entry: RunSummary) -> bool:
        """As the run says."""
        return entry.is_failure

    def all_columns(self) -> Sequence[Column]:
        """More of them where there is room."""
        more = [Column("TOOK", 9), Column("CONVERTER", 18), Column("HOST", 16)] if self.is_wide else []
        more += [Column("FOLDER", 0, keep_end=True)] if self.has_room else []
        return [
            Column("RUN", 20),
            Column("PLAYBOOK", 36 if self.has_room else 0),
            Column("RESULT", 17),
            Column("BEGAN", 10),
            *more,
        ]

    def cells(self, position: int) -> Sequence[Span]:
        """A run."""
        run = self.shown[position]
        if run.problem or run.plan is None:
            return [(run.run_id, "text"), ("! its folder cannot be read", "crash")]
        cells: list[Span] = [(run.run_id, "text"), (_name(run), "text"), result_span(run), (ago(run.started), "muted")]
        if self.is_wide:
            took = "" if run.seconds is None else duration(run.seconds)
            converter = run.plan.converter
            name = "none" if converter is None else f"{converter.name} {converter.version}"
            cells += [(took, "muted"), (name, "muted"), (run.host, "muted")]
        if self.has_room:
            cells.append((str(run.folder.path), "muted"))
        return cells


def _name(run: RunSummary) -> str:
    return run.plan.playbook.name if run.plan is not None else ""


class RunsScreen(ListScreen[RunSummary], RunActions):
    """The runs."""

    NAME = "runs"
    NUMBER = 3
    BINDINGS: ClassVar = bindings("runs")

    def __init__(self) -> None:
        super().__init__()
        self.source: RunSource = RunSource()

    def on_mount(self) -> None:
        """Show what has been read so far."""
        self.table.focus()
        self.refresh_list()

    def refresh_list(self) -> None:
        """Runs changed."""
        self.show_entries(self.console.runs)

    def none_lines(self) -> tuple[Line, ...]:
        """How to make one."""
        if not self.console.runs_read:
            return ((("  reading runs …", "muted"),),)
        return (
            (("  There are no runs yet.", "text"),),
            (("  1", "key"), (" shows the playbooks, ", "muted"), ("r", "key"), (" starts one", "muted")),
        )

    def fact_line(self) -> Line:
        """Where the chosen run is."""
        run = self.entry
        if run is None:
            return ()
        if run.problem:
            return ((f" {run.problem}", "warn"),)
        if run.state is RunState.ELSEWHERE:
            return ((f" runs on host {run.host}, process {run.pid}: shown, never signalled", "muted"),)
        if run.interrupted_by and run.state is RunState.INTERRUPTED:
            return ((f" interrupted: {run.interrupted_by}", "warn"),)
        pid = f"  process {run.pid}" if run.is_live else ""
        return ((f" {fit_path(run.folder.path, self.size.width - len(pid) - 2)}{pid}", "muted"),)

    @on(RowTable.Opened)
    def _opened(self) -> None:
        folder = self.folder()
        if folder is not None:
            self.console.open_run(folder)

    def folder(self) -> RunFolder | None:
        """The chosen run."""
        return self.entry.folder if self.entry is not None else None

    def plan(self) -> RunPlan | None:
        """Its plan."""
        return self.entry.plan if self.entry is not None else None

    def _state(self) -> RunState | None:
        return self.entry.state if self.entry is not None else None

    def playbook(self) -> Path | None:
        """Its playbook."""
        plan = self.plan()
        return Path(plan.playbook.path) if plan is not None else None

    def action_mark(self) -> None:
        """Mark the chosen run, or take the mark away."""
        self.table.mark()

    def action_compare(self) -> None:
        """The two that are marked, or the chosen one with another."""
        marked = [run.folder for run in self.marked]
        if len(marked) == 2:
            self.console.compare_runs(*marked)
        elif len(marked) > 2:
            self.console.say(f"c compares two marked runs, not {len(marked)}: esc clears the marks", "warning")
        else:
            super().action_compare()
