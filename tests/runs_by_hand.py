"""Run folders written by hand: plan, journal and engine of a run that nobody made."""

from dataclasses import replace
from datetime import UTC, datetime

from run_plans import empty_plan

from aprtui.core.dtypes import DType
from aprtui.core.events import (
    ComparisonFinished,
    ComparisonStarted,
    ConverterFacts,
    GateFinished,
    JournalLine,
    LevelFinished,
    ModelOpened,
    RunFinished,
    RunStarted,
    TensorFinished,
)
from aprtui.core.findings import Finding, LevelResult
from aprtui.core.outcomes import Outcome
from aprtui.core.results import TensorResult
from aprtui.core.statistics import StatisticsRecord
from aprtui.core.tolerance import judge, tolerance_for
from aprtui.store.plan import (
    PlannedComparison,
    PlannedConversion,
    PlannedGate,
)
from aprtui.store.process import this_process
from aprtui.store.run_folder import RunFolder

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
BUILTIN = ConverterFacts("builtin", "somewhere", "1", "xxh3:00")
HOLDS, FAILS, SKIPPED, CRASHED = Outcome.CORROBORATED, Outcome.FALSIFIED, Outcome.SKIPPED, Outcome.CRASHED


def plan(run_id, gates=None, **other):
    """A plan of these gates, which are judged from these comparisons ("S~S>G")."""
    gates = gates or {"F-CONV-S-G": ("S~S>G",)}
    comparisons = dict.fromkeys(one for several in gates.values() for one in several)
    usual = empty_plan(
        run_id,
        converter=BUILTIN,
        gates=tuple(PlannedGate(gate, several) for gate, several in gates.items()),
        comparisons=tuple(PlannedComparison(one, *one.split("~")) for one in comparisons),
        conversions=(PlannedConversion("S>G", "S", "G", "lossless"),),
    )
    return replace(usual, **other)


def tensor(name, difference=0.0, comparison="S~S>G"):
    """A BF16 tensor of 64 elements of 1, of which one is off by this much in an F32 target."""
    scalars = {
        "differing": 1,
        "max_abs": difference,
        "max_ulp": difference / 2**-23,
        "sum_squared_error": difference**2,
    }
    record = StatisticsRecord(elements=64, sum_squared_a=64.0, **(scalars if difference else {}))
    tolerance = tolerance_for(DType.BF16, DType.F32)
    judged = judge(record, tolerance)
    return TensorFinished(
        comparison, TensorResult(name, "", DType.BF16, DType.F32, (8, 8), 384, record, tolerance, judged)
    )


def level(which, *failures, comparison="S~S>G"):
    findings = tuple(Finding(which, subject, "is wrong") for subject in failures)
    return LevelFinished(comparison, LevelResult(which, FAILS if failures else HOLDS, findings, 3))


def gate(gate_id, outcome, reason="because"):
    return GateFinished(gate_id, outcome, reason, "00", 12)


def comparison(*inside, comparison="S~S>G", outcome=HOLDS):
    """The events of one comparison from its start to its end."""
    return ComparisonStarted(comparison, 0), *inside, ComparisonFinished(comparison, outcome, "so")


def write_run(path, events, plan_of_run=None, *, engine=None, ended=True):
    """The folder of a run whose journal holds these events."""
    folder = RunFolder(path)
    folder.write_plan(plan_of_run or plan(path.name))
    folder.write_engine(engine or this_process())
    every = (RunStarted("host", 1), ModelOpened({"m": "xxh3:m"}), *events, *((RunFinished(0),) if ended else ()))
    lines = (JournalLine(path.name, number, NOW, event) for number, event in enumerate(every))
    folder.journal.write_bytes(b"".join(line.to_bytes() for line in lines))
    return folder
