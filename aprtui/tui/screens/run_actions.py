"""What can be done with a run or a playbook, the same in every view that shows one."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from textual.app import SuspendNotSupported

from aprtui.core.errors import AprtuiError
from aprtui.core.gates import GateFamily
from aprtui.core.json_values import to_json
from aprtui.core.tolerance import Rule
from aprtui.store.columns import NO_COMPARISON, Row, RowKind
from aprtui.store.plan import RunPlan
from aprtui.store.run_folder import RunFolder, RunState
from aprtui.store.run_view import RunView
from aprtui.tui.screens.export import ExportDialog
from aprtui.tui.screens.launch import LaunchDialog, LaunchRequest
from aprtui.tui.screens.view import ViewScreen
from aprtui.tui.services.children import command_line
from aprtui.tui.services.starter import repeated

if TYPE_CHECKING:
    from aprtui.playbook import Playbook


class RunActions(ViewScreen):
    """Actions of the views Playbooks, Runs and Diff."""

    view: RunView | None = None

    @property
    def row(self) -> Row | None:
        """The row of a tensor under the cursor, if the view has one."""
        return None

    def folder(self) -> RunFolder | None:
        """The run that is meant."""
        return self.view.folder if self.view is not None else None

    def plan(self) -> RunPlan | None:
        """Its plan."""
        return self.view.plan if self.view is not None else None

    def playbook(self) -> Path | None:
        """The playbook that is meant."""
        plan = self.plan()
        return Path(plan.playbook.path) if plan is not None and plan.playbook.path else None

    def action_start_run(self) -> None:
        """Open the launch dialog; a run that was interrupted is resumed."""
        plan, folder = self.plan(), self.folder()
        if folder is not None and self._state() in (RunState.INTERRUPTED, RunState.DIED):
            self.console.start_run(["run", "--resume", str(folder.path)])
            return
        playbook = self.playbook()
        if playbook is None:
            self.console.say("no playbook is chosen: 1 shows them", "warning")
        elif not self.console.may_change():
            return
        else:
            self.app.push_screen(LaunchDialog(LaunchRequest.of(playbook, plan)), self._launch)

    def action_run_failed(self) -> None:
        """Open the launch dialog for what failed."""
        folder, playbook, plan = self.folder(), self.playbook(), self.plan()
        if folder is None or playbook is None:
            self.console.say("there is no run yet: r starts one", "warning")
        elif self.console.may_change():
            self.app.push_screen(LaunchDialog(LaunchRequest.of(playbook, plan, failed_of=folder.path)), self._launch)

    def action_verify_row(self) -> None:
        """Open the launch dialog for the gates of a row, narrowed to its tensor."""
        row, view, playbook = self.row, self.view, self.playbook()
        gate = self.chosen_gate or (self._gate_of(row, view) if row is not None and view is not None else "")
        if view is None or playbook is None or not gate:
            self.console.say("no row or gate of a run is chosen", "warning")
        elif self.console.may_change():
            is_in_gate = row is not None and row.comparison in view.comparisons_of(gate)
            tensor = row.name if row is not None and row.kind is RowKind.TENSOR and is_in_gate else ""
            request = LaunchRequest.of(playbook, view.plan, gates=(gate,), tensor=tensor)
            self.app.push_screen(LaunchDialog(request), self._launch)

    @property
    def chosen_gate(self) -> str:
        """The gate that the view shows alone; empty where it shows all."""
        return ""

    def _gate_of(self, row: Row, view: RunView) -> str:
        """The gate that a row counts for most: the pair that made it before those that judge all of a kind."""
        if row.comparison == NO_COMPARISON:
            return row.name if row.name in {gate.gate_id for gate in view.plan.gates} else ""
        found = [gate for gate in view.plan.gates if row.comparison in view.comparisons_of(gate.gate_id)]
        families = list(GateFamily)
        return min(found, key=lambda one: families.index(one.gate.family)).gate_id if found else ""

    def _launch(self, arguments: list[str] | None) -> None:
        if arguments:
            self.console.start_run(arguments)

    def _state(self) -> RunState | None:
        return self.view.state() if self.view is not None else None

    def action_stop_run(self) -> None:
        """Ask, then stop the run."""
        folder, state = self.folder(), self._state()
        if folder is None or not self.console.may_change():
            return
        if state is RunState.ELSEWHERE:
            self.console.say(f"this run belongs to host {folder.engine().host}: stop it there", "warning")
        elif state is not RunState.RUNNING:
            self.console.say("this run is not running", "warning")
        else:
            self.console.ask_to_stop(folder)

    def action_export(self) -> None:
        """Open the export dialog."""
        folder = self.folder()
        if folder is None:
            self.console.say("no run is open", "warning")
        elif self.console.may_change():
            self.app.push_screen(ExportDialog(folder, self.view))

    def action_compare(self) -> None:
        """Compare with another run of the same playbook."""
        folder = self.folder()
        if folder is not None:
            self.console.choose_comparison(folder)

    def action_copy(self) -> None:
        """Ask what to copy."""
        self.ask_what_to_copy(self.copy_choices())

    def copy_choices(self) -> dict[str, str]:
        """What can be copied, by its name."""
        choices: dict[str, str] = {}
        row, folder, plan = self.row, self.folder(), self.plan()
        if row is not None:
            choices["name"] = row.name
            tensor = self.view.tensor(row.number) if self.view is not None else None
            choices["row as JSON"] = json.dumps(to_json(tensor if tensor is not None else row), indent=2)
        if plan is not None and folder is not None:
            choices["command"] = command_line(repeated(plan))
            choices["path"] = str(folder.path)
        elif (playbook := self.playbook()) is not None:
            choices["command"] = command_line(["run", str(playbook)])
            choices["path"] = str(playbook)
        return choices

    def action_edit(self) -> None:
        """Open the playbook in $EDITOR at the line that set the tolerance of the row."""
        playbook = self.playbook()
        if playbook is None:
            self.console.say("there is no playbook to edit: 1 shows them", "warning")
            return
        if not self.console.may_change():
            return
        try:
            loaded = self.console.watcher.remember(playbook)
            place = tolerance_place(loaded, self.row)
            is_new = place is None
            path, line = place or new_settings(loaded)
        except AprtuiError as error:
            # What does not load is what needs editing.
            self.console.say(str(error), "error")
            stated = re.match(r"line (\d+)", error.place or "")
            path, line, is_new = Path(error.file or playbook), int(stated[1]) if stated else 1, False
        except OSError as error:
            self.console.say(str(error), "error")
            return
        self._edit(path, line, is_new=is_new)

    def _edit(self, path: Path, line: int, *, is_new: bool) -> None:
        editor = shlex.split(os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi")
        try:
            with self.app.suspend():
                subprocess.run([*editor, f"+{line}", str(path)], check=False)  # noqa: S603 - the user's own editor
        except SuspendNotSupported:
            self.console.say(f"edit {path}, line {line}", "warning")
            return
        except OSError as error:
            self.console.say(f"{editor[0]}: {error.strerror}; set EDITOR", "error")
        if is_new and remove_untouched(path):
            self.console.say(f"nothing was set: {path.name} is removed again")
        else:
            self.console.playbook_saved(path)


_NEW_SETTINGS = """\
# Settings of aprtui for the playbook beside it: tolerances of lossy conversions.
#   ulp: 0.5          largest error of a rounded value, in ULP of the target
#   scale_ulp: 0      largest distance of a block's scale from its formula, in ULP of F16
#   rmse_ratio: 1.0   largest RMS error of a block over what plain min/max encoding guarantees
aprtui:
  tolerance:
    ulp: 0.5
