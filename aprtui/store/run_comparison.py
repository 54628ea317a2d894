"""Two runs side by side, from plans and journals alone: gates fixed and broken, and the tensors that flipped.

Journals are read line by line, twice each; what is kept of them grows with the number of tensors that fail, not with
the size of the models or the journals.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from aprtui.core.events import ComparisonStarted, JournalLine, RunResumed, TensorFinished
from aprtui.core.json_values import to_json
from aprtui.core.outcomes import Level, Outcome
from aprtui.core.results import TensorResult
from aprtui.store.plan import RunPlan
from aprtui.store.run_folder import RunFolder
from aprtui.store.summary import RunRecord


class GateChange(StrEnum):
    """What became of a gate from one run to the next."""

    BROKEN = "broken"
    FIXED = "fixed"
    CHANGED = "changed"
    NEW = "new"
    GONE = "gone"
    UNCHANGED = "unchanged"


@dataclass(frozen=True, slots=True)
class ComparedGate:
    """A gate in both runs.

    Attributes:
        gate: Id.
        change: Broken where it is worse than before (held, then skipped, then failed), fixed where it holds and did
            not, changed where it fails in another way or is only skipped now, new or gone where one run alone has a
            verdict.
        before: Outcome in the first run; None where it has none.
        after: Outcome in the second run.
        reason_before: One sentence.
        reason_after: One sentence.
        comparisons: Ids of the comparisons that it is judged from, in either run.
    """

    gate: str
    change: GateChange
    before: Outcome | None
    after: Outcome | None
    reason_before: str
    reason_after: str
    comparisons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TensorState:
    """What one run measured of a tensor, as far as another run's is held against it.

    Attributes:
        outcome: The verdict.
        margin: How far over its limit.
        unit: What the margin counts.
        needed: Smallest limit that would have passed.
        nmse: Normalised mean squared error.
        max_abs: Largest difference.
        sentence: The measured value against the tolerance.
    """

    outcome: Outcome
    margin: float
    unit: str
    needed: float
    nmse: float
    max_abs: float
    sentence: str

    @classmethod
    def of(cls, tensor: TensorResult) -> TensorState:
        """The state of a result."""
        judged, record = tensor.judgement, tensor.record
        return cls(
            judged.outcome, judged.margin, judged.unit, judged.needed, record.nmse, record.max_abs, judged.sentence
        )


@dataclass(frozen=True, slots=True)
class TensorFlip:
    """A tensor that holds in one run and does not in the other.

    Attributes:
        comparison: Id of the comparison, the same in both runs.
        name: Canonical name.
        before: In the first run.
        after: In the second run.
    """

    comparison: str
    name: str
    before: TensorState
    after: TensorState

    @property
    def is_broken(self) -> bool:
        """Whether it held before."""
        return self.before.outcome is Outcome.CORROBORATED

    @property
    def rank(self) -> tuple[bool, float, float, str]:
        """Sort key: broken ones first, then by what the run measured in which it fails."""
        failing = self.after if self.is_broken else self.before
        return (not self.is_broken, -failing.nmse, -failing.margin, self.name)


@dataclass(frozen=True, slots=True)
class LevelFlip:
    """A level of a comparison whose outcome changed.

    Attributes:
        comparison: Id of the comparison.
        level: The level.
        before: Outcome in the first run.
        after: Outcome in the second run.
        failures_before: Findings that fail it.
        failures_after: The same in the second run.
    """

    comparison: str
    level: Level
    before: Outcome
    after: Outcome
    failures_before: int
    failures_after: int


@dataclass(frozen=True, slots=True)
class Circumstance:
    """Something that both runs have and that is not the same.

    Attributes:
        what: What it is.
        before: In the first run.
        after: In the second run.
    """

    what: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class RunComparison:
    """Two runs.

    Attributes:
        before: Id of the first run.
        after: Id of the second run.
        circumstances: What was not the same when they ran.
        gates: Every gate that has a verdict in either run, in the order of the second run's plan.
        tensors: Tensors that flipped, broken ones first, worst first.
        levels: Levels whose outcome changed.
        passed_over: Damaged or unknown lines of both journals.
    """

    before: str
    after: str
    circumstances: tuple[Circumstance, ...]
    gates: tuple[ComparedGate, ...]
    tensors: tuple[TensorFlip, ...]
    levels: tuple[LevelFlip, ...]
    passed_over: int = 0

    def with_change(self, change: GateChange) -> tuple[ComparedGate, ...]:
        """The gates with this change."""
        return tuple(gate for gate in self.gates if gate.change is change)

    def tensors_of(self, gate: ComparedGate) -> tuple[TensorFlip, ...]:
        """The tensors of a gate's comparisons that flipped."""
        return tuple(flip for flip in self.tensors if flip.comparison in gate.comparisons)


