"""Journals: every event survives the way through a file, and what is torn or foreign costs no more than itself."""

import json
from dataclasses import fields
from datetime import UTC, datetime
from math import inf, isnan, nan

import pytest
from behaviours import behaviour
from hypothesis import given
from hypothesis import strategies as st

from aprtui.core import events
from aprtui.core.behaviour import (
    ErrorMeasure,
    Excess,
    LayerError,
    PromptLogits,
    TextComparison,
    TextVerdict,
    TokenSwap,
)
from aprtui.core.causes import Question
from aprtui.core.diagnosis import Answer as YesOrNo
from aprtui.core.diagnosis import Diagnosis, NamedCause, QuestionAnswered, Unexplained
from aprtui.core.dtypes import DType
from aprtui.core.events import Event, Heartbeat, JournalLine, RunFinished
from aprtui.core.findings import Finding, LevelResult
from aprtui.core.outcomes import Level, Outcome, Severity
from aprtui.core.results import TensorResult
from aprtui.core.scenarios import Answer, Ending, EngineFacts, OracleKind, OracleVerdict, Speed
from aprtui.core.statistics import CertificateScalars, StatisticsRecord
from aprtui.core.tolerance import ToleranceSettings, judge, tolerance_for
from aprtui.store.journal import JournalReader

NOW = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)


def tensor(**scalars):
    record = StatisticsRecord(elements=64, differing=2, certificate=CertificateScalars(blocks=2), **scalars)
    tolerance = tolerance_for(DType.BF16, DType("Q8_0"))
    return TensorResult(
        "a\x1b[31m", "", DType.BF16, DType("Q8_0"), (8, 8), 256, record, tolerance, judge(record, tolerance)
    )


FACTS = events.ConverterFacts("builtin", "/somewhere", "1", "xxh3:00")
LEVEL = LevelResult(
    Level.STRUCTURE,
    Outcome.FALSIFIED,
    (Finding(Level.STRUCTURE, "x", "is not there", Severity.NOTE, expected="1"),),
    3,
    ("y",),
)
BEHAVIOUR = behaviour(
    excess=Excess(*[0.5, inf, 0.25, 0.125]),
    prompts=(PromptLogits("a\x1b", (1, 2), 0.5, 0.75, 1, 2),),
    layers=(LayerError("model.layers.0", "", *[ErrorMeasure(0.5, 0.25, inf)] * 2),),
    texts=(TextComparison("p", "s", "t", (1,), (2,), 0, 0.5, 0.25, next(iter(TextVerdict))),),
    swap=TokenSwap(1.0, 2.0, 3.0, 4.0),
)
DIAGNOSIS = Diagnosis(
    (QuestionAnswered(Question.TRANSPOSED, YesOrNo.YES, 2, "two"),),
    (NamedCause("weights.transposed", ("a", "b"), "all", "seen", 2, 0.5, None),),
    (Unexplained(Level.WEIGHTS, "c", "differs"),),
    *(3, 2, 3, 1, inf, 0.0, 1.5),
)
EXAMPLES: list[Event] = [
    events.RunStarted("host", 1, resumed=True),
    events.ModelOpened({"model.safetensors": "xxh3:1"}, {"G": {"m.gguf": "xxh3:3"}}),
    events.RunResumed(("F-CONV-S-G",), "because", ("S~S>G",)),
    events.ScenarioStarted("S>G@apr:cpu", 1),
    events.ScenarioFinished(
        "S>G@apr:cpu",
        Outcome.SKIPPED,
        "why",
        EngineFacts("apr", "1", "/p/apr", "xxh3:4"),
        has_loaded=False,
        answers=(
            Answer(
                *("p", Ending.CRASHED, "t\x1b", (1, 2), 3, "note"),
                is_cut_off=True,
                warnings=("w",),
                verdicts=(OracleVerdict(OracleKind.GARBAGE, Outcome.FALSIFIED, "r"),),
            ),
        ),
        speed=Speed(2, 3, 4.5, None, inf, 0.5, 2),
        lacks="S>G",
    ),
    events.ConversionStarted("S>G", 0),
    events.ConversionFinished("S>G", "/p/model.gguf", {"/p/model.gguf": "xxh3:2"}, ("a", "b"), FACTS, 1.5),
    events.ConversionFailed("S>G", Outcome.FALSIFIED, "no", ("a",), 0.5, "last\nlines"),
    events.WorkspaceChecked("/p", 5, 7, "full"),
    events.ComparisonStarted("S~S>G", 1),
    events.ComparisonFinished("S~S>G", Outcome.SKIPPED, "no", 0.5, 9, ("x",), ("e",), "S>G", "last"),
    events.LayerMeasured("S~S>G", BEHAVIOUR.layers[0]),
    events.BehaviourMeasured("S~S>G", BEHAVIOUR),
    events.Diagnosed("S~S>G", DIAGNOSIS),
    events.TolerancesChanged(ToleranceSettings(ulp=1.5, origin="p.yaml, line 3")),
    events.TensorFinished("S~S>G", tensor(max_ulp=inf, sum_error=-inf, max_abs=0.1)),
    events.LevelFinished("S~S>G", LEVEL),
    events.GateFinished("F-CONV-S-G", Outcome.SKIPPED, "why", "00", 12, "out", {"files": {"a": "b"}, "n": [1]}, None),
    events.WorkerDied(3, 99, "S>G", "it was ended by SIGSEGV", ("one", "two")),
    events.Heartbeat(("S>G",)),
    events.RunFinished(5),
    events.RunInterrupted("it was interrupted by SIGINT"),
]


