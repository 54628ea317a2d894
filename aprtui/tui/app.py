"""The application: five views over run folders. What it does beside drawing stands in `services`."""

from __future__ import annotations

import asyncio
import signal
from array import array
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from textual.app import App, SystemCommand
from textual.screen import Screen

from aprtui.core.errors import AprtuiError
from aprtui.store.run_folder import RunFolder
from aprtui.store.run_list import RunSummary
from aprtui.store.run_view import Changes, RunView
from aprtui.tui import crash
from aprtui.tui.clipboard import copy
from aprtui.tui.keys import ANYWHERE, KEYS, bindings
from aprtui.tui.options import ConsoleOptions, Opening
from aprtui.tui.paint import PAINTS, Painter, shown
from aprtui.tui.palette import commands, make_plain
from aprtui.tui.screens.attach import AttachDialog
from aprtui.tui.screens.base import BaseScreen
from aprtui.tui.screens.compare import ChooseRunDialog, CompareScreen
from aprtui.tui.screens.dialog import AskDialog, TextDialog
from aprtui.tui.screens.diff import DiffScreen
from aprtui.tui.screens.help import HelpDialog
from aprtui.tui.screens.log import LogScreen
from aprtui.tui.screens.models import ModelsScreen
from aprtui.tui.screens.playbooks import PlaybooksScreen
from aprtui.tui.screens.runs import RunsScreen
from aprtui.tui.screens.tensor import TensorScreen
from aprtui.tui.screens.view import ConsoleScreen
from aprtui.tui.services.follow import Follower
from aprtui.tui.services.leaving import leave
from aprtui.tui.services.lists import Lists
from aprtui.tui.services.starter import Starter
from aprtui.tui.services.watch import Watch
from aprtui.tui.themes import FROM_TEXTUAL, chosen_theme, load_themes

if TYPE_CHECKING:
    from aprtui.playbook.listing import Listed

_MODES = ("playbooks", "models", "runs", "diff", "log")
_AFTER_FIRST_PAINT_S = 0.15


