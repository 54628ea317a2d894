"""Evidence entries of a run, from its plan and journal alone: rules, tolerances, digests, converter and commands."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from dataclasses import asdict, replace
from typing import Any

from aprtui.core.events import ProgramRun, ScenarioFinished
from aprtui.core.gates import FORMAT_NAMES, FormatLetter, GateFamily
from aprtui.core.outcomes import Level, Outcome
from aprtui.core.safe_text import safe_text
from aprtui.core.scenarios import Backend, Modality
from aprtui.engine.scenario_entry import scenario_to_json
from aprtui.engine.selection import Selection
from aprtui.report.comparison_json import diagnosis_to_json, level_to_json, tensor_to_json
from aprtui.report.evidence import EvidenceEntry, Scenario
from aprtui.store.plan import PlannedComparison, PlannedGate, RunPlan
from aprtui.store.summary import ComparisonRecord, RunRecord, ToleranceGroup

_MEASURED = ("name", "rule", "limit", "origin", "measured", "needed", "margin", "margin_unit")


def evidence_entries(plan: RunPlan, record: RunRecord) -> list[EvidenceEntry]:
    """The entries of all gates that have a verdict, in the order of the plan."""
    return [evidence_entry(plan, planned, record) for planned in plan.gates if planned.gate_id in record.gates]


def evidence_entry(plan: RunPlan, planned: PlannedGate, record: RunRecord) -> EvidenceEntry:
    """The entry of a gate that has its verdict."""
    finished, time = record.gates[planned.gate_id]
    program = _program(plan, planned, record)
    return EvidenceEntry(
        gate_id=planned.gate_id,
        scenario=_scenario(plan, planned),
        outcome=finished.outcome,
        reason=finished.reason,
        output=finished.output,
        duration_ms=finished.duration_ms,
        stderr=finished.stderr or ("\n".join(program.last_lines) if program is not None else None),
        exit_code=None if program is None else program.exit_code,
        details=_details(plan, planned, record) | _measured(plan, planned, record) | dict(finished.details),
        converter_version=plan.converter.version if plan.converter is not None else "unknown",
        timestamp=time,
        entry_id=finished.entry_id,
    )


def _scenario(plan: RunPlan, planned: PlannedGate) -> Scenario:
    """What a gate is about, in apr-qa's terms, which have one backend for each entry."""
    ran = [one for one in plan.scenarios if one.scenario_id in planned.scenarios]
    on_gpu = bool(ran) and all(one.backend is Backend.GPU for one in ran)
    modality = ran[0].modality if ran else Modality.RUN
    return Scenario(
        plan.playbook.repo,
        _format(plan, planned),
        planned.gate.title,
        plan.playbook.seed,
        (Backend.GPU if on_gpu else Backend.CPU).value,
        modality.value,
    )


def _program(plan: RunPlan, planned: PlannedGate, record: RunRecord) -> ProgramRun | None:
    """The last program of the conversion that a gate tests; None where it tests none or several, or ran no program."""
    if planned.gate.family not in (GateFamily.PAIR, GateFamily.CONTRACT) or not planned.comparisons:
        return None
    target = next(one.target for one in plan.comparisons if one.comparison_id == planned.comparisons[0])
    found = record.products.get(target) or record.failures.get(target)
    return found.programs[-1] if found is not None and found.programs else None


def gate_output(gate: PlannedGate, record: RunRecord) -> str:
    """What became of a gate's comparisons, as text."""
    return "\n".join(_output_lines(gate, record))


def _output_lines(gate: PlannedGate, record: RunRecord) -> Iterator[str]:
    for comparison in gate.comparisons:
        found = record.comparisons.get(comparison)
        if found is None or found.finished is None:
            continue
        levels = ", ".join(f"{level.level} {level.outcome}" for level in found.levels)
        yield f"{comparison}: {found.finished.reason}" + (f" ({levels})" if levels else "")
    for scenario in gate.scenarios:
        ran = record.scenarios.get(scenario)
        if ran is not None:
            yield from _answer_lines(ran)