"""
_LINE_OF_ULP = 7


def remove_untouched(path: Path) -> bool:
    """Remove a file of settings that holds just what `new_settings` writes.

    Returns:
        Whether it was one.
    """
    try:
        if path.stat().st_size != len(_NEW_SETTINGS) or path.read_text(encoding="utf-8") != _NEW_SETTINGS:
            return False
        path.unlink()
    except (OSError, UnicodeDecodeError):
        return False
    return True


def tolerance_place(playbook: Playbook, row: Row | None = None) -> tuple[Path, int] | None:
    """File and line to edit a tolerance at: where a row's is set, or another, else the settings beside the playbook.

    None where there are none yet.
    """
    section = ("aprtui", "tolerance")
    for key in (*((*section, name) for name in _settings_of(row)), section):
        if key in playbook.places:
            return playbook.places[key]
    beside = _beside(playbook)
    return (beside, 1) if beside.exists() else None


def new_settings(playbook: Playbook) -> tuple[Path, int]:
    """Write settings beside a playbook, with nothing set, so that itself can stay locked; where to edit them.

    Raises:
        OSError: The file cannot be written.
    """
    beside = _beside(playbook)
    beside.write_text(_NEW_SETTINGS, encoding="utf-8")
    return beside, _LINE_OF_ULP


def _beside(playbook: Playbook) -> Path:
    from aprtui.playbook.load import files_of_playbook  # noqa: PLC0415 - reading playbooks is slow to import

    return files_of_playbook(playbook.path)[1]


def _settings_of(row: Row | None) -> list[str]:
    """Names of tolerances, those first that a row is judged by."""
    names = ["ulp", "scale_ulp", "rmse_ratio"]
    if row is not None and row.kind is RowKind.TENSOR:
        by_rule = {Rule.ROUNDING: ["ulp"], Rule.CERTIFICATE: ["scale_ulp", "rmse_ratio"]}
        own = [name for name in names if row.set_by.startswith(f"aprtui.tolerance.{name} ")]
        names = [*own, *by_rule.get(Rule(row.rule), []), *names] if row.rule in tuple(Rule) else names
    return names
