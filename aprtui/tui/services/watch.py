"""Watch mode: a playbook that is saved is run again, or, where only tolerances changed, judged again.

A save that does not load changes nothing: the last good run stays, and the line that is wrong is shown.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Iterable
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING

from aprtui.core.errors import AprtuiError
from aprtui.store.file_watch import changes, files_of_program
from aprtui.store.plan import RunPlan
from aprtui.store.run_folder import RunFolder, RunState
from aprtui.tui.services.children import tell
from aprtui.tui.services.starter import repeated

if TYPE_CHECKING:
    from aprtui.playbook import Playbook
    from aprtui.tui.app import ConsoleApp


class Watch:
    """Watches one playbook.

    Args:
        app: Runs and shows.
    """

    def __init__(self, app: ConsoleApp) -> None:
        self._app = app
        self._stop = Event()
        self._good: dict[Path, Playbook] = {}
        self._to_judge: dict[Path, Playbook] = {}
        self._problems: dict[Path, str] = {}
        self.playbook: Path | None = None

    @property
    def is_on(self) -> bool:
        """Whether a playbook is watched."""
        return self.playbook is not None

    @property
    def is_writing(self) -> bool:
        """Whether a journal is being judged again."""
        return bool(self._to_judge)

    @property
    def problem(self) -> str:
        """Why a playbook does not load that was saved; empty where all do."""
        return next(iter(self._problems.values()), "")

    def toggle(self, playbook: Path | None) -> None:
        """Watch a playbook, or stop watching."""
        if self.playbook is not None:
            self._stop.set()
            self._problems.pop(self.playbook.absolute(), None)
            self.playbook = None
            self._app.say("watching nothing")
            return
        if playbook is None:
            self._app.say("no playbook is chosen: nothing to watch", "warning")
            return
        if self._app.may_change():
            self.playbook, self._stop = playbook, Event()
            try:
                self.remember(playbook)
            except AprtuiError as error:
                self._app.say(str(error), "error")
            self._app.run_worker(self._watch(playbook, self._stop), group="watch", exit_on_error=False)
            self._app.say(f"watching {playbook.name}")

    def remember(self, playbook: Path) -> Playbook:
        """What a playbook says now; later saves are held against it.

        Raises:
            AprtuiError: It does not load.
        """
        from aprtui.playbook import load_playbook  # noqa: PLC0415 - reading playbooks is slow to import

        self._good[playbook.absolute()] = load_playbook(playbook)
        return self._good[playbook.absolute()]

    async def _watch(self, playbook: Path, stop: Event) -> None:
        from aprtui.playbook.load import files_of_playbook  # noqa: PLC0415 - reading playbooks is slow to import

        files = [*files_of_playbook(playbook), *self._other_files()]
        try:
            async for saved in saved_files(files, stop):
                await self.saved(saved, again=True)
        except OSError as error:
            self._app.say(f"watching ended: {error}", "error")
        finally:
            stop.set()
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
        return [*files, *files_of_program(Path(converter.path))] if converter is not None and converter.path else files

    async def saved(self, files: Collection[Path], *, again: bool = False) -> None:
        """Files were saved.

        Args:
            files: Which ones.
            again: Whether to run again where judging again is not enough.
        """
        from aprtui.playbook import PlaybookChange, change_between, load_playbook  # noqa: PLC0415 - reading playbooks is slow to import

        self._app.lists.read_playbooks()
        playbook = self._playbook_of(files)
        if playbook is None:
            # Of the model or the converter of the run that is watched.
            if (watched := self.playbook) is not None:
                await self._supersede(watched, f"{', '.join(file.name for file in files)} changed", again=again)
            return
        try:
            now = await asyncio.to_thread(load_playbook, playbook)
        except AprtuiError as error:
            # No dialog: somebody may be typing. It stands above the keys until the file is right.
            where = ", ".join(part for part in (Path(error.file or playbook).name, error.place) if part)
            todo = f"; {error.todo}" if error.todo else ""
            self._problems[playbook.absolute()] = f"{where}: {error.problem}{todo}; the last good run stays"
            self._app.say(f"{playbook.name} does not load", "error")
            self._app.refresh_chrome()
            return
        if self._problems.pop(playbook.absolute(), None) is not None:
            self._app.refresh_chrome()
        before = self._good.get(playbook.absolute())
        self._good[playbook.absolute()] = now
        run, plan = self._run_of(playbook)
        if run is None or plan is None:
            await self._supersede(playbook, f"{playbook.name} is saved", again=again)
        else:
            change = PlaybookChange.JUDGE_AGAIN if before is None else change_between(before, now)
            if now.fingerprint != plan.playbook.fingerprint:
                change = PlaybookChange.RUN_AGAIN
            if change is PlaybookChange.NOTHING:
                self._app.say(f"{playbook.name} says what it said")
            elif change is PlaybookChange.JUDGE_AGAIN:
                self._judge_again(run, now)
            else:
                await self._supersede(playbook, f"{playbook.name} changed", again=again)

    def _playbook_of(self, files: Collection[Path]) -> Path | None:
        from aprtui.playbook.load import files_of_playbook  # noqa: PLC0415 - reading playbooks is slow to import

        saved = {file.absolute() for file in files}
        candidates = [self.playbook] if self.playbook is not None else []
        if self._app.current is not None:
            candidates.append(Path(self._app.current.plan.playbook.path))
        candidates += [listed.path for listed in self._app.playbooks]
        candidates += [Path(run.plan.playbook.path) for run in self._app.runs if run.plan is not None]
        for playbook in candidates:
            if not saved.isdisjoint(file.absolute() for file in files_of_playbook(playbook)):
                return playbook
        return next((file for file in files if file.name.endswith((".playbook.yaml", ".playbook.yml"))), None)

    def _run_of(self, playbook: Path) -> tuple[RunFolder | None, RunPlan | None]:
        """The open run, if it is this playbook's, else its latest."""
        view = self._app.current
        if view is not None and Path(view.plan.playbook.path).absolute() == playbook.absolute():
            return view.folder, view.plan
        for run in self._app.runs:
            if run.plan is not None and Path(run.plan.playbook.path).absolute() == playbook.absolute():
                return run.folder, run.plan
        return None, None

    def _is_live(self, run: RunFolder) -> bool:
        view = self._app.current
        if view is not None and view.folder.path == run.path:
            return view.state() is RunState.RUNNING
        return any(one.is_live for one in self._app.runs if one.folder.path == run.path)

    def _judge_again(self, run: RunFolder, playbook: Playbook) -> None:
        """Show rows under saved tolerances at once; the process that writes them into the journal takes seconds."""
        view = self._app.current
        if view is not None and view.folder.path == run.path:
            view.judge_under(playbook.tolerances)
        is_writing = run.path in self._to_judge
        self._to_judge[run.path] = playbook
        if not is_writing:
            self._app.run_worker(self._write(run), group="judge", exit_on_error=False)

    async def _write(self, run: RunFolder) -> None:
        """Have the journal judged again, and once more where the playbook was saved meanwhile."""
        written, problem = None, ""
        try:
            while (playbook := self._to_judge[run.path]) is not written:
                written, problem = playbook, await tell(["rejudge", str(run.path)])
        finally:
            del self._to_judge[run.path]
            view = self._app.current
            if view is not None and view.folder.path == run.path:
                view.follow_journal(at_once=bool(problem))
        if problem:
            self._app.show_error("The run could not be judged again", problem)
        else:
            self._app.say(f"{playbook.path.name}: tolerances changed, run {run.path.name} judged again")

    async def _supersede(self, playbook: Path, why: str, *, again: bool) -> None:
        """A new run of a playbook, in place of its open or latest one if there is one."""
        if not again:
            self._app.say(f"{why}: r runs it")
            return
        run, plan = self._run_of(playbook)
        if run is None or plan is None:
            self._app.say(f"{why}: its first run begins")
            await self._app.starter.start(["run", str(playbook), "--output-dir", str(self._app.options.output)])
            return
        if self._is_live(run):
            await tell(["stop", str(run.path), "--reason", f"{why}: another run takes its place"])
        self._app.say(f"{why}: a new run takes the place of {plan.run_id}")
        await self._app.starter.start([*repeated(plan), "--output-dir", str(run.path.parents[2])])


async def saved_files(files: Collection[Path], stop: Event) -> AsyncIterator[frozenset[Path]]:
    """The files that were saved; watching blocks, so it has a thread of its own."""
    watched = changes(files, stop)
    while (saved := await asyncio.to_thread(next, watched, None)) is not None:
        if saved:
            yield saved
