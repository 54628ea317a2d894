"""Two runs side by side: gates fixed and broken, which tensors flipped and by how much."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar

from textual.widget import Widget

from aprtui.core.outcomes import Outcome
from aprtui.store.run_folder import RunFolder
from aprtui.store.run_list import RunSummary
from aprtui.tui.keys import bindings
from aprtui.tui.paint import Line, Span
from aprtui.tui.screens.dialog import FormDialog
from aprtui.tui.screens.view import ConsoleScreen
from aprtui.tui.services.children import ask, command_line
from aprtui.tui.widgets.form import Choice
from aprtui.tui.widgets.row_table import Column, RowTable
from aprtui.tui.words import local_time, number, outcome_span, result_span

_PAINT = {"broken": "fail", "fixed": "pass", "changed": "warn", "new": "accent", "gone": "muted", "unchanged": "muted"}


class ChooseRunDialog(FormDialog[RunFolder]):
    """Which run to compare with.

    Args:
        folder: The run that is open.
        others: What there is to choose from, newest first.
    """

    def __init__(self, folder: RunFolder, others: Sequence[RunSummary]) -> None:
        self._others = list(others)
        options = [f"{run.run_id}  {local_time(run.started)}  {result_span(run)[0]}" for run in self._others]
        self._choice = Choice("With", options)
        super().__init__(f"Compare {folder.path.name}", [self._choice], "⏎ compare   ←→ another run   esc cancel")

    def on_mount(self) -> None:
        """To the options."""
        self.form.focus()

    def submit(self) -> None:
        """Give the run."""
        self.dismiss(self._others[min(self._choice.chosen)].folder)


class ChangeSource:
    """Rows: gates whose outcome changed, levels, then tensors that flipped."""

    def __init__(self) -> None:
        self.rows: list[Sequence[Span]] = []

    def __len__(self) -> int:
        return len(self.rows)

    def columns(self, width: int) -> Sequence[Column]:
        """What, change, before, after."""
        side = 17 if width < 110 else 36
        return (
            Column("CHANGE", 9),
            Column("GATE OR TENSOR", 0, keep_end=True),
            Column("BEFORE", side),
            Column("AFTER", side),
        )

    def cells(self, position: int) -> Sequence[Span]:
        """A change."""
        return self.rows[position]

    def take(self, value: Mapping[str, Any]) -> None:
        """Rows of the JSON of `aprtui compare`."""
        self.rows = [*_gates(value), *_levels(value), *_tensors(value)]


def _items(value: Mapping[str, Any], key: str) -> list[Mapping[str, Any]]:
    items = value.get(key)
    return [item for item in items if isinstance(item, Mapping)] if isinstance(items, list) else []


def _outcome(value: object) -> Span:
    try:
        return outcome_span(Outcome(str(value)))
    except ValueError:
        return ("—", "muted")


def _gates(value: Mapping[str, Any]) -> list[Sequence[Span]]:
    order = ("broken", "fixed", "changed", "new", "gone")
    gates = [gate for gate in _items(value, "gates") if gate.get("change") in order]
    gates.sort(key=lambda gate: order.index(gate["change"]))
    return [
        (
            (gate["change"], _PAINT[gate["change"]]),
            (str(gate.get("gate", "")), "strong"),
            _outcome(gate.get("before")),
            _outcome(gate.get("after")),
        )
        for gate in gates
    ]


def _levels(value: Mapping[str, Any]) -> list[Sequence[Span]]:
    return [
        (
            ("level", "muted"),
            (f"{level.get('level', '')} of {level.get('comparison', '')}", "text"),
            _outcome(level.get("before")),
            _outcome(level.get("after")),
        )
        for level in _items(value, "levels")
    ]


def _tensors(value: Mapping[str, Any]) -> list[Sequence[Span]]:
    rows: list[Sequence[Span]] = []
    for tensor in _items(value, "tensors"):
        before, after = (tensor.get(side) for side in ("before", "after"))
        if isinstance(before, Mapping) and isinstance(after, Mapping):
            broken = before.get("outcome") == Outcome.CORROBORATED
            rows.append(
                (
                    ("broken" if broken else "fixed", "fail" if broken else "pass"),
                    (str(tensor.get("name", "")), "text"),
                    _measured(before),
                    _measured(after),
                )
            )
    return rows


def _measured(side: Mapping[str, Any]) -> Span:
    glyph, paint = _outcome(side.get("outcome"))
    try:
        margin = number(float(side.get("margin", 0)))
    except (TypeError, ValueError):
        margin = "?"
    return (f"{glyph[0]} {margin} {side.get('unit', '')}", paint)


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

    def compose_body(self) -> Iterable[Widget]:
        """The changes."""
        yield RowTable(self._source, id="table")

    def on_mount(self) -> None:
        """Ask a child: it reads both journals whole."""
        table = self.query_one(RowTable)
        table.empty = ((("  comparing …", "muted"),),)
        table.focus()
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

    def action_copy(self) -> None:
        """Copy the command."""
        self.console.copy(command_line(self.arguments[:-2]), "the command")

    def subject(self) -> list[str]:
        """The two runs."""
        return [f"{self._before.path.name} → {self._after.path.name}"]

    def fact_line(self) -> Line:
        """What else was not the same."""
        return ((f" {self._facts}", "muted"),)
