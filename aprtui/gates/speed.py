"""How fast engines generate, held against the playbook's thresholds."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from aprtui.core.events import ScenarioFinished
from aprtui.core.outcomes import Outcome
from aprtui.core.scenarios import EngineName, Speed
from aprtui.gates.verdict import Measurements, Verdict
from aprtui.store.plan import PlannedScenario

_NOT_JUDGED = "the reference computes in float32 and is measured only"
_WORST_FIRST = (Outcome.FALSIFIED, Outcome.CRASHED, Outcome.TIMEOUT, Outcome.SKIPPED, Outcome.CORROBORATED)


@dataclass(frozen=True, slots=True)
class _Row:
    """A file in an engine: what the gate comes to because of it, and why."""

    outcome: Outcome
    text: str


def judge_speed(measurements: Measurements) -> Verdict:
    """Outcome and reason of a gate of throughput or time.

    The reference is no engine that anybody serves from: its figures are in the evidence and decide nothing.
    """
    planned = {one.scenario_id: one for one in measurements.plan.scenarios}
    ran = [(planned[one], measurements.record.scenarios[one]) for one in measurements.gate.scenarios]
    known = [(scenario, result) for scenario, result in ran if result is not None]
    measured = [f"{_place(scenario)}: {_figures(one.speed)}" for scenario, one in known if one.speed is not None]
    rows = [_row(measurements, scenario, one) for scenario, one in known if scenario.engine is not EngineName.REFERENCE]
    rows += _unjudged(scenario for scenario, _ in known)
    details = {"measured": measured, "not_judged": _NOT_JUDGED}
    for outcome in _WORST_FIRST:
        found = [row.text for row in rows if row.outcome is outcome]
        if found:
            more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
            lead = "could not check " if outcome is Outcome.SKIPPED else ""
            return Verdict(outcome, f"{lead}{found[0]}{more}", details)
    return Verdict(Outcome.SKIPPED, "nothing was run", details)


def _unjudged(scenarios: Iterator[PlannedScenario]) -> list[_Row]:
    """Files that no engine but the reference runs."""
    engines: dict[tuple[str, str], set[EngineName]] = {}
    for one in scenarios:
        engines.setdefault((one.file, one.backend), set()).add(one.engine)
    return [
        _Row(Outcome.SKIPPED, f"{file} on {backend}: no other engine runs it, and {_NOT_JUDGED}")
        for (file, backend), found in engines.items()
        if found == {EngineName.REFERENCE}
    ]


def _row(measurements: Measurements, scenario: PlannedScenario, result: ScenarioFinished) -> _Row:
    place, speed = _place(scenario), result.speed
    if speed is None:
        return _Row(result.absent or Outcome.SKIPPED, f"{place}: {result.reason}")
    limits = measurements.plan.running.speed
    gate = measurements.gate.gate_id
    if gate == "F-PROFILE-CI-001":
        least = limits.throughput.get(scenario.backend.value)
        if least is None:
            return _Row(Outcome.SKIPPED, f"{place}: the playbook names no threshold; {_figures(speed)}")
        holds, words = speed.tokens_per_second >= least, f"{_figures(speed)}, at least {least:g} asked for"
    else:
        name, value, most = _time(gate, measurements, speed)
        if value is None or most is None:
            return _Row(Outcome.SKIPPED, f"{place}: the engine does not tell the time of single tokens")
        holds, words = value <= most, f"{name} {value:.1f} ms, at most {most:g} ms asked for"
    if holds:
        return _Row(Outcome.CORROBORATED, f"{place}: {words}")
    busy = f"; the machine's load was {speed.load:.1f} on {speed.processors} processors"
    return _Row(Outcome.FALSIFIED, f"{place}: {words}{busy}")


def _time(gate: str, measurements: Measurements, speed: Speed) -> tuple[str, float | None, float | None]:
    limits = measurements.plan.running.speed
    return ("p99", speed.p99_ms, limits.p99_ms) if gate == "F-PROFILE-CI-002" else ("p50", speed.p50_ms, limits.p50_ms)


def _place(scenario: PlannedScenario) -> str:
    return f"{scenario.file} in {scenario.engine} on {scenario.backend}"


def _figures(speed: Speed) -> str:
    times = "" if speed.p50_ms is None else f", p50 {speed.p50_ms:.1f} ms, p99 {speed.p99_ms:.1f} ms"
    return f"{speed.tokens_per_second:.1f} tokens/s{times} ({speed.tokens} tokens in {speed.runs} runs)"
