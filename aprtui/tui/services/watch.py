"""Watch mode: a playbook that is saved is run again, or, where only tolerances changed, judged again.

A save that does not load changes nothing: the last good run stays, and the line that is wrong is shown.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from textual.worker import Worker

from aprtui.core.errors import AprtuiError
from aprtui.playbook.keys import Tolerance
from aprtui.playbook.load import SETTINGS_SUFFIX, load_playbook
from aprtui.playbook.lock import stem
from aprtui.playbook.playbook import Playbook
from aprtui.store.plan import RunPlan
from aprtui.store.run_folder import RunFolder, RunState
from aprtui.tui.services.children import ask, start_engine
from aprtui.tui.services.watcher import saved_files

if TYPE_CHECKING:
    from aprtui.tui.app import ConsoleApp


class Watch:
    """Watches one playbook.

    Args:
        app: Runs and shows.
    """

    def __init__(self, app: ConsoleApp) -> None:
        self._app = app
        self._stop = asyncio.Event()
        self._worker: Worker[None] | None = None
        self._good: dict[Path, Playbook] = {}
        self.playbook: Path | None = None

    @property
    def is_on(self) -> bool:
        """Whether a playbook is watched."""
        return self.playbook is not None

    def toggle(self, playbook: Path | None) -> None:
        """Watch a playbook, or stop watching."""
        if self.playbook is not None:
            self._stop.set()
            self.playbook = None
            self._app.say("watching nothing")
            return
        if playbook is None:
            self._app.say("no playbook is chosen: nothing to watch", "warning")
            return
        if self._app.may_change():
            self.playbook, self._stop = playbook, asyncio.Event()
            self.remember(playbook)
            self._worker = self._app.run_worker(self._watch(playbook, self._stop), group="watch", exit_on_error=False)
            self._app.say(f"watching {playbook.name}")

    def remember(self, playbook: Path) -> None:
        """What a playbook says now; later saves are held against it."""
        try:
            self._good[playbook.absolute()] = load_playbook(playbook)
        except AprtuiError as error:
            self._app.say(str(error), "error")

    async def _watch(self, playbook: Path, stop: asyncio.Event) -> None:
        files = [playbook, settings_beside(playbook), *self._other_files()]
        try:
            async for saved in saved_files(files, stop):
                await self.saved(saved, again=True)
        except OSError as error:
            self._app.say(f"watching ended: {error}", "error")
        finally:
            if self._stop is stop:
                self.playbook = None

    def _other_files(self) -> Iterable[Path]:
        """Files of the model and the converter's program, where that was asked for."""
        view = self._app.current
        if not self._app.options.settings.watch_models or view is None:
            return ()
        model = Path(view.plan.model.path)
        files = [one for one in model.iterdir() if one.is_file()] if model.is_dir() else [model]
        converter = view.plan.converter
        return [*files, Path(converter.path)] if converter is not None and converter.path else files

    async def saved(self, files: set[Path], *, again: bool = False) -> None:
        """Files were saved.

        Args:
            files: Which ones.
            again: Whether to run again where judging again is not enough.
        """
        self._app.lists.read_playbooks()
        playbook = self._playbook_of(files)
        if playbook is None:
            await self._supersede(f"{', '.join(file.name for file in files)} changed", again=again)
            return
        try:
            now = await asyncio.to_thread(load_playbook, playbook)
        except AprtuiError as error:
            self._app.show_error("The playbook does not load; the last good run stays", str(error))
            return
        before = self._good.get(playbook.absolute())
        self._good[playbook.absolute()] = now
        run, plan = self._run_of(playbook)
        if run is None or plan is None:
            self._app.say(f"{playbook.name} is saved: r runs it")
        elif before is not None and not differs(before, now):
            self._app.say(f"{playbook.name} says what it said")
        elif only_tolerances_differ(before, now):
            await self._judge_again(run, now)
        else:
            await self._supersede(f"{playbook.name} changed", again=again)

    def _playbook_of(self, files: set[Path]) -> Path | None:
        candidates = [self.playbook] if self.playbook is not None else []
        if self._app.current is not None:
            candidates.append(Path(self._app.current.plan.playbook.path))
        for playbook in candidates:
            if {playbook.absolute(), settings_beside(playbook).absolute()} & {file.absolute() for file in files}:
                return playbook
        named = [file for file in files if file.name.endswith(".yaml") and not file.name.endswith(SETTINGS_SUFFIX)]
        return named[0] if named else None

    def _run_of(self, playbook: Path) -> tuple[RunFolder | None, RunPlan | None]:
        """The open run, if it is this playbook's, else its latest."""
        view = self._app.current
        if view is not None and Path(view.plan.playbook.path).absolute() == playbook.absolute():
            return view.folder, view.plan
        for run in self._app.runs:
            if run.plan is not None and Path(run.plan.playbook.path).absolute() == playbook.absolute():
                return run.folder, run.plan
        return None, None

    async def _judge_again(self, run: RunFolder, playbook: Playbook) -> None:
        answer = await ask(["rejudge", str(run.path), "--format", "json"])
        if answer.problem and answer.code not in (0, 1, 4, 5):
            self._app.show_error("The run could not be judged again", answer.problem)
        else:
            self._app.say(f"{playbook.name}: tolerances changed, run {run.path.name} judged again")

    async def _supersede(self, why: str, *, again: bool) -> None:
        """A new run in place of the one that is open."""
        view = self._app.current
        if view is None or not again:
            self._app.say(f"{why}: r runs it again")
            return
        plan = view.plan
        if view.state() is RunState.RUNNING:
            await (await start_engine(["stop", str(view.folder.path)])).process.wait()
        self._app.say(f"{why}: a new run takes the place of {plan.run_id}")
        arguments = ["run", plan.playbook.path, "--model", plan.model.path]
        if plan.converter is not None:
            arguments += ["--converter", plan.converter.name]
        output = view.folder.path.parents[2]
        await self._app.starter.start([*arguments, *plan.selection, "--output-dir", str(output)])


def settings_beside(playbook: Path) -> Path:
    """The file with aprtui's own keys beside a playbook."""
    return playbook.with_name(stem(playbook) + SETTINGS_SUFFIX)


def differs(before: Playbook, now: Playbook) -> bool:
    """Whether two playbooks say something different; where it stands does not matter."""
    return _facts(before) != _facts(now)


def only_tolerances_differ(before: Playbook | None, now: Playbook) -> bool:
    """Whether a run of the one can be judged again for the other."""
    if before is None:
        return False
    return _facts(before, with_tolerance=False) == _facts(now, with_tolerance=False)


def _facts(playbook: Playbook, *, with_tolerance: bool = True) -> Playbook:
    settings = playbook.settings
    if not with_tolerance:
        settings = settings.model_copy(update={"tolerance": Tolerance()})
    return replace(playbook, settings=settings, complaints=(), places={})
