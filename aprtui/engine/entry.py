"""Evidence entries of a run, from its plan and journal alone: rules, tolerances, digests, converter and commands."""

from __future__ import annotations

import shlex
from dataclasses import asdict
from typing import Any

from aprtui.core.gates import FORMAT_NAMES
from aprtui.core.outcomes import Outcome
from aprtui.report.comparison_json import level_to_json, tensor_to_json
from aprtui.report.evidence import EvidenceEntry, Scenario
from aprtui.store.plan import PlannedGate, RunPlan
from aprtui.store.summary import GateRecord, RunRecord, ToleranceGroup

_MEASURED = ("name", "rule", "limit", "origin", "measured", "needed", "margin", "margin_unit")


def evidence_entries(plan: RunPlan, record: RunRecord) -> list[EvidenceEntry]:
    """The entries of all gates that have a verdict, in the order of the plan."""
    return [
        evidence_entry(plan, planned, record.gates[planned.gate_id])
        for planned in plan.gates
        if planned.gate_id in record.verdicts()
    ]


def evidence_entry(plan: RunPlan, planned: PlannedGate, record: GateRecord) -> EvidenceEntry:
    """The entry of a gate that has its verdict."""
    assert record.finished is not None
    finished, time = record.finished
    gate = planned.gate
    source, target = FORMAT_NAMES[gate.source], FORMAT_NAMES[gate.target]
    prompt = f"Convert {source} to {target} and compare"
    return EvidenceEntry(
        gate_id=planned.gate_id,
        scenario=Scenario(plan.playbook.repo, target, prompt, plan.playbook.seed),
        outcome=finished.outcome,
        reason=finished.reason,
        output=finished.output,
        duration_ms=finished.duration_ms,
        stderr=finished.stderr,
        details=_details(plan, planned) | _measured(record) | dict(finished.details),
        converter_version=plan.converter.version if plan.converter is not None else "unknown",
        timestamp=time,
        entry_id=finished.entry_id,
    )


def _details(plan: RunPlan, planned: PlannedGate) -> dict[str, Any]:
    playbook, gate = plan.playbook, planned.gate
    return {
        "aprtui_version": plan.aprtui_version,
        "rules_version": plan.rules_version,
        "severity": gate.severity.value,
        "pass_rule": gate.pass_rule,
        "playbook": {"name": playbook.name, "version": playbook.version, "path": playbook.path},
        "model": asdict(plan.model),
        "command": _command(plan),
        "run": plan.run_id,
        **({} if plan.converter is None else {"converter": asdict(plan.converter)}),
    }


def _command(plan: RunPlan) -> str:
    command = ["aprtui", "run", plan.playbook.path, "--model", plan.model.path]
    if plan.converter is not None:
        command += ["--converter", plan.converter.name]
    return shlex.join(command)


def _measured(record: GateRecord) -> dict[str, Any]:
    """What was measured; nothing where a gate ended before."""
    assert record.finished is not None
    if not record.levels or record.finished[0].outcome in (Outcome.CRASHED, Outcome.TIMEOUT):
        return {}
    return {
        "levels": [level_to_json(level) for level in record.levels],
        "tolerances": [_tolerance(group) for group in record.tolerances.values()],
        "worst_tensors": [tensor_to_json(tensor) for tensor in record.worst],
        "tensors_compared": record.compared,
    }


def _tolerance(group: ToleranceGroup) -> dict[str, Any]:
    """A tolerance that was applied: where it came from, to how many tensors, and the worst of them as measured.

    `needed` is the smallest limit under which that tensor would have passed.
    """
    worst = tensor_to_json(group.worst)
    return {"tensors": group.tensors, "failed": group.failed} | {key: worst[key] for key in _MEASURED}
