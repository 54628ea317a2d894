"""The attach card: runs that went on, or ended, while no console was looking."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.containers import Vertical

from aprtui.store.run_folder import RunFolder
from aprtui.store.run_list import RunSummary
from aprtui.tui.keys import DIALOG, LIST, bindings
from aprtui.tui.paint import Span
from aprtui.tui.screens.dialog import Dialog
from aprtui.tui.services.children import command_line
from aprtui.tui.widgets.lines import Lines
from aprtui.tui.widgets.row_table import Column, RowTable
from aprtui.tui.words import result_span


class RunChoices:
    """Rows: runs to choose from."""

    def __init__(self, runs: Sequence[RunSummary]) -> None:
        self.runs = list(runs)

    def __len__(self) -> int:
        return len(self.runs)

    def columns(self, width: int) -> Sequence[Column]:
        """Run, playbook, state; when it began stands in the run's id."""
        return (Column("RUN", 20), Column("PLAYBOOK", 0), Column("RESULT", 17), Column("PID", 7, right=True))

    def cells(self, position: int) -> Sequence[Span]:
        """A run."""
        run = self.runs[position]
        name = run.plan.playbook.name if run.plan is not None else run.problem
        pid = str(run.pid) if run.is_live else ""
        return ((run.run_id, "text"), (name, "text"), result_span(run), (pid, "muted"))


class AttachDialog(Dialog[RunFolder]):
    """Gives the run to open, or None."""

    BINDINGS: ClassVar = bindings("attach")
    PLACES: ClassVar[tuple[str, ...]] = ("attach", DIALOG, LIST)

    def __init__(self, runs: Sequence[RunSummary]) -> None:
        super().__init__()
        self._source = RunChoices(runs)

    def compose(self) -> ComposeResult:
        """Runs and keys."""
        with Vertical(classes="dialog") as box:
            box.border_title = "While you were away"
            count = len(self._source)
            text = "1 run went on without a console" if count == 1 else f"{count} runs went on without a console"
            head = Lines([(text, "text")])
            head.styles.height = 2
            yield head
            table = RowTable(self._source, id="attach-table")
            table.styles.height = min(count, 10) + 2
            yield table
            keys = Lines([("⏎ open   x stop   d dismiss   runs live outside the screen: aprtui ps", "muted")])
            keys.styles.height = 1
            yield keys

    def on_mount(self) -> None:
        """To the runs."""
        self.query_one(RowTable).focus()

    @on(RowTable.Opened)
    def _opened(self, event: RowTable.Opened) -> None:
        self.dismiss(self._source.runs[event.position].folder)

    def to_copy(self) -> tuple[str, str]:
        """The command that follows the chosen run without a screen."""
        run = self._source.runs[self.query_one(RowTable).cursor]
        return command_line(["attach", str(run.folder.path)]), "the command"

    def action_stop(self) -> None:
        """Ask, then stop the chosen run."""
        run = self._source.runs[self.query_one(RowTable).cursor]
        if run.is_live and self.console.may_change():
            self.console.ask_to_stop(run.folder, lambda: self.dismiss(None))
