"""Two runs side by side: gates fixed and broken, which tensors flipped and by how much."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.widget import Widget

from aprtui.core.outcomes import Outcome
from aprtui.store.run_folder import RunFolder
from aprtui.store.run_list import RunSummary
from aprtui.tui.keys import DIALOG, LIST, bindings
from aprtui.tui.paint import Line, Span, title
from aprtui.tui.screens.attach import RunChoices
from aprtui.tui.screens.dialog import Dialog
from aprtui.tui.screens.view import ConsoleScreen
from aprtui.tui.services.children import ask, command_line
from aprtui.tui.widgets.lines import Lines
from aprtui.tui.widgets.row_table import Column, RowTable
from aprtui.tui.words import margin_words, outcome_span

_PAINT = {"broken": "fail", "fixed": "pass", "changed": "warn", "new": "accent", "gone": "muted"}
_ORDER = tuple(_PAINT)
_MOST_CHOICES = 12
_ROOM_FOR_SENTENCES = 110


class ChooseRunDialog(Dialog[RunFolder]):
    """Which run to compare with.

    Args:
        folder: The run that is open.
        others: What there is to choose from, newest first.
    """

    PLACES: ClassVar[tuple[str, ...]] = (DIALOG, LIST)

    def __init__(self, folder: RunFolder, others: Sequence[RunSummary]) -> None:
        super().__init__()
        self._folder, self._source = folder, RunChoices(others)

    def compose(self) -> ComposeResult:
        """Runs and keys."""
        with Vertical(classes="dialog") as box:
            box.border_title = title(f"Compare {self._folder.path.name} with", ascii_only=self.console.ascii_only)
            table = RowTable(self._source, id="choices")
            table.styles.height = min(len(self._source), _MOST_CHOICES) + 2
            yield table
            keys = Lines([("⏎ compare   jk another run   esc cancel", "muted")])
            keys.styles.height = 1
            yield keys

    def on_mount(self) -> None:
        """To the runs."""
        self.query_one(RowTable).focus()

    def to_copy(self) -> tuple[str, str]:
        """The command that compares the two."""
        chosen = self._source.runs[self.query_one(RowTable).cursor].folder
        both = sorted((chosen, self._folder), key=lambda one: one.path.name)
        return command_line(["compare", *(str(one.path) for one in both)]), "the command"

    @on(RowTable.Opened)
    def _opened(self, event: RowTable.Opened) -> None:
        self.dismiss(self._source.runs[event.position].folder)


@dataclass(frozen=True, slots=True)
class Change:
    """A row: what changed, and where it can be looked at.

    Attributes:
        word: How it changed.
        where: Comparison; empty for a gate.
        what: Gate, level or tensor.
        before: In the earlier run.
        after: In the later run.
        is_gate: Whether `what` is a gate.
        is_tensor: Whether it is a tensor.
    """

    word: str
    where: str
    what: str
    before: Span
    after: Span
    is_gate: bool = False
    is_tensor: bool = False


class ChangeSource:
    """Rows: what broke before what was fixed, gates before tensors."""

    def __init__(self) -> None:
        self.changes: list[Change] = []

    def __len__(self) -> int:
        return len(self.changes)

    def columns(self, width: int) -> Sequence[Column]:
        """How, where, what, before, after."""
        side = 14 if width < _ROOM_FOR_SENTENCES else 20
        where = 7 if width < _ROOM_FOR_SENTENCES else 20
        return (
            Column("CHANGE", 7),
            Column("WHERE", where),
            Column("GATE OR TENSOR", 0, keep_end=True),
            Column("BEFORE", side),
            Column("AFTER", side),
        )

    def cells(self, position: int) -> Sequence[Span]:
        """A change."""
        one = self.changes[position]
        paint = "strong" if one.is_gate else "text"
        where = one.where.partition("~")[2].replace(">", "→") or one.where
        return ((one.word, _PAINT[one.word]), (where, "muted"), (one.what, paint), one.before, one.after)

    def take(self, value: Mapping[str, Any]) -> None:
        """Rows of the JSON of `aprtui compare`."""
        changes = [*_gates(value), *_tensors(value), *_levels(value)]
        self.changes = sorted(changes, key=lambda one: _ORDER.index(one.word))


def _items(value: Mapping[str, Any], key: str) -> list[Mapping[str, Any]]:
    items = value.get(key)
    return [item for item in items if isinstance(item, Mapping)] if isinstance(items, list) else []


def _outcome(value: object) -> Span:
    try:
        return outcome_span(Outcome(str(value)))
    except ValueError:
        return ("—", "muted")


def _gates(value: Mapping[str, Any]) -> list[Change]:
    return [
        Change(
            str(gate["change"]),
            "",
            str(gate.get("gate", "")),
            _outcome(gate.get("before")),
            _outcome(gate.get("after")),
            is_gate=True,
        )
        for gate in _items(value, "gates")
        if gate.get("change") in _ORDER
    ]


def _levels(value: Mapping[str, Any]) -> list[Change]:
    return [
        Change(
            _direction(level.get("before"), level.get("after")),
            str(level.get("comparison", "")),
            f"level {level.get('level', '')}",
            _outcome(level.get("before")),
            _outcome(level.get("after")),
        )
        for level in _items(value, "levels")
    ]


def _tensors(value: Mapping[str, Any]) -> list[Change]:
    changes = []
    for tensor in _items(value, "tensors"):
        before, after = (tensor.get(side) for side in ("before", "after"))
        if isinstance(before, Mapping) and isinstance(after, Mapping):
            word = _direction(before.get("outcome"), after.get("outcome"))
            where, name = str(tensor.get("comparison", "")), str(tensor.get("name", ""))
            changes.append(Change(word, where, name, _measured(before), _measured(after), is_tensor=True))
    return changes


def _direction(before: object, after: object) -> str:
    if before == Outcome.CORROBORATED or (before == Outcome.SKIPPED and after != Outcome.CORROBORATED):
        return "broken"
    return "fixed" if after == Outcome.CORROBORATED else "changed"


def _measured(side: Mapping[str, Any]) -> Span:
    glyph, paint = _outcome(side.get("outcome"))
    try:
        margin = margin_words(float(side.get("margin", 0)), str(side.get("unit", "")))
    except (TypeError, ValueError):
        margin = "?"
    return (f"{glyph[0]} {margin}", paint)


class CompareScreen(ConsoleScreen):
    """What changed from one run to the next.

    Args:
        before: The earlier run.
        after: The later run.
    """

    NAME = "compare"
    BINDINGS: ClassVar = bindings("compare")

    def __init__(self, before: RunFolder, after: RunFolder) -> None:
        super().__init__()
        self._before, self._after = before, after
        self._source = ChangeSource()
        self._facts = ""
        self._chosen = 0

    def again(self) -> CompareScreen:
        """The same comparison as it was left, to be shown once more."""
        screen = CompareScreen(self._before, self._after)
        screen._source, screen._facts, screen._chosen = self._source, self._facts, self._chosen
        return screen

    def compose_body(self) -> Iterable[Widget]:
        """The changes."""
        yield RowTable(self._source, id="table")

    def on_mount(self) -> None:
        """Ask a child: it reads both journals whole."""
        table = self.query_one(RowTable)
        table.focus()
        if self._source.changes:
            table.rebuild(self._chosen)
            return
        table.empty = ((("  comparing …", "muted"),),)
        self.run_worker(self._look(), exclusive=True)

    @property
    def arguments(self) -> list[str]:
        """The same without a screen."""
        return ["compare", str(self._before.path), str(self._after.path), "--format", "json"]

    async def _look(self) -> None:
        answer = await ask(self.arguments)
        table = self.query_one(RowTable)
        if isinstance(answer.value, Mapping):
            self._source.take(answer.value)
            circumstances = [str(item.get("what", "")) for item in _items(answer.value, "circumstances")]
            same = "everything else was the same"
            self._facts = f"also different: {', '.join(circumstances)}" if circumstances else same
        text = answer.problem or "nothing changed from one run to the other"
        table.empty = (((f"  {text}", "warn" if answer.problem else "pass"),),)
        table.rebuild(0)
        self.refresh_chrome()

    @on(RowTable.Opened)
    def _opened(self, event: RowTable.Opened) -> None:
        """Show it where it was measured: in the later run, unless that does not have it."""
        change = self._source.changes[event.position]
        folder = self._before if change.word == "gone" else self._after
        self._chosen = event.position
        gate = change.what if change.is_gate else ""
        row = ("", "") if change.is_gate else (change.where, change.what if change.is_tensor else "")
        if self.console.open_run(folder, gate, row):
            self.console.comparison = self

    def action_copy(self) -> None:
        """Copy the command."""
        self.console.copy(command_line(self.arguments[:-2]), "the command")

    def subject(self) -> list[str]:
        """The two runs."""
        return [f"{self._before.path.name} → {self._after.path.name}"]

    def fact_line(self) -> Line:
        """What else was not the same."""
        return ((f" {self._facts}", "muted"),)
