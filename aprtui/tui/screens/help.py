"""Help: every key of the screen and of the console, to be searched by typing."""

from __future__ import annotations

from collections.abc import Sequence

from textual import on
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.widgets import Input

from aprtui.tui.keys import ANYWHERE, DIALOG, FORM, KEYS, LIST, TEXT, Key, display
from aprtui.tui.paint import Span
from aprtui.tui.screens.dialog import Dialog
from aprtui.tui.widgets.lines import Lines
from aprtui.tui.widgets.row_table import Column, RowTable

LEGEND = (
    "✓ pass corroborated   ✗ FAIL falsified   ! CRSH crashed   ~ TIME timed out",
    "- SKIP not checked    SHAP NAME CARD TYPE NAN FILE CONV META TOKN: what is",
    "wrong where no margin says it. Hold shift to select text with the mouse.",
)


_WORDS = {LIST: "lists", TEXT: "texts", FORM: "forms", DIALOG: "dialogs", ANYWHERE: "anywhere", "tree": "tree"}


class KeySource:
    """The keys that fit what was typed; those of the screen first.

    Args:
        places: As a screen gives them (`BaseScreen.key_places`).
        remapped: Keys that the user set.
    """

    def __init__(self, places: Sequence[str], remapped: dict[str, str]) -> None:
        self._places = {place: rank for rank, place in enumerate(places)}
        self._keys = sorted((key for key in KEYS if set(key.where) & set(places)), key=self._rank)
        self._remapped = remapped
        self.shown: list[Key] = self._keys
        self._wide = False

    def _rank(self, key: Key) -> int:
        return min(self._places[where] for where in key.where if where in self._places)

    def search(self, text: str) -> None:
        """Keys whose sentence, label or key holds the text."""
        wanted = text.lower()
        self.shown = [
            key for key in self._keys if wanted in f"{key.help} {key.label} {self._press(key)} {key.key_id}".lower()
        ]

    def _press(self, key: Key) -> str:
        if key.key_id in self._remapped:
            return display(self._remapped[key.key_id])
        return " ".join(display(one) for one in key.keys)

    def __len__(self) -> int:
        return len(self.shown)

    def columns(self, width: int) -> Sequence[Column]:
        """Key, what it does, where, name for remapping."""
        self._wide = width >= 90
        columns = (Column("KEY", 12), Column("DOES", 0), Column("WHERE", 9))
        return columns if not self._wide else (*columns, Column("NAME", 16))

    def cells(self, position: int) -> Sequence[Span]:
        """A key."""
        key = self.shown[position]
        where = _WORDS.get(list(self._places)[self._rank(key)], "here")
        cells: list[Span] = [(self._press(key), "key"), (key.help, "text"), (where, "muted")]
        return [*cells, (key.key_id, "muted")] if self._wide else cells


class HelpDialog(Dialog[None]):
    """Keys of a screen.

    Args:
        places: As the screen gives them.
        remapped: Keys that the user set.
    """

    def __init__(self, places: Sequence[str], remapped: dict[str, str]) -> None:
        super().__init__()
        self._source = KeySource(places, remapped)

    def compose(self) -> ComposeResult:
        """Search, keys, legend."""
        with Vertical(classes="dialog") as box:
            box.border_title = "Keys"
            yield Input(placeholder="type to search; esc closes", compact=True)
            yield RowTable(self._source, id="keys-table")
            yield Lines(*[[(text, "muted")] for text in LEGEND], id="legend")

    def on_mount(self) -> None:
        """Type at once."""
        self.query_one(Input).focus()

    @on(Input.Changed)
    def _typed(self, event: Input.Changed) -> None:
        self._source.search(event.value)
        table = self.query_one(RowTable)
        table.empty = ((("  no key does that", "muted"),),)
        table.rebuild(0)

    @on(Input.Submitted)
    def _entered(self) -> None:
        self.query_one(RowTable).focus()
