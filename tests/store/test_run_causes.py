"""The three questions over a whole run: no is said only where every conversion was compared on that level."""

import pytest
from run_folders import NAMES, level, plan_of, tensor
from run_folders import journal_bytes as as_bytes

from aprtui.core.causes import Question
from aprtui.core.diagnosis import Answer
from aprtui.core.events import ComparisonFinished, ComparisonStarted, JournalLine, LevelFinished, TensorFinished
from aprtui.core.findings import LevelResult
from aprtui.core.outcomes import Level, Outcome
from aprtui.store.run_causes import run_causes
from aprtui.store.summary import read_record

SKIPPED = LevelFinished("S~S>G", LevelResult(Level.TOKENIZER, Outcome.SKIPPED, not_checked=("it has no tokenizer",)))


@pytest.mark.parametrize(
    ("tokenizer", "answer", "says"),
    [
        ([level(Level.TOKENIZER)], Answer.NO, "no comparison fails"),
        ([SKIPPED], Answer.UNKNOWN, "S~S>G: the tokenizer level was not compared"),
        ([], Answer.UNKNOWN, "S~S>G: the tokenizer level was not compared"),
    ],
)
def test_a_level_that_was_skipped_answers_nothing(tokenizer, answer, says, tmp_path):
    events = [ComparisonStarted("S~S>G", 0), TensorFinished("S~S>G", tensor(NAMES[0])), *tokenizer]
    events += [level(Level.WEIGHTS), ComparisonFinished("S~S>G", Outcome.CORROBORATED, "equivalent")]
    record = read_record(JournalLine.from_bytes(line + b"\n") for line in as_bytes(events).splitlines())
    found = {one.question: one for one in run_causes(plan_of(tmp_path), record.comparisons).questions}
    assert (found[Question.TOKENIZER].answer, found[Question.TOKENIZER].evidence) == (answer, says)
    assert found[Question.TRANSPOSED].answer is Answer.NO
