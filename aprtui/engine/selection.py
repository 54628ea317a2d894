"""What of a playbook to run: gates by id or pattern, pairs, tensors, or what failed in an earlier run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from aprtui.core.errors import UsageError
from aprtui.core.gate_table import CONVERSION_PAIRS, GATES
from aprtui.core.gates import Gate
from aprtui.core.outcomes import Level, Outcome
from aprtui.core.scenarios import Backend, EngineName
from aprtui.store.plan import NotPlanned, RunPlan
from aprtui.store.summary import ComparisonRecord, RunRecord

_FAILED = (Outcome.FALSIFIED, Outcome.CRASHED, Outcome.TIMEOUT)


@dataclass(frozen=True, slots=True)
class Selection:
    """What a run is narrowed to; everything where nothing is named.

    Attributes:
        gates: Ids of gates, or patterns of them.
        tensors: Patterns of canonical tensor names.
        allow_skip: Ids of gates that may be Skipped, beside those that the playbook names.
        levels: Levels to check in place of the playbook's.
        engines: Engines that run scenarios; empty for the reference and those that this machine has.
        backends: Backends of the playbook that scenarios are narrowed to; empty for all.
    """

    gates: tuple[str, ...] = ()
    tensors: tuple[str, ...] = ()
    allow_skip: tuple[str, ...] = ()
    levels: tuple[Level, ...] = ()
    engines: tuple[EngineName, ...] = ()
    backends: tuple[Backend, ...] = ()

    @property
    def arguments(self) -> tuple[str, ...]:
        """As options of `aprtui run`."""
        named = (
            ("--gate", self.gates),
            ("--tensor", self.tensors),
            ("--allow-skip", self.allow_skip),
            ("--level", self.levels),
            ("--engine", self.engines),
            ("--backend", self.backends),
        )
        return tuple(part for option, values in named for value in values for part in (option, str(value)))

    @classmethod
    def from_arguments(cls, arguments: Sequence[str]) -> Selection:
        """What `arguments` stands for."""
        pairs = list(zip(arguments[::2], arguments[1::2], strict=True))
        by_option = {option: tuple(value for name, value in pairs if name == option) for option, _ in pairs}
        gates, tensors, allow_skip, levels, engines, backends = (
            by_option.get(option, ())
            for option in ("--gate", "--tensor", "--allow-skip", "--level", "--engine", "--backend")
        )
        return cls(
            gates,
            tensors,
            allow_skip,
            tuple(map(Level, levels)),
            tuple(map(EngineName, engines)),
            tuple(map(Backend, backends)),
        )

    def of(self, gates: Sequence[Gate], not_planned: Sequence[NotPlanned] = ()) -> tuple[Gate, ...]:
        """The gates that are meant, in their order.

        Args:
            gates: Those that a run can have.
            not_planned: Those that it cannot, and why.

        Raises:
            UsageError: A pattern fits none of them.
        """
        for pattern in self.gates:
            if not any(fnmatchcase(gate.gate_id, pattern) for gate in gates):
                reason = next((one.reason for one in not_planned if one.gate_id == pattern), "")
                if reason:
                    raise UsageError(f"this run does not have the gate {pattern}: {reason}")
                known = ", ".join(gate.gate_id for gate in gates)
                why = "this run does not have" if pattern in GATES else "there is not"
                raise UsageError(f"{why} a gate {pattern!r}", todo=f"name one of {known}")
        return tuple(
            gate
            for gate in gates
            if not self.gates or any(fnmatchcase(gate.gate_id, pattern) for pattern in self.gates)
        )


EVERYTHING = Selection()
"""The whole playbook."""


def select(
    gates: Sequence[str] = (),
    pairs: Sequence[str] = (),
    tensors: Sequence[str] = (),
    allow_skip: Sequence[str] = (),
    levels: Sequence[str] = (),
    *,
    engines: Sequence[str] = (),
    backends: Sequence[str] = (),
) -> Selection:
    """The selection that options name.

    Args:
        gates: Ids or patterns.
        pairs: Pairs of formats, written as in ids of gates ("S-G").
        tensors: Patterns of canonical names.
        allow_skip: Ids of gates that may be Skipped.
        levels: Names of levels, or "all".
        engines: Names of engines.
        backends: Names of backends.

    Raises:
        UsageError: There is no such pair, or no such gate.
    """
    known = {gate.gate_id.removeprefix("F-CONV-"): gate.gate_id for gate in CONVERSION_PAIRS}
    for pair in pairs:
        if pair.upper() not in known:
            raise UsageError(f"there is no pair {pair!r}", todo=f"name one of {', '.join(known)}")
    for gate in allow_skip:
        if gate not in GATES:
            raise UsageError(f"there is no gate {gate!r} whose skip could be allowed", todo="`--dry-run` lists them")
    chosen = tuple(Level) if "all" in levels else tuple(map(Level, levels))
    return Selection(
        (*gates, *(known[pair.upper()] for pair in pairs)),
        tuple(tensors),
        tuple(allow_skip),
        chosen,
        tuple(map(EngineName, engines)),
        tuple(map(Backend, backends)),
    )


def failed_of(plan: RunPlan, record: RunRecord) -> tuple[str, ...]:
    """Ids of the gates of a run that failed, and of those that look at the same products.

    A product that was wrong or missing has other gates, which a repaired converter changes as well.

    Raises:
        UsageError: None failed.
    """
    verdicts = record.verdicts()
    failed = [gate for gate in plan.gates if gate.gate_id in verdicts and verdicts[gate.gate_id].outcome in _FAILED]
    if not failed:
        raise UsageError(f"no gate of run {plan.run_id} failed", todo="name gates with --gate")
    planned = {one.comparison_id: one for one in plan.comparisons}
    steps = {one.step: one for one in plan.steps}
    suspects = {one for gate in failed for one in gate.comparisons if not _holds(record.comparisons.get(one))}
    products = {planned[one].target for one in suspects if ">" in planned[one].target}
    products |= {file for gate in failed for one in gate.scenarios for file in steps[one].files if ">" in file}
    ids = {gate.gate_id for gate in failed}
    for gate in plan.gates:
        if any(products.intersection(steps[one].files) for one in gate.steps):
            ids.add(gate.gate_id)
    return tuple(gate.gate_id for gate in plan.gates if gate.gate_id in ids)


def _holds(record: ComparisonRecord | None) -> bool:
    return record is not None and record.finished is not None and record.finished.outcome is Outcome.CORROBORATED
