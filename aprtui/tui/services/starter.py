"""Starts and stops engines: processes of their own, which the console finds by the register, as anybody does."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING

from aprtui.core.errors import AprtuiError
from aprtui.store.plan import RunPlan
from aprtui.store.register import run_of_process
from aprtui.store.run_folder import RunFolder
from aprtui.tui.services.children import Engine, command_line, start_engine

if TYPE_CHECKING:
    from aprtui.tui.app import ConsoleApp

_LOOK_S = 0.2
_PATIENCE_S = 15.0


class Starter:
    """Starts runs and remembers which ones this console started.

    Args:
        app: Shows them.
    """

    def __init__(self, app: ConsoleApp) -> None:
        self._app = app
        # Kept, or their transports would be closed with them.
        self._engines: list[Engine] = []
        self.started: list[RunFolder] = []

    async def start(self, arguments: Sequence[str], *, show: bool = True) -> RunFolder | None:
        """Start an engine and wait for its run folder; an engine that ends without one says why in a dialog."""
        try:
            engine = await start_engine(arguments)
        except AprtuiError as error:
            self._app.show_error("The engine could not be started", str(error))
            return None
        self._engines.append(engine)
        self._app.say("starting …")
        while engine.process.returncode is None:
            folder = await asyncio.to_thread(run_of_process, engine.process.pid)
            if folder is not None:
                self.started.append(folder)
                self._app.lists.look_soon()
                if show:
                    self._app.open_run(folder)
                return folder
            await asyncio.sleep(_LOOK_S)
        folder = await asyncio.to_thread(run_of_process, engine.process.pid)
        if folder is not None:
            self._app.lists.look_soon()
            self._app.open_run(folder)
            return folder
        text = engine.last_lines() or "it wrote nothing"
        code = engine.process.returncode
        self._app.show_error(f"The run did not begin: exit code {code}", f"{text}\n\n{command_line(arguments)}")
        return None

    async def stop(self, folder: RunFolder) -> None:
        """Stop a run as `aprtui stop` does."""
        self._app.say(f"stopping {folder.path.name} …")
        try:
            engine = await start_engine(["stop", str(folder.path)])
            await asyncio.wait_for(engine.process.wait(), _PATIENCE_S * 2)
        except (AprtuiError, TimeoutError) as error:
            self._app.show_error("The run could not be stopped", str(error) or "it did not end in time")
            return
        if engine.process.returncode:
            self._app.show_error("The run could not be stopped", engine.last_lines())
        self._app.lists.look_soon()


def repeated(plan: RunPlan) -> list[str]:
    """Arguments that make a run again as it was made: what it is about, its selection, and what it may use."""
    used = ["--device", plan.running.device, "--jobs", str(plan.limits.jobs)]
    used += ["--scratch", plan.scratch] if plan.keeps_products else []
    return [*plan.started_with, *plan.selection, *used]
