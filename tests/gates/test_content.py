"""Questions that are asked of every conversion: what fails them, and what a pass has to name."""

import pytest
from run_plans import empty_plan

from aprtui.core.events import ComparisonFinished
from aprtui.core.findings import Finding, judge_level
from aprtui.core.outcomes import Level, Outcome
from aprtui.gates import judge_gate
from aprtui.store.plan import PlannedComparison, PlannedGate
from aprtui.store.summary import ComparisonRecord, RunRecord

LOST = "text: 1 of 3 prompts fill the context of 64 tokens, or have tokens that one model lacks"


def verdict(gate, *findings, not_checked=()):
    planned = PlannedComparison("S~S>G", "S", "S>G", levels=(Level.BEHAVIOUR,))
    level = judge_level(Level.BEHAVIOUR, findings, checked=9, not_checked=not_checked)
    finished = ComparisonFinished("S~S>G", level.outcome, "why", not_checked=not_checked)
    record = RunRecord(comparisons={"S~S>G": ComparisonRecord(levels=[level], finished=finished)})
    gates = PlannedGate(gate, ("S~S>G",), (Level.BEHAVIOUR,))
    return judge_gate(empty_plan("r", comparisons=(planned,), gates=(gates,)), gates, record)


@pytest.mark.parametrize("subject", ["model", "llama.cpp"])
def test_a_product_that_an_engine_refuses_does_not_run(subject):
    refused = Finding(Level.BEHAVIOUR, subject, "it is refused: unknown pre-tokenizer")
    found = verdict("F-CONV-INFER-001", refused)
    assert (found.outcome, "it is refused" in found.reason) == (Outcome.FALSIFIED, True)
    assert verdict("F-CONV-INFER-001").outcome is Outcome.CORROBORATED


@pytest.mark.parametrize("gate", ["F-CONV-SEMANTIC-001", "F-CONTRACT-I1-001"])
def test_a_pass_names_the_texts_that_nobody_compared(gate):
    found = verdict(gate, not_checked=(LOST,))
    assert found.outcome is Outcome.CORROBORATED
    assert found.reason.endswith(f"; not checked: SafeTensors to GGUF: {LOST}")
    assert found.details["no_text"] == [f"SafeTensors to GGUF: {LOST}"]
    assert "not checked" not in verdict(gate).reason
    assert "not checked" not in verdict("F-CONV-INFER-001", not_checked=(LOST,)).reason
