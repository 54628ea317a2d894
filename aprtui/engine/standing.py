"""What of an earlier attempt at a run still stands: verdicts, comparisons and products, if the files are unchanged."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path

from aprtui.convert.identity import program_digest
from aprtui.core.errors import AprtuiError
from aprtui.core.events import ConverterFacts, ScenarioFinished
from aprtui.core.outcomes import Outcome
from aprtui.core.scenarios import Ending, EngineFacts
from aprtui.store.plan import PlannedConversion, RunPlan
from aprtui.store.summary import ComparisonRecord, RunRecord


@dataclass(frozen=True, slots=True)
class Standing:
    """What stands.

    Attributes:
        gates: Ids of gates whose verdicts stand.
        comparisons: Ids of comparisons whose results stand.
        conversions: Ids of conversions whose products may be used if their files are unchanged.
        reason: Why nothing stands; empty where something may.
        scenarios: Ids of scenarios whose results stand.
    """

    gates: tuple[str, ...] = ()
    comparisons: tuple[str, ...] = ()
    conversions: tuple[str, ...] = ()
    reason: str = ""
    scenarios: tuple[str, ...] = ()


def _said(converter: ConverterFacts | None) -> str:
    return "none" if converter is None else f"{converter.name} {converter.version} ({converter.digest})"


def what_stands(before: RunPlan, now: RunPlan, record: RunRecord) -> Standing:
    """What may be taken over if the model's files turn out to be unchanged.

    A comparison that crashed, ran out of time or lacked a product has no result to take over: what was wrong may be
    right this time.
    """
    versions = {(plan.aprtui_version, plan.rules_version) for plan in (before, now)}
    if before.converter != now.converter:
        return Standing(reason=f"the converter changed: {_said(before.converter)} before, {_said(now.converter)} now")
    if len(versions) > 1:
        return Standing(reason="aprtui changed")
    if before.model.path != now.model.path or before.sources != now.sources:
        return Standing(reason="the model is another one")
    if before.tolerances != now.tolerances or record.tolerances not in (None, now.tolerances):
        return Standing(reason="the playbook's tolerances changed")
    conversions = _unchanged_chains(before.conversions, now.conversions)
    expected = before.model.expected == now.model.expected
    comparisons = {
        one.comparison_id
        for one in now.comparisons
        if one in before.comparisons
        and conversions.issuperset(file for file in one.files if ">" in file)
        and (expected or one.source != one.target)
        and _has_result(record.comparisons.get(one.comparison_id))
    }
    scenarios = _standing_scenarios(before, now, record, conversions)
    results = comparisons | scenarios
    gates = tuple(
        gate.gate_id
        for gate in now.gates
        if gate in before.gates and gate.gate_id in record.gates and results.issuperset(gate.steps)
    )
    made = conversions & record.products.keys()
    return Standing(gates, tuple(sorted(comparisons)), tuple(sorted(made)), scenarios=tuple(sorted(scenarios)))


def _standing_scenarios(before: RunPlan, now: RunPlan, record: RunRecord, conversions: Collection[str]) -> set[str]:
    """Scenarios whose answers stand, which they do while the engine's program is the same."""
    if before.running != now.running:
        return set()
    engines = {one.engine for one in record.scenarios.values() if one is not None and one.engine is not None}
    there = {engine for engine in engines if _is_there(engine)}
    answered = {name for name, one in record.scenarios.items() if _has_answers(one) and one and one.engine in there}
    return {
        one.scenario_id
        for one in now.scenarios
        if one in before.scenarios
        and one.scenario_id in answered
        and all(file in conversions for file in one.files if ">" in file)
    }


def _has_answers(found: ScenarioFinished | None) -> bool:
    """Whether an engine ran the file, and nothing but the file decided what became of it."""
    if found is None or found.absent is not None or found.engine is None:
        return False
    if not found.answers:
        return found.speed is not None
    return all(one.ending not in (Ending.TIMEOUT, Ending.KILLED, Ending.NOT_RUN) for one in found.answers)


def _is_there(engine: EngineFacts) -> bool:
    try:
        return program_digest(Path(engine.path)) == engine.digest
    except AprtuiError:
        return False


def _has_result(record: ComparisonRecord | None) -> bool:
    if record is None or record.finished is None or record.finished.lacks:
        return False
    return record.finished.outcome not in (Outcome.CRASHED, Outcome.TIMEOUT) and bool(record.levels)


def _unchanged_chains(before: Iterable[PlannedConversion], now: Iterable[PlannedConversion]) -> set[str]:
    """Conversions that are planned as before, all the way from the model."""
    known, same = set(before), set[str]()
    for conversion in now:
        if conversion in known and (">" not in conversion.source or conversion.source in same):
            same.add(conversion.conversion_id)
    return same