def _answer_lines(ran: ScenarioFinished) -> Iterator[str]:
    """Each prompt with what was said, as text that holds one answer a line."""
    if ran.absent is not None or (ran.speed is None and not ran.answers):
        yield f"{ran.scenario}: {ran.reason}"
    if ran.speed is not None:
        yield f"{ran.scenario}: {ran.speed.tokens_per_second:.1f} tokens/s"
    for answer in ran.answers:
        said = answer.reason if answer.text is None else safe_text(repr(answer.text), 300)
        failed = "".join(f"; {one.oracle}: {one.reason}" for one in answer.failed)
        yield f"{ran.scenario}: {safe_text(repr(answer.prompt), 100)}: {said}{failed}"


def gate_duration(plan: RunPlan, gate: PlannedGate, record: RunRecord) -> int:
    """Milliseconds of a gate's comparisons and of the conversions that it tests."""
    planned = {one.comparison_id: one for one in plan.comparisons}
    found = [record.comparisons[one].finished for one in gate.comparisons if one in record.comparisons]
    seconds = sum(one.seconds for one in found if one is not None)
    ran = [record.scenarios.get(one) for one in gate.scenarios]
    seconds += sum(one.seconds for one in ran if one is not None)
    tested = {planned[one].target for one in gate.comparisons}
    seconds += sum(record.products[one].seconds for one in tested if one in record.products)
    seconds += sum(record.failures[one].seconds for one in tested if one in record.failures)
    return round(seconds * 1000)


def rerun_command(plan: RunPlan, gate: str) -> str:
    """The command that runs one gate of a run again."""
    command = ["aprtui", *plan.started_with]
    narrowed = Selection.from_arguments(plan.selection)
    if set(narrowed.levels) == set(Level):
        narrowed, command = replace(narrowed, levels=()), [*command, "--level", "all"]
    return shlex.join([*command, "--gate", gate, *replace(narrowed, gates=(), allow_skip=(), tensors=()).arguments])


def _format(plan: RunPlan, planned: PlannedGate) -> str:
    letter = planned.gate.target if planned.gate.routes else FormatLetter(plan.model.letter)
    return FORMAT_NAMES[letter]


def _details(plan: RunPlan, planned: PlannedGate, record: RunRecord) -> dict[str, Any]:
    playbook, gate = plan.playbook, planned.gate
    facts = {
        "name": playbook.name,
        "version": playbook.version,
        "path": playbook.path,
        "digest": playbook.digest,
        "fingerprint": playbook.fingerprint,
    }
    tolerances = record.tolerances or plan.tolerances
    return {
        "aprtui_version": plan.aprtui_version,
        "rules_version": plan.rules_version,
        "family": gate.family.value,
        "severity": gate.severity.value,
        "pass_rule": gate.pass_rule,
        "levels": [level.value for level in planned.levels],
        "levels_not_asked_for": [level.value for level in gate.levels if level not in planned.levels],
        "playbook": facts,
        "tolerance_settings": {key: value for key, value in asdict(tolerances).items() if value not in (None, "")},
        "model": {"path": plan.model.path, "how": plan.model.how, "commit": plan.model.commit},
        "command": rerun_command(plan, planned.gate_id),
        "run": plan.run_id,
        **({"asked_for": planned.asked_for} if planned.asked_for is not None else {}),
        **({} if plan.converter is None else {"converter": asdict(plan.converter)}),
    }