class ConsoleApp(App[None]):
    """The console.

    Args:
        options: Settings.
        opening: What to show first.
    """

    CSS_PATH = "console.tcss"
    TITLE = "aprtui"
    BINDINGS: ClassVar = bindings(ANYWHERE)
    MODES: ClassVar = {
        "playbooks": PlaybooksScreen,
        "models": ModelsScreen,
        "runs": RunsScreen,
        "diff": DiffScreen,
        "log": LogScreen,
    }
    COMPONENT_CLASSES: ClassVar = set(PAINTS)
    ENABLE_COMMAND_PALETTE = True

    def __init__(self, options: ConsoleOptions | None = None, opening: Opening | None = None) -> None:
        super().__init__()
        self.options = options or ConsoleOptions()
        self.opening = opening or Opening()
        self.ascii_only = self.options.settings.ascii_only
        self.remapped_keys = dict(self.options.settings.keys)
        self.messages: deque[tuple[datetime, str]] = deque(maxlen=500)
        self.unread_log = 0
        self.comparison: CompareScreen | None = None
        self.failure: BaseException | None = None
        self.report: Path | None = None
        self.follower = Follower(self)
        self.lists = Lists(self)
        self.starter = Starter(self)
        self.watcher = Watch(self)
        self._own_themes = load_themes()
        for theme in self._own_themes.themes.values():
            self.register_theme(theme)
        self.theme = chosen_theme(self.options.settings.theme, self.available_themes)
        # The rules are parsed once, for these colours.
        self._css_variables = self.get_css_variables()
        self.stylesheet.set_variables(self._css_variables)
        self.set_keymap(self.remapped_keys)

    def get_css_variables(self) -> dict[str, str]:
        """Also our colours where a theme of Textual's own does not name them."""
        variables = super().get_css_variables()
        ours = {name: variables.get(source, variables["foreground"]) for name, source in FROM_TEXTUAL.items()}
        return ours | variables

    def refresh_css(self, animate: bool = True) -> None:
        """Textual asks for it whenever a new screen comes in front; rules are parsed again only for other colours."""
        variables = self.get_css_variables()
        if variables != self._css_variables:
            self._css_variables = variables
            super().refresh_css(animate)
        for screen in self.screen_stack:
            self.stylesheet.update(screen, animate=animate)
            for widget in screen.walk_children():
                painter = getattr(widget, "painter", None)
                if isinstance(painter, Painter):
                    painter.forget()
                    widget.refresh()

    # What screens read.

    @property
    def current(self) -> RunView | None:
        """The run that is open."""
        return self.follower.view

    @property
    def current_is_live(self) -> bool:
        """Whether the open run goes on, and its journal was read up to now."""
        return self.follower.is_live and self.follower.caught_up

    @property
    def runs(self) -> list[RunSummary]:
        """The runs of this user, newest first."""
        return self.lists.runs

    @property
    def runs_read(self) -> bool:
        """Whether they have been read once."""
        return self.lists.runs_read

    @property
    def playbooks(self) -> list[Listed]:
        """The playbooks at hand."""
        return self.lists.playbooks

    @property
    def playbooks_read(self) -> bool:
        """Whether they have been read once."""
        return self.lists.playbooks_read

    @property
    def live_runs(self) -> int:
        """How many engines run on this machine."""
        return sum(run.is_live for run in self.lists.runs)

    @property
    def watching(self) -> bool:
        """Whether a playbook is watched."""
        return self.watcher.is_on

    def playbook_folders(self) -> tuple[Path, ...]:
        """Where playbooks are looked for."""
        return self.lists.folders()

    def shown_rows(self) -> array[int]:
        """Numbers of the rows that the Diff view shows."""
        diff = self._view_screen(DiffScreen)
        return diff.order.numbers if diff is not None and diff.order is not None else array("i")

    # From start to end.

    def on_mount(self) -> None:
        """Open what was asked for; look at runs and playbooks."""
        # A killed console must still give the terminal back. SIGHUP stays as it is: there is no terminal any more.
        with suppress(NotImplementedError, RuntimeError, ValueError):  # where this is not the main thread
            asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, self._terminated)
        for problem in (*self._own_themes.problems, *self._wrong_settings()):
            self.say(problem, "warning")
        self.switch_mode("diff" if self.opening.run is not None else "playbooks")
        if self.opening.run is not None:
            self.open_run(RunFolder(self.opening.run), gate=self.opening.gate)
        # What was asked for comes first.
        self.set_timer(_AFTER_FIRST_PAINT_S, self._start_lists)

    def _wrong_settings(self) -> Iterable[str]:
        """What the settings name and the console does not have."""
        known = {key.key_id for key in KEYS}
        wanted = self.options.settings.theme
        if wanted and wanted not in self.available_themes:
            yield f"there is no theme {wanted}: the palette (:) lists them"
        yield from (f"console.keys: there is no key named {name}" for name in self.remapped_keys if name not in known)

    def _start_lists(self) -> None:
        if self.follower.is_reading:
            self.set_timer(_AFTER_FIRST_PAINT_S, self._start_lists)
            return
        self.lists.start(ask_about_runs=self.opening.run is None)

    def _terminated(self) -> None:
        self.exit(return_code=128 + signal.SIGTERM)

    def _handle_exception(self, error: Exception) -> None:
        """A defect of the console: no traceback with local variables on the terminal, a report in a file instead."""
        self._return_code = 70
        if self._exception is None:
            self._exception = error
            self._exception_event.set()
            self.failure, self.report = error, crash.write_report(error)
        self._close_messages_no_wait()

    # What screens ask for.

    def say(self, text: str, severity: str = "information") -> None:
        """A toast, and a line in the log."""
        self._enter(text)
        level: Any = severity
        safe = shown(text, ascii_only=self.ascii_only)
        self.notify(safe, severity=level, markup=False, timeout=8 if severity == "error" else 4)

    def show_error(self, title: str, text: str) -> None:
        """An error that is too long for a toast."""
        self._enter(f"{title}: {text}")
        self.push_screen(TextDialog(title, text))

    def _enter(self, text: str) -> None:
        """A line in the log: shown at once where that is in front, else counted as unread."""
        self.messages.append((datetime.now(), text))
        if isinstance(self.screen, LogScreen):
            self.screen.message_came()
        else:
            self.unread_log += 1
            self.refresh_chrome()

    def may_change(self) -> bool:
        """Whether anything may be started, stopped or written; says why not."""
        if self.options.readonly:
            self.say("this console is read-only (--readonly)", "warning")
        return not self.options.readonly

    def open_run(self, folder: RunFolder, gate: str = "", row: tuple[str, str] = ("", "")) -> bool:
        """Show a run in the Diff view, on its worst row, or on that of a comparison and a tensor; whether it can be."""
        try:
            view = self.follower.open(folder)
        except AprtuiError as error:
            self.show_error("This run cannot be shown", str(error))
            return False
        self.action_view(_MODES.index("diff") + 1)
        diff = self._view_screen(DiffScreen)
        if diff is not None and diff.is_ready and diff.view is not view:
            diff.show_run(view, gate)
        elif gate or any(row):
            self.call_after_refresh(self._show_gate, view, gate)
        if any(row):
            self.call_after_refresh(self._seek, row)
        return True

    def _show_gate(self, view: RunView, gate: str) -> None:
        diff = self._view_screen(DiffScreen)
        if diff is not None:
            diff.show_run(view, gate)

    def _seek(self, row: tuple[str, str]) -> None:
        diff = self._view_screen(DiffScreen)
        if diff is not None:
            diff.seek(*row)

    def open_detail(self, diff: DiffScreen) -> None:
        """The detail of the row under the cursor."""
        self.push_screen(TensorScreen(diff))

    def start_run(self, arguments: list[str]) -> None:
        """Start an engine; the run is shown as soon as it has a folder."""
        if self.may_change():
            self.run_worker(self.starter.start(arguments), group="start")

    def ask_to_stop(self, folder: RunFolder, then: Callable[[], object] = lambda: None) -> None:
        """Ask, then stop an engine, which takes up to ten seconds.

        Args:
            folder: Its run.
            then: Called where the answer was yes.
        """

        def answered(answer: str | None) -> None:
            if answer == "stop":
                self.run_worker(self.starter.stop(folder), group="stop")
                then()

        text = f"Stop run {folder.path.name}? What it has measured is kept; r goes on with it."
        self.push_screen(AskDialog("Stop", text, ("keep running", "stop")), answered)

    def playbook_saved(self, path: Path) -> None:
        """A playbook or the settings beside it were edited."""
        self.run_worker(self.watcher.saved({path}), group="saved")

    def choose_comparison(self, folder: RunFolder) -> None:
        """Ask which run to compare with, then do it."""
        mine = next((run for run in self.runs if run.folder.path == folder.path), None)
        name = mine.plan.playbook.name if mine is not None and mine.plan is not None else None
        others = [run for run in self.runs if run.folder.path != folder.path and run.plan is not None]
        others.sort(key=lambda run: run.plan is not None and run.plan.playbook.name != name)
        if not others:
            self.say("there is no other run to compare with", "warning")
            return

        def answered(other: RunFolder | None) -> None:
            if other is not None:
                self.compare_runs(other, folder)

        self.push_screen(ChooseRunDialog(folder, others), answered)

    def compare_runs(self, *two: RunFolder) -> None:
        """Show what changed from the earlier of two runs to the later one, whose ids begin with when they began."""
        before, after = sorted(two, key=lambda one: one.path.name)
        self.push_screen(CompareScreen(before, after))

    def copy(self, text: str, what: str) -> None:
        """Copy a text the best way there is, and say which."""
        self.run_worker(self._copy(text, what), group="copy")

    async def _copy(self, text: str, what: str) -> None:
        way, keep = self.options.settings.clipboard, not self.options.readonly
        self.say(*await copy(text, what, way, self.copy_to_clipboard, keep=keep))

    # What services tell.

    def run_changed(self, changes: Changes) -> None:
        """The journal of the open run brought something."""
        if not self.is_running:
            return
        diff, log = self._view_screen(DiffScreen), self._view_screen(LogScreen)
        if changes.log and self.follower.caught_up and not isinstance(self.screen, LogScreen):
            self.unread_log += changes.log
        if diff is not None:
            diff.run_changed(changes)
        if log is not None and changes.log and self.current_mode == "log":
            log.run_changed()

    def lists_changed(self) -> None:
        """Runs or playbooks changed."""
        for kind in (PlaybooksScreen, RunsScreen):
            screen = self._view_screen(kind)
            if screen is not None and screen.is_ready:
                screen.refresh_list()
        self.refresh_chrome()

    def runs_left(self, runs: list[RunSummary]) -> None:
        """Runs that went on while no console was looking."""

        def answered(folder: RunFolder | None) -> None:
            if folder is not None:
                self.open_run(folder)

        self.push_screen(AttachDialog(runs), answered)

    def refresh_chrome(self) -> None:
        """The lines above and below of the screen in front."""
        if isinstance(self.screen, ConsoleScreen):
            self.screen.refresh_chrome()

    def _view_screen(self, kind: type[Any]) -> Any:  # noqa: ANN401 - an instance of that type
        for stack in self._screen_stacks.values():
            for screen in stack:
                if isinstance(screen, kind):
                    return screen
        return None

    # Actions.

    def back_to_comparison(self) -> bool:
        """Whether there is a comparison to go back to, one of whose changes is shown."""
        left, self.comparison = self.comparison, None
        if left is not None:
            self.push_screen(left.again())
        return left is not None

    def action_view(self, number: int) -> None:
        """Show one of the five views."""
        self.comparison = None
        while len(self.screen_stack) > 1 and isinstance(self.screen, ConsoleScreen):
            self.pop_screen()
        if len(self.screen_stack) == 1 and self.current_mode != _MODES[number - 1]:
            self.switch_mode(_MODES[number - 1])

    async def action_back(self) -> None:
        """What the screen makes of it."""
        screen = self.screen
        if isinstance(screen, ConsoleScreen):
            screen.action_back()

    def action_show_help(self) -> None:
        """Keys of this screen."""
        screen = self.screen
        if isinstance(screen, BaseScreen) and not isinstance(screen, HelpDialog):
            self.push_screen(HelpDialog(screen.key_places, self.remapped_keys))

    def action_watch(self) -> None:
        """Watching on or off."""
        screen = self.screen
        playbook = getattr(screen, "playbook", None)
        path = playbook() if callable(playbook) else None
        if path is None and self.current is not None and self.current.plan.playbook.path:
            path = Path(self.current.plan.playbook.path)
        self.watcher.toggle(path)
        self.refresh_chrome()

    def action_leave(self) -> None:
        """Back from a pushed screen, else quit."""
        if len(self.screen_stack) > 1:
            self.pop_screen()
        else:
            self.action_interrupt()

    def action_interrupt(self) -> None:
        """Quit; asks where engines run here that this console started."""
        leave(self)

    def action_command_palette(self) -> None:
        """Open the palette, in ASCII where asked."""
        super().action_command_palette()
        if self.ascii_only:
            self.call_after_refresh(lambda: make_plain(self.screen))

    def get_system_commands(self, screen: Screen[Any]) -> Iterable[SystemCommand]:
        """What the palette offers."""
        return commands(self, screen)
