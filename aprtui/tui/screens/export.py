"""The export dialog: a run's evidence, or the rows that are shown, as a file that is named."""

from __future__ import annotations

import shutil
from pathlib import Path

from aprtui.core.errors import AprtuiError
from aprtui.store.diff_table import TableFormat, write_table
from aprtui.store.run_folder import RunFolder
from aprtui.store.run_view import RunView
from aprtui.tui.screens.dialog import FormDialog
from aprtui.tui.widgets.form import Choice
from aprtui.tui.widgets.lines import wrapped

_EVIDENCE = "evidence.json"
_JUNIT = "junit.xml"
_TABLES = {"table as CSV": TableFormat.CSV, "table as JSON": TableFormat.JSON}
_ROWS = ("rows that are shown", "all rows")


class ExportDialog(FormDialog[None]):
    """Writes a file into the working directory, or the run's folder where that cannot be written.

    Args:
        folder: The run.
        view: The run as it is shown; without it only the evidence can be exported.
    """

    def __init__(self, folder: RunFolder, view: RunView | None) -> None:
        self._folder, self._view = folder, view
        self._what = Choice("What", [_EVIDENCE, _JUNIT, *(_TABLES if view is not None else ())])
        self._rows = Choice("Rows", _ROWS)
        self._where = Choice("Where", ["working directory", "run folder"])
        super().__init__(f"Export {folder.path.name}", [self._what, self._rows, self._where], "⏎ write   esc cancel")

    def on_mount(self) -> None:
        """Say what is there."""
        self.form.focus()
        if not self._folder.evidence.exists():
            self.note(wrapped("this run has no evidence.json yet: it is written at its end", 70, "warn"))

    def submit(self) -> None:
        """Write it."""
        place = Path.cwd() if self._where.value == "working directory" else self._folder.path
        name = self._folder.path.name
        try:
            if self._what.value in (_EVIDENCE, _JUNIT):
                path = place / f"{name}.{self._what.value}"
                shutil.copyfile(self._folder.path / self._what.value, path)
            else:
                path = self._write_table(place / name, _TABLES[self._what.value])
        except (OSError, AprtuiError) as error:
            reason = error.strerror if isinstance(error, OSError) else str(error)
            self.note(wrapped(f"not written to {place}: {reason}", 70, "warn"))
            return
        self.console.say(f"written: {path}")
        self.dismiss(None)

    def _write_table(self, stem: Path, kind: TableFormat) -> Path:
        view = self._view
        assert view is not None
        order = self.console.shown_rows()
        numbers = list(order) if self._rows.value == _ROWS[0] else list(range(len(view.columns)))
        path = stem.with_name(f"{stem.name}.{kind.value}")
        write_table(path, kind, view, numbers)
        return path