def _measured(plan: RunPlan, planned: PlannedGate, record: RunRecord) -> dict[str, Any]:
    """What was measured: one object for each comparison, the decisive one first; and the model's digests."""
    by_id = {one.comparison_id: one for one in plan.comparisons}
    whole = planned.gate.family is not GateFamily.CONTENT
    comparisons = [
        _comparison(plan, by_id[one], record.comparisons[one], record, whole=whole)
        for one in planned.comparisons
        if one in record.comparisons and record.comparisons[one].finished is not None
    ]
    measured: dict[str, Any] = {"comparisons": comparisons} if comparisons else {}
    scenarios = [
        scenario_to_json(one, found) | _origin(plan, one.file, record)
        for one in plan.scenarios
        if one.scenario_id in planned.scenarios and (found := record.scenarios.get(one.scenario_id)) is not None
    ]
    if scenarios:
        measured["scenarios"] = scenarios
    if record.opened is not None:
        measured["model_files"] = dict(record.opened.files)
        if record.opened.sources:
            measured["given_sources"] = {letter: dict(files) for letter, files in record.opened.sources.items()}
    return measured


def _origin(plan: RunPlan, file: str, record: RunRecord) -> dict[str, Any]:
    """Where a file that ran comes from."""
    return {"files": _digests(plan, file, record), "conversion_commands": list(_commands(file, record))}


def _comparison(
    plan: RunPlan, planned: PlannedComparison, found: ComparisonRecord, record: RunRecord, *, whole: bool
) -> dict[str, Any]:
    """A comparison; without its worst tensors where other entries of the run have them."""
    assert found.finished is not None
    entry: dict[str, Any] = {
        "comparison": planned.comparison_id,
        "outcome": found.finished.outcome.value,
        "reason": found.finished.reason,
        "asked_for": planned.asked_for,
        "not_checked": list(found.finished.not_checked),
        "source_files": _digests(plan, planned.source, record),
        "target_files": _digests(plan, planned.target, record),
        "conversion_commands": list(_commands(planned.target, record)),
    }
    if planned.via:
        entry["via"] = list(planned.via)
    made, failed = record.products.get(planned.target), record.failures.get(planned.target)
    if made is not None:
        entry["converter"] = asdict(made.converter)
        entry["kept_conversion"] = made.kept
    programs = made.programs if made is not None else failed.programs if failed is not None else ()
    if programs:
        entry["programs"] = [asdict(program) for program in programs]
    if not found.levels or found.finished.outcome in (Outcome.CRASHED, Outcome.TIMEOUT):
        return entry
    entry |= {
        "levels": [level_to_json(level) for level in found.levels] if whole else _levels(found),
        "tolerances": [_tolerance(group) for group in found.tolerances.values()],
        "tensors_compared": found.compared,
        "tensors_changed": len(found.changed),
    }
    if found.diagnosis is not None:
        causes = diagnosis_to_json(found.diagnosis)
        entry["diagnosis"] = causes if whole else {"sentence": causes["sentence"]}
    if whole:
        entry["worst_tensors"] = [tensor_to_json(tensor) for tensor in found.worst]
    return entry


def _levels(found: ComparisonRecord) -> list[dict[str, Any]]:
    return [
        {"level": one.level.value, "outcome": one.outcome.value, "checked": one.checked, "failed": len(one.failures)}
        for one in found.levels
    ]


def _commands(file: str, record: RunRecord) -> tuple[str, ...]:
    if file in record.products:
        return record.products[file].commands
    return record.failures[file].commands if file in record.failures else ()


def _digests(plan: RunPlan, file: str, record: RunRecord) -> dict[str, str]:
    """Digests of a file's files, as far as they are known."""
    if file in record.products:
        return dict(record.products[file].files)
    if record.opened is None:
        return {}
    return dict(record.opened.files if file == plan.model.letter else record.opened.sources.get(file, {}))


def _tolerance(group: ToleranceGroup) -> dict[str, Any]:
    """A tolerance that was applied: where it came from, to how many tensors, and the worst of them as measured.

    `needed` is the smallest limit under which that tensor would have passed.
    """
    worst = tensor_to_json(group.worst)
    return {"tensors": group.tensors, "failed": group.failed} | {key: worst[key] for key in _MEASURED}
