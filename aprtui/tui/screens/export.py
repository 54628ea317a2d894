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
_PLACES = ("working directory", "run folder")


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
        self._where = Choice("Where", _PLACES)
        super().__init__(
            f"Export {folder.path.name}", [self._what, self._rows, self._where], "⏎ write   y copy path   esc cancel"
        )

    def on_mount(self) -> None:
        """Say what is there."""
        self.form.focus()
        if not self._folder.evidence.exists():
            self.note(wrapped("this run has no evidence.json yet: it is written at its end", 70, "warn"))

    @property
    def path(self) -> Path:
        """The file that is written."""
        place = Path.cwd() if self._where.value == _PLACES[0] else self._folder.path
        kind = _TABLES.get(self._what.value)
        return place / f"{self._folder.path.name}.{kind.value if kind is not None else self._what.value}"

    def to_copy(self) -> tuple[str, str]:
        """The path of the file."""
        return str(self.path), "the path"

    def submit(self) -> None:
        """Write it."""
        path, kind = self.path, _TABLES.get(self._what.value)
        try:
            if kind is None:
                shutil.copyfile(self._folder.path / self._what.value, path)
            else:
                self._write_table(path, kind)
        except (OSError, AprtuiError) as error:
            reason = error.strerror if isinstance(error, OSError) else str(error)
            self.note(wrapped(f"not written to {path.parent}: {reason}", 70, "warn"))
            return
        self.console.say(f"written: {path}")
        self.dismiss(None)

    def _write_table(self, path: Path, kind: TableFormat) -> None:
        view = self._view
        assert view is not None
        order = self.console.shown_rows()
        numbers = list(order) if self._rows.value == _ROWS[0] else list(range(len(view.columns)))
        write_table(path, kind, view, numbers)
