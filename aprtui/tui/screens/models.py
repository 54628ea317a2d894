"""View 2: the models on this machine, as `aprtui models` finds them, and which playbooks mean them."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, ClassVar

from textual import on
from textual.widget import Widget

from aprtui.tui.keys import bindings
from aprtui.tui.paint import Line, Span, fit_path
from aprtui.tui.screens.dialog import TextDialog
from aprtui.tui.screens.listing import ListScreen, ListSource, Order
from aprtui.tui.screens.model_card import card_text
from aprtui.tui.services.children import ask, command_line
from aprtui.tui.widgets.lines import Lines
from aprtui.tui.widgets.row_table import Column, RowTable
from aprtui.tui.words import count, size

_Model = Mapping[str, Any]
_LOOK_S = 2.0


class ModelSource(ListSource[_Model]):
    """The rows: JSON of `aprtui models`, which comes from another process and is taken as it is."""

    def name(self, entry: _Model) -> str:
        """As the list shows it."""
        return model_name(entry)

    def key(self, entry: _Model) -> object:
        """Its path."""
        return entry.get("path")

    def orders(self) -> Sequence[Order[_Model]]:
        """By name, number of parameters, bytes."""
        return (
            Order("MODEL", model_name),
            Order("PARAMS", lambda model: _fact(model, "parameters", 0), is_descending=True),
            Order("SIZE", lambda model: _fact(model, "bytes", 0), is_descending=True),
        )

    def all_columns(self) -> Sequence[Column]:
        """More of them where there is room."""
        return [
            Column("MODEL", 60 if self.has_room else 0, keep_end=True),
            Column("FORMAT", 11),
            Column("ARCHITECTURE", 12),
            Column("PARAMS", 7, right=True),
            Column("SIZE", 8, right=True),
            *([Column("TYPES", 0 if self.has_room else 34)] if self.is_wide else []),
        ]

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
        if self.is_wide:
            cells.append((_types(model), "muted"))
        return cells


def model_name(model: Mapping[str, Any]) -> str:
    """What its cache calls it, else its path from the folder on that it was found in."""
    path, folder = str(model.get("path") or ""), str(model.get("folder") or "")
    return str(model.get("name") or (path.removeprefix(f"{folder}{os.sep}") if folder else path))


def _fact(model: Mapping[str, Any], key: str, default: Any) -> Any:  # noqa: ANN401 - JSON
    facts = model.get("facts")
    value = facts.get(key, default) if isinstance(facts, Mapping) else default
    return value if isinstance(value, type(default)) else default


def _types(model: Mapping[str, Any]) -> str:
    types = _fact(model, "tensors_by_type", {})
    return " ".join(f"{name}×{amount}" for name, amount in types.items())


class ModelsScreen(ListScreen[_Model]):
    """The models."""

    NAME = "models"
    NUMBER = 2
    HAS_FAILURES = False
    BINDINGS: ClassVar = bindings("models")

    def __init__(self) -> None:
        super().__init__()
        self.source: ModelSource = ModelSource()
        self._problem = ""
        self._read = False
        self._folders: frozenset[Path] = frozenset()
        self._stamps: Mapping[Path, int] = {}

    def compose_body(self) -> Iterable[Widget]:
        """List and card."""
        yield from super().compose_body()
        yield Lines(id="about")

    def on_mount(self) -> None:
        """Look for models, and again where their folders change."""
        self.table.empty = self.none_lines()
        self.table.focus()
        self.run_worker(self._look(), group="models", exclusive=True)
        self.set_interval(_LOOK_S, self._look_at_folders)

    async def _look(self) -> None:
        before = await asyncio.to_thread(_stamps, self._folders)
        answer = await ask(["models", "--format", "json"], seconds=300)
        listed = answer.value if isinstance(answer.value, list) else []
        places = [place for place in listed if isinstance(place, Mapping)]
        models = [
            {**model, "place": place.get("place", ""), "folder": place.get("path", "")}
            for place in places
            for model in place.get("models", [])
            if isinstance(model, Mapping)
        ]
        is_first, self._problem, self._read = not self._read, answer.problem, True
        self._folders = await asyncio.to_thread(_folders_of, places)
        now = await asyncio.to_thread(_stamps, self._folders)
        # What changes while it is read, such as a model that is being copied, is read once more.
        self._stamps = now if is_first else {path: before[path] for path in now if path in before}
        self.show_entries(models)

    async def _look_at_folders(self) -> None:
        """Where a folder changed that holds models, or may, they are listed anew; files are read by that alone."""
        if not self._read or self.app.screen is not self:
            return
        stamps = await asyncio.to_thread(_stamps, self._folders)
        if stamps != self._stamps:
            self._stamps = stamps
            self.run_worker(self._look(), group="models", exclusive=True)

    def none_lines(self) -> tuple[Line, ...]:
        """Why there are none."""
        if self._problem:
            return (((f"  {self._problem}", "warn"),),)
        if not self._read:
            return ((("  looking for models …", "muted"),),)
        return (
            (("  There are no models in the caches of this machine.", "text"),),
            (("  model_folders in the settings names more places", "muted"),),
        )

    def refresh_chrome(self) -> None:
        """Also the card."""
        super().refresh_chrome()
        if self.is_ready:
            self.query_one("#about", Lines).show(*self._about())

    def _about(self) -> list[Line]:
        model = self.entry
        if model is None:
            return []
        lines: list[Line] = [((f" {model_name(model)}", "strong"), (f"  {model['place']}", "muted"))]
        lines.append(((f" {fit_path(model.get('path', ''), self.size.width - 2)}", "muted"),))
        lacks = _fact(model, "lacks", [])
        lines.append(
            ((f" {_types(model)}", "text"), (f"   lacks {', '.join(map(str, lacks))}" if lacks else "", "warn"))
        )
        lines.append(((f" playbooks: {', '.join(self._meaning(model)) or 'none'}", "muted"),))
        return lines

    def _meaning(self, model: _Model) -> list[str]:
        """Names of the playbooks that mean a model."""
        return [entry.path.name for entry in self.console.playbooks if _means(entry.playbook, model)]

    @on(RowTable.Opened)
    def _opened(self) -> None:
        if self.entry is not None:
            self.run_worker(self._show_card(self.entry), group="card", exclusive=True)

    async def _show_card(self, model: _Model) -> None:
        path = str(model.get("path", ""))
        answer = await ask(["inspect", path, "--format", "json"])
        if self.app.screen is not self:
            return
        if isinstance(answer.value, Mapping):
            self.app.push_screen(TextDialog(model_name(model), card_text(path, answer.value, self._meaning(model))))
        else:
            self.console.show_error(f"{model_name(model)} cannot be read", answer.problem)

    def action_copy(self) -> None:
        """Path, or the command that inspects the model."""
        if self.entry is None:
            return
        path = str(self.entry.get("path", ""))
        self.ask_what_to_copy({"path": path, "command": command_line(["inspect", path])})


def _folders_of(places: Sequence[Mapping[str, Any]]) -> frozenset[Path]:
    """Folders in which something changes when a model comes, goes or is written anew, and the models themselves."""
    found = set()
    for place in places:
        top = Path(str(place.get("path", "")))
        found.add(top)
        for model in place.get("models", []):
            path = Path(str(model.get("path", ""))) if isinstance(model, Mapping) else top
            found.add(path)
            found.update(folder for folder in path.parents if top in folder.parents)
    return frozenset(found)


def _stamps(paths: Iterable[Path]) -> Mapping[Path, int]:
    """When each was changed; those that are not there have no entry."""
    stamps = {}
    for path in paths:
        with suppress(OSError, ValueError):
            stamps[path] = path.stat().st_mtime_ns
    return stamps


def _means(playbook: Any, model: Mapping[str, Any]) -> bool:  # noqa: ANN401 - a playbook or None
    if playbook is None:
        return False
    wanted = playbook.model
    if wanted.hf_repo and wanted.hf_repo == model.get("name"):
        return True
    local = wanted.local_path
    return local is not None and Path(str(model.get("path", ""))).is_relative_to(os.path.normpath(local.absolute()))
