"""Questions that are asked of every conversion: what fails them, and what a pass has to name."""

from math import inf

import pytest
from behaviours import behaviour
from run_plans import empty_plan

from aprtui.core.behaviour import TextComparison, TextVerdict
from aprtui.core.events import ComparisonFinished
from aprtui.core.findings import Finding, judge_level
from aprtui.core.outcomes import Level, Outcome
from aprtui.gates import judge_gate
from aprtui.store.plan import PlannedComparison, PlannedGate
from aprtui.store.summary import ComparisonRecord, RunRecord

LOST = "text: 1 of 3 prompts fill the context of 64 tokens, or have tokens that one model lacks"


def verdict(gate, *findings, not_checked=(), behaviour=None):
    planned = PlannedComparison("S~S>G", "S", "S>G", levels=(Level.BEHAVIOUR,))
    level = judge_level(Level.BEHAVIOUR, findings, checked=9, not_checked=not_checked)
    finished = ComparisonFinished("S~S>G", level.outcome, "why", not_checked=not_checked)
    record = RunRecord(comparisons={"S~S>G": ComparisonRecord(levels=[level], behaviour=behaviour, finished=finished)})
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


@pytest.mark.parametrize(
    ("limit", "outcome", "words"),
    [
        (0.5, Outcome.CORROBORATED, "the checkpoint itself is undecided in 1"),
        (inf, Outcome.SKIPPED, "1 of 2 differ, and nothing tells how far they may"),
    ],
)
def test_a_difference_without_a_limit_is_no_tie(limit, outcome, words):
    """The twin of such a product gives logits that are infinite, or there is none."""
    same = TextComparison("p", "a", "a", (1,), (1,), None, None, limit, TextVerdict.EQUAL)
    other = TextComparison("q", "a", "b", (1,), (2,), 0, 0.1, limit, TextVerdict.TIE)
    found = verdict("F-GOLDEN-RULE-001", behaviour=behaviour(texts=(same, other)))
    assert found.outcome is outcome
    assert words in found.reason


def test_texts_that_nobody_compared_are_not_the_same():
    found = verdict("F-GOLDEN-RULE-001", not_checked=("text: the source has no tokens",), behaviour=behaviour())
    assert found.outcome is Outcome.SKIPPED
    assert found.reason == "could not check text of SafeTensors to GGUF: text: the source has no tokens"
