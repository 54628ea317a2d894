"""The detail of a row as a screen of its own, for terminals without room for a third pane."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from textual.widget import Widget

from aprtui.tui.keys import bindings
from aprtui.tui.paint import Line, Span
from aprtui.tui.screens.diff import DiffScreen
from aprtui.tui.screens.view import ConsoleScreen
from aprtui.tui.services.tensors import RecentReadings, look_at_selected, look_up
from aprtui.tui.widgets.tensor_detail import TensorDetail


class TensorScreen(ConsoleScreen):
    """One row of the Diff view, with everything that files and earlier runs say of it.

    Args:
        diff: The view that it was opened from; its cursor goes along.
    """

    NAME = "tensor"
    BINDINGS: ClassVar = bindings("tensor")

    def __init__(self, diff: DiffScreen) -> None:
        super().__init__()
        self._diff = diff
        self._recent = RecentReadings()

    def compose_body(self) -> Iterable[Widget]:
        """The lines."""
        yield TensorDetail()

    @property
    def detail(self) -> TensorDetail:
        """The lines."""
        return self.query_one(TensorDetail)

    def on_mount(self) -> None:
        """Show the row and ask for what is not in the journal."""
        self.detail.focus()
        self.show_row()

    def show_row(self) -> None:
        """Show the row under the cursor of the Diff view."""
        view, row = self._diff.view, self._diff.row
        if view is None or row is None:
            self.dismiss(None)
            return
        self.detail.show_row(view, row)
        self.detail.scroll_to(y=0, animate=False)
        self.refresh_chrome()
        self.run_worker(look_up(self.detail, self.console.runs, self._recent), exclusive=True, group="tensor")

    def subject(self) -> list[str]:
        """Run and place among the failures."""
        view, row = self._diff.view, self._diff.row
        if view is None or row is None:
            return []
        return [f"run {view.plan.run_id}", f"row {self._diff.table.cursor + 1} of {len(self._diff.table.source)}"]

    def fact_line(self) -> Line:
        """How to get about."""
        spans: list[Span] = [(" [ ]", "key"), (" previous, next failure  ", "muted"), ("j k", "key")]
        return [*spans, (" scroll  ", "muted"), ("h l K J", "key"), (" move on the map", "muted")]

    def action_failure(self, step: int) -> None:
        """The next failing row."""
        before = self._diff.table.cursor
        self._diff.action_failure(step)
        if self._diff.table.cursor != before:
            self.show_row()

    def action_pan(self, down: int, across: int) -> None:
        """Move on the map."""
        self.detail.pan(down, across)
        self._look_at_selected()

    def action_zoom(self, closer: int) -> None:
        """Look closer."""
        self.detail.zoom(closer)
        self._look_at_selected()

    def _look_at_selected(self) -> None:
        # Also where nothing has to be read: what is being read for another element is of no use then.
        self.run_worker(look_at_selected(self.detail), exclusive=True, group="elements")

    def action_copy(self) -> None:
        """As in the Diff view."""
        self._diff.action_copy()

    def action_export(self) -> None:
        """As in the Diff view."""
        self._diff.action_export()

    def action_compare(self) -> None:
        """As in the Diff view."""
        self._diff.action_compare()
