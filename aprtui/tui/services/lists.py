"""The lists of playbooks and runs, read in threads and read again when folders change."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from aprtui.core.errors import AprtuiError
from aprtui.paths import state_folder
from aprtui.store.atomic import write_json
from aprtui.store.register import registered_runs
from aprtui.store.run_list import RunList, RunSummary

if TYPE_CHECKING:
    from aprtui.playbook.listing import Listed
    from aprtui.tui.app import ConsoleApp

_LOOK_S = 2.0
_STATE_VERSION = 1


def seen_file() -> Path:
    """Which runs were live when a console looked last."""
    return state_folder() / "console" / "live-runs.json"


class Lists:
    """Runs and playbooks.

    Args:
        app: Is told what changed.
    """

    def __init__(self, app: ConsoleApp) -> None:
        self._app = app
        self._list = RunList()
        self._ask_about_runs = False
        self._live: set[str] = set()
        self._looking = False
        self._stamps: frozenset[tuple[str, int, int]] | None = None
        self.runs: list[RunSummary] = []
        self.playbooks: list[Listed] = []
        self.runs_read = self.playbooks_read = False

    def start(self, *, ask_about_runs: bool) -> None:
        """Read both, and again what changed since, every two seconds."""
        self._ask_about_runs = ask_about_runs
        self._app.set_interval(_LOOK_S, self.look_soon)
        self.look_soon()
        self.read_playbooks()

    def folders(self) -> tuple[Path, ...]:
        """Where playbooks are looked for."""
        from aprtui.playbook.listing import default_places  # noqa: PLC0415 - reading playbooks is slow to import

        try:
            return self._app.options.playbooks or tuple(default_places())
        except AprtuiError:
            return ()

    def look_soon(self) -> None:
        """Read the runs, unless that is under way."""
        if not self._looking:
            self._looking = True
            self._app.run_worker(self._read_runs(), group="runs", exit_on_error=False)

    def read_playbooks(self) -> None:
        """Read the playbooks."""
        self._app.run_worker(self._read_playbooks(), group="playbooks", exclusive=True, exit_on_error=False)

    async def _read_runs(self) -> None:
        try:
            runs = await asyncio.to_thread(lambda: self._list.read(registered_runs()))
        finally:
            self._looking = False
        first = not self.runs_read
        changed = runs != self.runs
        self.runs, self.runs_read = runs, True
        live = {run.run_id for run in runs if run.is_live}
        if first and self._ask_about_runs:
            self._ask(live)
        if live != self._live or first:
            self._live = live
            self._remember(live)
        if changed or first:
            self._app.lists_changed()
        stamps = await asyncio.to_thread(lambda: frozenset(_stamps_below(self.folders())))
        if self._stamps is not None and stamps != self._stamps:
            self.read_playbooks()
        self._stamps = stamps

    def _ask(self, live: set[str]) -> None:
        """Show the attach card for what is live, and for what was live when a console looked last."""
        known = live | _remembered()
        left = [run for run in self.runs if run.run_id in known and run.plan is not None]
        if left:
            self._app.runs_left(left)

    def _remember(self, live: set[str]) -> None:
        if self._app.options.readonly:
            return
        try:
            write_json(seen_file(), {"state_version": _STATE_VERSION, "live": sorted(live)})
        except OSError:
            self._app.say(f"{seen_file().parent} cannot be written: runs that end later are not announced", "warning")

    async def _read_playbooks(self) -> None:
        found: list[Listed] = []
        # In a thread, too: what reads playbooks takes a tenth of a second to import.
        for folder in await asyncio.to_thread(self.folders):
            try:
                found += await asyncio.to_thread(_all_of, folder)
            except (AprtuiError, OSError) as error:
                self._app.say(str(error), "warning")
        self.playbooks, self.playbooks_read = found, True
        self._app.lists_changed()


def _all_of(folder: Path) -> list[Listed]:
    from aprtui.playbook.listing import list_playbooks  # noqa: PLC0415 - reading playbooks is slow to import

    return list(list_playbooks(folder))


def _stamps_below(folders: Iterable[Path]) -> Iterator[tuple[str, int, int]]:
    """Name, time and size of every file that may be a playbook or settings beside one."""
    from aprtui.playbook.listing import files_in  # noqa: PLC0415 - reading playbooks is slow to import

    for folder in folders:
        for file in files_in(folder):
            with suppress(OSError):
                status = file.stat()
                yield str(file), status.st_mtime_ns, status.st_size


def _remembered() -> set[str]:
    try:
        value = json.loads(seen_file().read_bytes())
        if value["state_version"] == _STATE_VERSION:
            return {str(run) for run in value["live"]}
    except (OSError, ValueError, KeyError, TypeError):
        pass
    return set()
