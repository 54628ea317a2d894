"""Quitting: engines that this console started may go on without it, or end with it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aprtui.core.errors import AprtuiError
from aprtui.store.run_folder import RunFolder, RunState
from aprtui.tui.screens.dialog import AskDialog

if TYPE_CHECKING:
    from aprtui.tui.app import ConsoleApp

_KEEP, _STOP, _CANCEL = "leave them running", "stop them", "stay here"


class QuitDialog(AskDialog):
    """What becomes of live runs."""


def leave(app: ConsoleApp) -> None:
    """Quit; asks, once, where engines run here that this console started or is attached to."""
    # The journal has the last word: the process of a finished demo is this one, and is alive.
    view = app.current
    watched = [view.folder] if view is not None and view.state() is RunState.RUNNING else []
    runs = {run.path: run for run in (*app.starter.started, *watched)}
    live = [run for run in runs.values() if _is_live(run)]
    if not live:
        app.exit()
        return
    if any(isinstance(screen, QuitDialog) for screen in app.screen_stack):
        return
    count = f"{len(live)} run is live" if len(live) == 1 else f"{len(live)} runs are live"
    text = f"{count}. Left running, they are found again when the console starts, and by `aprtui ps`."

    async def stop_and_exit() -> None:
        for folder in live:
            await app.starter.stop(folder)
        app.exit()

    def answered(answer: str | None) -> None:
        if answer == _KEEP:
            app.exit()
        elif answer == _STOP:
            app.run_worker(stop_and_exit(), group="stop")

    app.push_screen(QuitDialog("Quit", text, (_KEEP, _STOP, _CANCEL)), answered)


def _is_live(folder: RunFolder) -> bool:
    try:
        return folder.engine().is_alive
    except AprtuiError:
        return False
