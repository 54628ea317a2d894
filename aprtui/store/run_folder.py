"""The folder of one run: which files it holds, and what state the run is in.

plan.json       what the run is going to do
journal.jsonl   what happened, one event a line
pid.json        the engine that works on it, or worked on it last
rows.bin        tensors of a long journal as columns: a cache, which may be deleted
stderr.log      what workers wrote to standard output and standard error
evidence.json   the verdicts
tolerances.json tolerances that the engine is asked to judge under, until it does
stop.json       why the engine is asked to stop, until it has
junit.xml       the verdicts, for CI servers
products/       conversions, unless the run was told another place
bundle.json     in place of the engine and the products, where the folder was unpacked from a bundle or from evidence
"""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TypeVar

from aprtui.core.errors import AprtuiError
from aprtui.core.json_values import from_json, to_json
from aprtui.core.tolerance import ToleranceSettings
from aprtui.store.atomic import write_json
from aprtui.store.journal import JournalReader
from aprtui.store.plan import RunPlan
from aprtui.store.process import ProcessIdentity

T = TypeVar("T")

_TOLERANCES = "tolerances.json"
_STOP = "stop.json"
BUNDLE_FACTS = "bundle.json"


class RunState(StrEnum):
    """What became of a run."""

    RUNNING = "running"
    ELSEWHERE = "on another host"
    FINISHED = "finished"
    INTERRUPTED = "interrupted"
    DIED = "died"
    BUNDLED = "bundled before it ended"


@dataclass(frozen=True, slots=True)
class RunFolder:
    """A run's folder.

    Attributes:
        path: The folder.
    """

    path: Path

    @property
    def journal(self) -> Path:
        """The events."""
        return self.path / "journal.jsonl"

    @property
    def rows(self) -> Path:
        """The tensors of a long journal as columns."""
        return self.path / "rows.bin"

    @property
    def stderr(self) -> Path:
        """What workers wrote."""
        return self.path / "stderr.log"

    @property
    def evidence(self) -> Path:
        """The verdicts."""
        return self.path / "evidence.json"

    @property
    def junit(self) -> Path:
        """The verdicts, for CI servers."""
        return self.path / "junit.xml"

    @property
    def is_bundle(self) -> bool:
        """Whether it was unpacked from a bundle or from evidence: it can be read, and no engine ever works on it."""
        return (self.path / BUNDLE_FACTS).is_file()

    @property
    def exists(self) -> bool:
        """Whether there is a run in it."""
        return (self.path / "plan.json").is_file()

    def plan(self) -> RunPlan:
        """The plan.

        Raises:
            AprtuiError: It is not there or cannot be understood.
        """
        return self._read("plan.json", RunPlan)

    def write_plan(self, plan: RunPlan) -> None:
        """Write the plan."""
        write_json(self.path / "plan.json", to_json(plan))

    def engine(self) -> ProcessIdentity:
        """The engine that works on the run, or worked on it last.

        Raises:
            AprtuiError: As for the plan.
        """
        return self._read("pid.json", ProcessIdentity)

    def write_engine(self, engine: ProcessIdentity) -> None:
        """Write which engine works on the run."""
        write_json(self.path / "pid.json", to_json(engine))

    def ask_for_tolerances(self, tolerances: ToleranceSettings) -> None:
        """Ask the engine that works on the run to judge under these tolerances from now on."""
        write_json(self.path / _TOLERANCES, to_json(tolerances))

    def asked_tolerances(self) -> ToleranceSettings | None:
        """Tolerances that were asked for and that no engine has taken yet."""
        if not (self.path / _TOLERANCES).exists():
            return None
        try:
            return self._read(_TOLERANCES, ToleranceSettings)
        except AprtuiError:
            return None

    def tolerances_taken(self) -> None:
        """The engine judges under the tolerances that were asked for."""
        (self.path / _TOLERANCES).unlink(missing_ok=True)

    def give_reason_to_stop(self, reason: str) -> None:
        """Leave word why the engine that works on the run is about to be signalled."""
        write_json(self.path / _STOP, {"reason": reason})

    def take_reason_to_stop(self) -> str:
        """Why the engine was asked to stop; empty where nobody said. It is told once."""
        path, reason = self.path / _STOP, None
        with suppress(OSError, ValueError, RecursionError, AttributeError):
            reason = json.loads(path.read_bytes()).get("reason")
        path.unlink(missing_ok=True)
        return reason if isinstance(reason, str) else ""

    def reader(self) -> JournalReader:
        """A reader of the journal, at its beginning."""
        return JournalReader(self.journal, self.path.name)

    def _read(self, name: str, kind: type[T]) -> T:
        path = self.path / name
        try:
            return from_json(kind, json.loads(path.read_bytes()))
        except OSError as error:
            raise AprtuiError(f"no run: {error.strerror}", file=path) from None
        except (ValueError, RecursionError) as error:
            raise AprtuiError(f"cannot be understood: {error}", file=path) from None
