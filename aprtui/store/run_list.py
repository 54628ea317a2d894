"""Runs as a list shows them: state and count of verdicts, without reading what was measured."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from aprtui.core.errors import AprtuiError
from aprtui.core.events import GateFinished, Heartbeat, RunFinished, RunInterrupted, RunResumed, RunStarted
from aprtui.core.outcomes import Outcome
from aprtui.store.plan import RunPlan
from aprtui.store.run_folder import RunFolder, RunState
from aprtui.store.summary import run_state
from aprtui.store.working_time import WorkingTime

_KINDS = tuple(
    f'"kind":"{kind.__name__}"'.encode()
    for kind in (GateFinished, Heartbeat, RunStarted, RunResumed, RunFinished, RunInterrupted)
)
_TENSOR = b'"kind":"TensorFinished"'
_HEAD = 200
"""Bytes at the start of a line in which its kind stands."""


@dataclass(frozen=True, slots=True)
class RunSummary:
    """One run in a list.

    Attributes:
        folder: Its folder.
        plan: Its plan; None where it cannot be understood.
        state: What became of it.
        outcomes: How many gates came to what.
        started: When it began.
        seconds: How long engines worked on it; None where it has not ended.
        host: Machine of its engine.
        pid: Process of its engine.
        problem: Why its folder cannot be read; empty where it can.
        interrupted_by: Who or what ended it early; empty where it goes on or has finished.
    """

    folder: RunFolder
    plan: RunPlan | None = None
    state: RunState = RunState.DIED
    outcomes: Mapping[Outcome, int] = field(default_factory=dict)
    started: datetime | None = None
    seconds: float | None = None
    host: str = ""
    pid: int = 0
    problem: str = ""
    interrupted_by: str = ""

    @property
    def run_id(self) -> str:
        """Id of the run."""
        return self.folder.path.name

    @property
    def verdicts(self) -> int:
        """Gates with a verdict."""
        return sum(self.outcomes.values())

    @property
    def failed(self) -> int:
        """Gates that are falsified, crashed or out of time."""
        return sum(self.outcomes.get(one, 0) for one in (Outcome.FALSIFIED, Outcome.CRASHED, Outcome.TIMEOUT))

    @property
    def is_failure(self) -> bool:
        """Whether gates failed in it, it died, or it cannot be read."""
        return bool(self.failed or self.problem or self.state is RunState.DIED)

    @property
    def is_live(self) -> bool:
        """Whether its engine runs on this machine."""
        return self.state is RunState.RUNNING


class RunList:
    """Summaries of runs, kept as long as their journals do not change."""

    def __init__(self) -> None:
        self._kept: dict[Path, tuple[tuple[int, int], RunSummary]] = {}

    def read(self, folders: Iterable[RunFolder]) -> list[RunSummary]:
        """A summary for each folder, in their order; reads files, so not for an event loop."""
        return [self._summary(folder) for folder in folders]

    def _summary(self, folder: RunFolder) -> RunSummary:
        try:
            stat = folder.journal.stat()
            size = (stat.st_size, stat.st_mtime_ns)
        except OSError:
            size = (0, 0)
        kept = self._kept.get(folder.path)
        if kept is not None and kept[0] == size and not kept[1].is_live:
            return kept[1]
        summary = summarise(folder)
        self._kept[folder.path] = (size, summary)
        return summary


def summarise(folder: RunFolder) -> RunSummary:
    """Read plan, engine and the lines of the journal that are about the run as a whole."""
    try:
        plan = folder.plan()
    except AprtuiError as error:
        return RunSummary(folder, problem=error.message)
    verdicts: dict[str, Outcome] = {}
    started: datetime | None = None
    worked = WorkingTime()
    end: RunFinished | RunInterrupted | None = None
    reader = folder.reader()
    for _, raw in reader.new_raw_lines():
        head = raw[:_HEAD]
        if _TENSOR in head or not any(kind in head for kind in _KINDS) or (line := reader.parsed(raw)) is None:
            continue
        event = line.event
        worked.add(line)
        if isinstance(event, GateFinished):
            verdicts[event.gate] = event.outcome
        elif isinstance(event, RunStarted):
            started, end = started or line.time, None
        elif isinstance(event, RunResumed):
            verdicts = {gate: outcome for gate, outcome in verdicts.items() if gate in event.gates}
        elif isinstance(event, RunFinished | RunInterrupted):
            end = event
    host, pid, state = _engine(folder, end)
    return RunSummary(
        folder,
        plan,
        state,
        Counter(verdicts.values()),
        started,
        None if end is None else worked.seconds,
        host,
        pid,
        interrupted_by=end.reason if isinstance(end, RunInterrupted) else "",
    )


def _engine(folder: RunFolder, end: RunFinished | RunInterrupted | None) -> tuple[str, int, RunState]:
    try:
        engine = folder.engine()
    except AprtuiError:
        return "", 0, RunState.FINISHED if isinstance(end, RunFinished) else RunState.DIED
    return engine.host, engine.pid, run_state(folder, end)
