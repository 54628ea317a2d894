"""Follows the journal of the open run: looks four times a second, for a few milliseconds at a time.

Bytes on the wire then depend on what changes in sight, not on how fast an engine writes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING

from textual.timer import Timer

from aprtui.core.outcomes import Outcome
from aprtui.store.run_folder import RunFolder, RunState
from aprtui.store.run_view import Changes, RunView
from aprtui.tui.services.children import ask

if TYPE_CHECKING:
    from aprtui.tui.app import ConsoleApp

_LOOK_S = 0.25
_SLICE_S, _GAP_S = 0.006, 0.012
_FIRST_SLICE_S, _FIRST_GAP_S = 0.04, 0.002
"""Of a run that nobody works on, until it was read once: somebody waits for it, and a key for no more than this."""


class Follower:
    """Keeps the open run up to date.

    Args:
        app: Is told what changed.
    """

    def __init__(self, app: ConsoleApp) -> None:
        self._app = app
        self._timer: Timer | None = None
        self._state: RunState | None = None
        self.view: RunView | None = None
        self.caught_up = False
        """Whether the journal was read to its end once; what comes later is news."""

    @property
    def is_live(self) -> bool:
        """Whether its engine ran when somebody looked last."""
        return self._state is RunState.RUNNING

    @property
    def is_reading(self) -> bool:
        """Whether a run is open whose journal was not read to its end yet."""
        return self.view is not None and not self.caught_up

    def open(self, folder: RunFolder) -> RunView:
        """Follow a run; one that is open already stays as it is.

        Raises:
            AprtuiError: Its plan cannot be read.
        """
        if self.view is not None and self.view.folder.path == folder.path:
            return self.view
        view = RunView(folder)
        self.view, self._state, self.caught_up = view, view.state(), False
        if self._timer is not None:
            self._timer.stop()
        self._timer = self._app.set_interval(_LOOK_S, self._look)
        self._app.call_later(self._look)
        if self._state is RunState.RUNNING:
            self._app.run_worker(self._take_inventory(view), group="inventory", exclusive=True)
        return view

    def _look(self) -> None:
        view = self.view
        if view is None:
            return
        waits = not self.caught_up and not self.is_live
        changes = view.read(_FIRST_SLICE_S if waits else _SLICE_S)
        state = view.state()
        # Before its journal was read a run may look as if it went on: this process may have been its engine.
        ended = self.caught_up and state is not self._state and self._state is RunState.RUNNING
        if state is not self._state:
            self._state, changes.gates = state, True
            if state is RunState.RUNNING and not view.inventory:
                # Somebody has resumed it: what is measured again waits in sight.
                self._app.run_worker(self._take_inventory(view), group="inventory", exclusive=True)
        if changes.rows or changes.gates or changes.log or not (changes.more or self.caught_up):
            self._app.run_changed(changes)
        self.caught_up = self.caught_up or not changes.more
        if changes.more:
            self._app.set_timer(_FIRST_GAP_S if waits else _GAP_S, self._look_on)
        elif ended:
            self._tell_end(view, state)

    def _look_on(self) -> None:
        self._look()

    def _tell_end(self, view: RunView, state: RunState) -> None:
        sentence, is_good = _end_sentence(view)
        self._app.say(f"{view.plan.playbook.name} {state}: {sentence}", "information" if is_good else "warning")
        if self._app.options.settings.bell:
            self._app.bell()
        self._app.lists.look_soon()

    async def _take_inventory(self, view: RunView) -> None:
        """Names of the model's tensors, from its header: a waiting row for each before the first result comes."""
        answer = await ask(["inspect", view.plan.model.path, "--format", "json"])
        tensors = answer.value.get("tensors") if isinstance(answer.value, Mapping) else None
        if not isinstance(tensors, list) or view.inventory or self.view is not view:
            return
        names = [str(tensor.get("name", "")) for tensor in tensors if isinstance(tensor, Mapping)]
        view.take_inventory(names)
        changes = Changes(rows=set(view.columns.changed), gates=True)
        view.columns.changed.clear()
        self._app.run_changed(changes)


def _end_sentence(view: RunView) -> tuple[str, bool]:
    """What the gates of a run that ended came to, and whether all of them hold."""
    outcomes = Counter(verdict.outcome for verdict in view.gates.values())
    planned, holding, skipped = len(view.plan.gates), outcomes[Outcome.CORROBORATED], outcomes[Outcome.SKIPPED]
    amounts = {
        f"of {planned} gates do not hold": outcomes.total() - holding - skipped,
        f"of {planned} gates skipped": skipped,
        f"of {planned} gates without a verdict": planned - outcomes.total(),
    }
    parts = [f"{amount} {words}" for words, amount in amounts.items() if amount > 0]
    return ", ".join(parts) or "every gate holds", not parts
