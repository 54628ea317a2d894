"""Run folders written by hand: plans and journals as an engine leaves them, in every state a run can be in."""

import os
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from run_plans import empty_plan

from aprtui.core.dtypes import DType
from aprtui.core.events import (
    ComparisonFinished,
    ComparisonStarted,
    ConverterFacts,
    GateFinished,
    JournalLine,
    LevelFinished,
    RunFinished,
    RunStarted,
    TensorFinished,
)
from aprtui.core.findings import Finding, FindingKind, LevelResult
from aprtui.core.outcomes import Level, Outcome
from aprtui.core.results import TensorResult
from aprtui.core.statistics import CertificateScalars, StatisticsRecord
from aprtui.core.tolerance import judge, tolerance_for
from aprtui.store.plan import (
    ModelFacts,
    PlannedComparison,
    PlannedConversion,
    PlannedGate,
    PlaybookFacts,
)
from aprtui.store.process import this_process
from aprtui.store.register import register
from aprtui.store.run_folder import RunFolder

RUN_ID = "20260102-030405-a1b2"
BEGAN = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
LEVELS = (Level.STRUCTURE, Level.METADATA, Level.WEIGHTS)
NAMES = (
    "model.embed_tokens.weight",
    "model.layers.0.self_attn.q_proj.weight",
    "model.layers.0.self_attn.k_proj.weight",
    "model.layers.0.mlp.down_proj.weight",
    "model.layers.0.input_layernorm.weight",
    "lm_head.weight",
)


def plan_of(folder, *, playbook="demo.playbook.yaml", converter="apr", comparisons=("S>G",), run_id=RUN_ID):
    """A run of two pairs and a gate without comparisons."""
    planned = [
        PlannedComparison(f"S~{target}", "S", target, (), LEVELS, (), "lossless", False, 4_000_000)
        for target in comparisons
    ]
    gates = [PlannedGate("G0-PULL-001", ())]
    gates += [
        PlannedGate(gate, (f"S~{target}",), LEVELS, "lossless")
        for gate, target in zip(("F-CONV-S-G", "F-CONV-S-A"), comparisons, strict=False)
    ]
    facts = None if converter is None else ConverterFacts(converter, f"/usr/bin/{converter}", "0.72.3", "xxh3:1")
    return empty_plan(
        run_id,
        playbook=PlaybookFacts(str(playbook), "demo", "1.0.0", "org/demo", 42),
        model=ModelFacts(str(folder / "model"), "given", None),
        converter=facts,
        gates=tuple(gates),
        comparisons=tuple(planned),
        conversions=tuple(PlannedConversion(target, "S", target[-1], "lossless") for target in comparisons),
        evidence=str(folder / "evidence.json"),
        scratch=str(folder / "products"),
        aprtui_version="0.1.0",
    )


def tensor(name, *, violations=0, target="Q4_K", differing=None, nan=0, nbytes=100_000, error=0.1, shape=(128, 256)):
    """A tensor's result, judged by its rule."""
    dtype = DType(target)
    certificate = None
    if dtype is DType.Q4_K:
        certificate = CertificateScalars(128, code_violations=violations, first_violation=3 if violations else -1)
    changed = differing if differing is not None else (1000 if violations else 0)
    record = StatisticsRecord(
        elements=32768,
        differing=changed,
        max_abs=error if changed or violations else 0.0,
        max_abs_index=300 if changed else -1,
        max_abs_a=0.3,
        max_abs_b=0.3 - error,
        sum_squared_error=error * error * changed,
        sum_squared_a=500.0,
        max_ulp=float(changed),
        nan_b=nan,
        certificate=certificate,
    )
    tolerance = tolerance_for(DType.BF16, dtype)
    return TensorResult(name, "", DType.BF16, dtype, shape, nbytes, record, tolerance, judge(record, tolerance))


def finding(subject, message="the target lacks this tensor", kind=FindingKind.MISSING, level=Level.STRUCTURE):
    return Finding(level, subject, message, kind=kind)


def level(which, findings=(), outcome=None):
    outcome = outcome or (Outcome.FALSIFIED if findings else Outcome.CORROBORATED)
    return LevelFinished("S~S>G", LevelResult(which, outcome, tuple(findings), 10))


def whole_run(names=NAMES, comparison="S~S>G", gate="F-CONV-S-G"):
    """Events of a finished run: two tensors fail, one is missing, one metadata key differs."""
    events = [
        RunStarted("host", 1),
        GateFinished("G0-PULL-001", Outcome.CORROBORATED, "5 files read", "e0", 3),
        ComparisonStarted(comparison, 0),
    ]
    for number, name in enumerate(names):
        events.append(TensorFinished(comparison, tensor(name, violations=(4, 0, 120)[number % 3])))
    missing = [finding("model.norm.weight")]
    key = finding("rope_theta", "rope_theta differs", FindingKind.OTHER, Level.METADATA)
    events += [
        LevelFinished(comparison, level(Level.STRUCTURE, missing).level),
        LevelFinished(comparison, level(Level.METADATA, [key]).level),
        LevelFinished(comparison, level(Level.WEIGHTS, outcome=Outcome.FALSIFIED).level),
        ComparisonFinished(comparison, Outcome.FALSIFIED, "NOT EQUIVALENT", 1.5, 600_000),
        GateFinished(gate, Outcome.FALSIFIED, "NOT EQUIVALENT: weights different", "e1", 1500),
        RunFinished(1),
    ]
    return events


def journal_bytes(events, run_id=RUN_ID, first=0):
    lines = [
        JournalLine(run_id, number, BEGAN + timedelta(milliseconds=10 * number), event).to_bytes()
        for number, event in enumerate(events, start=first)
    ]
    return b"".join(lines)


def write_run(output, events, *, plan=None, run_id=RUN_ID, engine=None, entered=True, **planned):
    """A run folder below a directory, entered in the register."""
    folder = RunFolder(output / "demo" / "runs" / run_id)
    folder.path.mkdir(parents=True)
    folder.write_plan(plan or plan_of(folder.path, run_id=run_id, **planned))
    folder.journal.write_bytes(journal_bytes(events, run_id))
    folder.stderr.write_bytes(b"")
    folder.write_engine(engine or gone())
    if entered:
        register(folder)
    return folder


def gone():
    """An engine that does not live any more."""
    return replace(this_process(), pid=2**22 - 7, started="1")


def alive():
    """An engine that lives: this process."""
    return this_process()


def elsewhere():
    """An engine of another host."""
    return replace(this_process(), host="gpu-99")


def append(folder, events, first):
    """What an engine writes next."""
    with folder.journal.open("ab") as file:
        file.write(journal_bytes(events, folder.path.name, first))
        file.flush()
        os.fsync(file.fileno())