def written(path, *examples, run="r"):
    raw = b"".join(JournalLine(run, number, NOW, event).to_bytes() for number, event in enumerate(examples))
    path.write_bytes(raw)
    return raw


def read(path, run="r"):
    reader = JournalReader(path, run)
    return [line.event for line in reader.new_lines()], reader.passed_over


def test_there_is_an_example_of_every_event():
    assert {type(example) for example in EXAMPLES} == set(Event.__args__)


@pytest.mark.parametrize("event", EXAMPLES, ids=lambda event: type(event).__name__)
def test_an_event_comes_back_as_it_was(event):
    raw = JournalLine("r", 7, NOW, event).to_bytes()
    assert raw.count(b"\n") == 1 and raw.endswith(b"\n")
    assert JournalLine.from_bytes(raw) == JournalLine("r", 7, NOW, event)
    assert json.loads(raw)["kind"] == type(event).__name__


@given(st.floats(allow_nan=False), st.floats(allow_nan=False))
def test_measured_numbers_come_back_to_the_last_bit(largest, total):
    event = events.TensorFinished("g", tensor(max_abs=largest, sum_squared_error=total))
    assert JournalLine.from_bytes(JournalLine("r", 0, NOW, event).to_bytes()).event == event


def test_a_nan_comes_back():
    event = events.TensorFinished("g", tensor(max_abs=nan))
    assert isnan(JournalLine.from_bytes(JournalLine("r", 0, NOW, event).to_bytes()).event.tensor.record.max_abs)


def test_a_line_torn_at_any_byte_costs_only_itself(tmp_path):
    raw = written(tmp_path / "j", Heartbeat(("é",)), RunFinished(0))
    last = raw.rindex(b"\n", 0, -1) + 1
    for length in range(last, len(raw)):
        (tmp_path / "j").write_bytes(raw[:length])
        assert read(tmp_path / "j") == ([Heartbeat(("é",))], 0)


def test_a_line_is_read_once_it_is_whole(tmp_path):
    raw = written(tmp_path / "j", Heartbeat(()), RunFinished(0))
    (tmp_path / "j").write_bytes(raw[:-5])
    reader = JournalReader(tmp_path / "j", "r")
    assert [line.event for line in reader.new_lines()] == [Heartbeat(())]
    assert list(reader.new_lines()) == []
    (tmp_path / "j").write_bytes(raw)
    assert [line.event for line in reader.new_lines()] == [RunFinished(0)]


@pytest.mark.parametrize(
    "damage",
    [
        b"\n",
        b"\x00" * 50 + b"\n",
        b"[1, 2]\n",
        b"{}\n",
        b'{"v":2,"run":"r","seq":0,"time":"2026-01-01","kind":"RunFinished"}\n',
        b'{"v":2,"run":"r","seq":0,"time":"2026-01-01","kind":"RunFinished","exit_code":"0"}\n',
        b'{"v":2,"run":"r","seq":0,"time":"never","kind":"RunFinished","exit_code":0}\n',
        b'{"v":3,"run":"r","seq":0,"time":"2026-01-01","kind":"RunFinished","exit_code":0}\n',
        b'{"v":2,"run":"r","seq":0,"time":"2026-01-01","kind":"NewInTheNextVersion"}\n',
        JournalLine("another", 0, NOW, RunFinished(0)).to_bytes(),
        b"[" * 100_000 + b"\n",
        b"\xff\xfe\n",
    ],
)
def test_damaged_foreign_and_unknown_lines_are_counted(tmp_path, damage):
    whole = JournalLine("r", 0, NOW, RunFinished(0)).to_bytes()
    (tmp_path / "j").write_bytes(whole + damage + whole)
    assert read(tmp_path / "j") == ([RunFinished(0)] * 2, 1)


@given(st.binary(max_size=300))
def test_whatever_follows_is_no_obstacle(tmp_path_factory, rest):
    path = tmp_path_factory.mktemp("j") / "j"
    path.write_bytes(JournalLine("r", 0, NOW, RunFinished(0)).to_bytes() + rest)
    assert read(path)[0] == [RunFinished(0)]


def test_a_journal_that_is_not_there_is_empty(tmp_path):
    assert read(tmp_path / "j") == ([], 0)


def test_events_hold_no_arrays():
    names = {field.name for event in Event.__args__ for field in fields(event)}
    assert not names & {"data", "histogram", "values"}
