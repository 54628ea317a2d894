"""View 2: the models on this machine, as `aprtui models` finds them, and which playbooks mean them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar

from textual import on
from textual.widget import Widget

from aprtui.store.filters import Filter
from aprtui.tui.keys import bindings
from aprtui.tui.paint import Line, Span
from aprtui.tui.screens.dialog import AskDialog
from aprtui.tui.screens.view import ViewScreen
from aprtui.tui.services.children import ask, command_line
from aprtui.tui.widgets.lines import Lines
from aprtui.tui.widgets.row_table import Column, RowTable
from aprtui.tui.words import count, size

_SORTS = ("place", "name", "bytes")


class ModelSource:
    """The rows: JSON of `aprtui models`, which comes from another process and is taken as it is."""

    def __init__(self) -> None:
        self.models: list[Mapping[str, Any]] = []
        self.shown: list[Mapping[str, Any]] = []
        self.filter = Filter("")
        self.sort, self.reverse = 0, False
        self._width = 0

    def __len__(self) -> int:
        return len(self.shown)

    def refresh(self) -> None:
        """Choose and order the rows."""
        models = [self.models[at] for at in self.filter.names([model_name(one) for one in self.models])]
        if self.sort == 1:
            models.sort(key=model_name)
        elif self.sort == 2:
            models.sort(key=lambda one: -_fact(one, "bytes", 0))
        if self.reverse:
            models.reverse()
        self.shown = models

    def columns(self, width: int) -> Sequence[Column]:
        """More of them where there is room."""
        self._width = width
        columns = [
            Column("MODEL", 0, keep_end=True, sorted=self.sort == 1),
            Column("FORMAT", 11),
            Column("ARCHITECTURE", 12),
            Column("PARAMS", 7, right=True),
            Column("SIZE", 8, right=True, sorted=self.sort == 2),
        ]
        if width >= 110:
            columns.append(Column("TYPES", 34))
        return columns

    def cells(self, position: int) -> Sequence[Span]:
        """A model, or what is left of one."""
        model = self.shown[position]
        name: Span = (model_name(model), "text")
        if model.get("problem"):
            return [name, (f"! {model['problem']}", "warn")]
        cells: list[Span] = [
            name,
            (str(_fact(model, "format", "")), "muted"),
            (str(_fact(model, "architecture", "")), "muted"),
            (count(_fact(model, "parameters", 0)), "text"),
            (size(_fact(model, "bytes", 0)), "text"),
        ]
        if self._width >= 110:
            cells.append((_types(model), "muted"))
        return cells


def model_name(model: Mapping[str, Any]) -> str:
    """What its cache calls it, else its path."""
    return str(model.get("name") or model.get("path") or "")


def _fact(model: Mapping[str, Any], key: str, default: Any) -> Any:  # noqa: ANN401 - JSON
    facts = model.get("facts")
    value = facts.get(key, default) if isinstance(facts, Mapping) else default
    return value if isinstance(value, type(default)) else default


def _types(model: Mapping[str, Any]) -> str:
    types = _fact(model, "tensors_by_type", {})
    return " ".join(f"{name}×{amount}" for name, amount in types.items())


class ModelsScreen(ViewScreen):
    """The models."""

    NAME = "models"
    NUMBER = 2
    BINDINGS: ClassVar = bindings("models")
    CSS = "ModelsScreen #about { height: 5; border-top: solid $apr-line; }"

    def __init__(self) -> None:
        super().__init__()
        self.source = ModelSource()
        self._problem = ""
        self._read = False

    def compose_body(self) -> Iterable[Widget]:
        """List and card."""
        yield RowTable(self.source, id="table")
        yield Lines(id="about")

    def on_mount(self) -> None:
        """Look for models, once."""
        self.table.empty = ((("  looking for models …", "muted"),),)
        self.table.focus()
        self.run_worker(self._look(), exclusive=True)

    @property
    def table(self) -> RowTable:
        """The list."""
        return self.query_one("#table", RowTable)

    async def _look(self) -> None:
        answer = await ask(["models", "--format", "json"], seconds=300)
        places = answer.value if isinstance(answer.value, list) else []
        self.source.models = [
            {**model, "place": place.get("place", "")}
            for place in places
            if isinstance(place, Mapping)
            for model in place.get("models", [])
            if isinstance(model, Mapping)
        ]
        self._problem, self._read = answer.problem, True
        self._rearrange()

    def _rearrange(self) -> None:
        self.source.refresh()
        if self._problem:
            self.table.empty = (((f"  {self._problem}", "warn"),),)
        elif self.source.models:
            self.table.empty = (((f"  0 of {len(self.source.models)} match · esc clears the filter", "warn"),),)
        elif self._read:
            self.table.empty = (
                (("  There are no models in the caches of this machine.", "text"),),
                (("  model_folders in the settings names more places", "muted"),),
            )
        self.table.rebuild()
        self.refresh_chrome()

    def status(self) -> Line:
        """How many."""
        spans: list[Span] = [(f"/{self.source.filter.text}  ", "accent")] if self.source.filter else []
        return [*spans, (f"{len(self.source.shown)} of {len(self.source.models)} ", "muted")]

    def refresh_chrome(self) -> None:
        """Also the card."""
        super().refresh_chrome()
        if self.is_ready:
            self.query_one("#about", Lines).show(*self._about())

    def _about(self) -> list[Line]:
        if not self.source.shown:
            return []
        model = self.source.shown[self.table.cursor]
        lines: list[Line] = [((f" {model_name(model)}", "strong"), (f"  {model['place']}", "muted"))]
        lines.append(((f" {model.get('path', '')}", "muted"),))
        lacks = _fact(model, "lacks", [])
        lines.append(
            ((f" {_types(model)}", "text"), (f"   lacks {', '.join(map(str, lacks))}" if lacks else "", "warn"))
        )
        meaning = [entry.path.name for entry in self.console.playbooks if _means(entry.playbook, model)]
        lines.append(((f" playbooks: {', '.join(meaning) or 'none'}", "muted"),))
        return lines

    @on(RowTable.Moved)
    def _moved(self) -> None:
        self.refresh_chrome()

    def focus_body(self) -> None:
        """The list."""
        self.table.focus()

    def apply_filter(self, wanted: Filter) -> None:
        """By name."""
        self.source.filter = wanted
        self._rearrange()

    def action_sort(self) -> None:
        """The next column."""
        self.source.sort = (self.source.sort + 1) % len(_SORTS)
        self._rearrange()

    def action_reverse(self) -> None:
        """The other way round."""
        self.source.reverse = not self.source.reverse
        self._rearrange()

    def action_copy(self) -> None:
        """Path, or the command that inspects the model."""
        if not self.source.shown:
            return
        path = str(self.source.shown[self.table.cursor].get("path", ""))
        choices = {"path": path, "command": command_line(["inspect", path])}

        def answered(answer: str | None) -> None:
            if answer is not None:
                self.console.copy(choices[answer], answer)

        self.app.push_screen(AskDialog("Copy", "What to copy", tuple(choices)), answered)


def _means(playbook: Any, model: Mapping[str, Any]) -> bool:  # noqa: ANN401 - a playbook or None
    if playbook is None:
        return False
    wanted = playbook.model
    local = str(wanted.local_path or "")
    return bool(wanted.hf_repo and wanted.hf_repo == model.get("name")) or bool(
        local and str(model.get("path", "")).startswith(local)
    )