def compare_runs(before: RunFolder, after: RunFolder) -> RunComparison:
    """Compare two runs of any playbooks; gates and comparisons are the same where their ids are.

    Raises:
        AprtuiError: A plan is not there or cannot be understood.
    """
    plans = before.plan(), after.plan()
    first, second = _Side(before), _Side(after)
    flips = [
        *_flips(first.failed, second.passed_where(first.failed)),
        *_flips(first.passed_where(second.failed), second.failed),
    ]
    return RunComparison(
        before=plans[0].run_id,
        after=plans[1].run_id,
        circumstances=tuple(_circumstances(plans, (first.record, second.record))),
        gates=tuple(_gates(plans, (first.record, second.record))),
        tensors=tuple(sorted(flips, key=lambda flip: flip.rank)),
        levels=tuple(_levels(first.record, second.record)),
        passed_over=first.passed_over + second.passed_over,
    )


States = dict[str, dict[str, TensorState]]
"""Tensors by comparison and name."""


class _Side:
    """One run, read once for what fails in it.

    Attributes:
        record: What the journal holds of the run.
        failed: Tensors that do not hold.
        passed_over: Damaged or unknown lines.
    """

    def __init__(self, folder: RunFolder) -> None:
        self._folder = folder
        self.record = RunRecord()
        reader = folder.reader()
        tensors = _Tensors(lambda _, tensor: not tensor.judgement.passed)
        for line in reader.new_lines():
            self.record.add(line)
            tensors.add(line)
        self.failed, self.passed_over = tensors.kept, reader.passed_over

    def passed_where(self, failed: States) -> States:
        """Read again: of the tensors that fail in the other run those that hold in this one."""
        if not failed:
            return {}
        tensors = _Tensors(lambda one, tensor: tensor.judgement.passed and tensor.name in failed.get(one, ()))
        for line in self._folder.reader().new_lines():
            tensors.add(line)
        return tensors.kept


class _Tensors:
    """Keeps tensors of those comparisons whose results stand.

    Args:
        wanted: Which tensors, told by comparison and result.
    """

    def __init__(self, wanted: Callable[[str, TensorResult], bool]) -> None:
        self._wanted = wanted
        self.kept: States = {}

    def add(self, line: JournalLine) -> None:
        """Take the next line; a tensor that is judged again counts as it was judged last."""
        event = line.event
        if isinstance(event, TensorFinished):
            if self._wanted(event.comparison, event.tensor):
                self.kept.setdefault(event.comparison, {})[event.tensor.name] = TensorState.of(event.tensor)
            else:
                self.kept.get(event.comparison, {}).pop(event.tensor.name, None)
        elif isinstance(event, ComparisonStarted):
            self.kept.pop(event.comparison, None)
        elif isinstance(event, RunResumed):
            self.kept = {one: kept for one, kept in self.kept.items() if one in event.comparisons}


def _flips(before: States, after: States) -> Iterator[TensorFlip]:
    """The tensors that are on both sides."""
    for comparison, tensors in before.items():
        later = after.get(comparison, {})
        yield from (
            TensorFlip(comparison, name, state, later[name]) for name, state in tensors.items() if name in later
        )


