"""From a gate's family to its judge."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from aprtui.core.gates import GateFamily
from aprtui.gates.content import judge_content
from aprtui.gates.gateways import judge_gateway
from aprtui.gates.pairs import judge_pair
from aprtui.gates.round_trips import judge_round_trip
from aprtui.gates.scenarios import judge_scenarios
from aprtui.gates.two_routes import judge_two_routes
from aprtui.gates.verdict import Measurements, Verdict
from aprtui.store.plan import PlannedGate, RunPlan
from aprtui.store.summary import RunRecord

_JUDGES: Mapping[GateFamily, Callable[[Measurements], Verdict]] = {
    GateFamily.PAIR: judge_pair,
    GateFamily.ROUND_TRIP: judge_round_trip,
    GateFamily.TWO_ROUTES: judge_two_routes,
    GateFamily.CONTENT: judge_content,
    GateFamily.CONTRACT: judge_content,
    GateFamily.GATEWAY: judge_gateway,
    GateFamily.SCENARIO: judge_scenarios,
}


def judge_gate(plan: RunPlan, gate: PlannedGate, record: RunRecord) -> Verdict:
    """Judge a gate all of whose comparisons have their results; pure.

    Args:
        plan: The run's plan.
        gate: The gate.
        record: What is known of the run.
    """
    return _JUDGES[gate.gate.family](Measurements(plan, gate, record))