def _gates(plans: tuple[RunPlan, RunPlan], records: tuple[RunRecord, RunRecord]) -> Iterator[ComparedGate]:
    planned = [{gate.gate_id: gate for gate in plan.gates} for plan in plans]
    verdicts = [record.verdicts() for record in records]
    for gate in dict.fromkeys((*planned[1], *planned[0], *verdicts[1], *verdicts[0])):
        before, after = (found.get(gate) for found in verdicts)
        if before is None and after is None:
            continue
        comparisons = (one for plan in planned if gate in plan for one in plan[gate].comparisons)
        outcome_before = None if before is None else before.outcome
        outcome_after = None if after is None else after.outcome
        yield ComparedGate(
            gate=gate,
            change=_change(outcome_before, outcome_after),
            before=outcome_before,
            after=outcome_after,
            reason_before="" if before is None else before.reason,
            reason_after="" if after is None else after.reason,
            comparisons=tuple(dict.fromkeys(comparisons)),
        )


_BADNESS = {Outcome.CORROBORATED: 0, Outcome.SKIPPED: 1}


def _change(before: Outcome | None, after: Outcome | None) -> GateChange:
    if before is None or after is None:
        return GateChange.NEW if before is None else GateChange.GONE
    if before is after:
        return GateChange.UNCHANGED
    if after is Outcome.CORROBORATED:
        return GateChange.FIXED
    return GateChange.BROKEN if _BADNESS.get(after, 2) > _BADNESS.get(before, 2) else GateChange.CHANGED


def _levels(before: RunRecord, after: RunRecord) -> Iterator[LevelFlip]:
    for comparison, found in after.comparisons.items():
        earlier = before.comparisons.get(comparison)
        if earlier is None:
            continue
        for level in found.levels:
            other = earlier.level(level.level)
            if other is not None and other.outcome is not level.outcome:
                yield LevelFlip(
                    comparison,
                    level.level,
                    other.outcome,
                    level.outcome,
                    len(other.failures),
                    len(level.failures),
                )


def _circumstances(plans: tuple[RunPlan, RunPlan], records: tuple[RunRecord, RunRecord]) -> Iterator[Circumstance]:
    sides = [_facts(plan, record) for plan, record in zip(plans, records, strict=True)]
    for what, (before, shown_before) in sides[0].items():
        after, shown_after = sides[1][what]
        if before != after:
            yield Circumstance(what, shown_before, shown_after)


def _facts(plan: RunPlan, record: RunRecord) -> dict[str, tuple[object, str]]:
    """What a run's verdicts depend on: what is compared, and how it is shown."""
    playbook, converter, opened = plan.playbook, plan.converter, record.opened
    tolerances = record.tolerances or plan.tolerances
    own = [f"{key} {value:g}" for key, value in to_json(tolerances).items() if isinstance(value, float)]
    digests = None if opened is None else sorted(opened.files.values())
    sources = None if opened is None else {letter: sorted(files.values()) for letter, files in opened.sources.items()}
    made_by = "none" if converter is None else f"{converter.name} {converter.version} ({converter.digest})"
    return {
        # A change of tolerances alone is told as such.
        "playbook": (
            (playbook.name, playbook.fingerprint or playbook.digest),
            f"{playbook.path} ({playbook.digest or 'no digest'})",
        ),
        "model": (digests, f"{plan.model.path} ({len(digests)} files)" if digests is not None else plan.model.path),
        "given sources": (sources, ", ".join(one.path for one in plan.sources) or "none"),
        "converter": (converter, made_by),
        "tolerances": (sorted(own), ", ".join(own) or "those of the rules"),
        "selection": (plan.selection, " ".join(plan.selection) or "the whole playbook"),
        "rules": (plan.rules_version, plan.rules_version),
        "aprtui": (plan.aprtui_version, plan.aprtui_version),
    }
