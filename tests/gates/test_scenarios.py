"""Judging what engines said: whose fault a bad answer is, what says nothing of a file, what is named only."""

import re
from dataclasses import replace
from itertools import product
from pathlib import Path

import pytest
from fixture_files import FIXTURES
from run_plans import empty_plan

import aprtui
from aprtui.core.events import ConversionFailed, ScenarioFinished
from aprtui.core.outcomes import Outcome
from aprtui.core.scenarios import (
    ALL_ORACLES,
    NO_LIMITS,
    Answer,
    Backend,
    Ending,
    EngineName,
    Modality,
    OracleKind,
    Oracles,
    OracleVerdict,
    Speed,
    SpeedLimits,
)
from aprtui.formats.model import open_model
from aprtui.gates import judge_gate
from aprtui.gates.faults import Who, who_is_it
from aprtui.inference.engines import AprEngine
from aprtui.inference.engines.engine import EngineAnswer
from aprtui.inference.scenarios import answers_of, chat_texts, speed_of
from aprtui.inference.tokenizers import encode_texts
from aprtui.store.plan import PlannedGate, PlannedScenario, Running
from aprtui.store.summary import RunRecord

PASSED, FAILED, SKIPPED = Outcome.CORROBORATED, Outcome.FALSIFIED, Outcome.SKIPPED
REFERENCE, LLAMA, APR = EngineName
ASKED = "What is 2+2?"


def said(text="It is 4.", outcome=PASSED, ending=Ending.ANSWERED, *, garbage=PASSED, tokens=7, ids=(1, 2), **other):
    verdicts = (
        OracleVerdict(OracleKind.GARBAGE, garbage, "looked at"),
        OracleVerdict(OracleKind.ARITHMETIC, outcome, "2 + 2 is 4"),
    )
    return Answer(ASKED, ending, text, ids, tokens, verdicts=verdicts, **other)


def unsaid(ending, reason="why"):
    return Answer(ASKED, ending, reason=reason)


GOOD, BAD = said(), said("It is 5.", FAILED, ids=(3, 4))


def verdict(gate, answers, *, failures=(), speed=NO_LIMITS, backend=Backend.CPU, modality=Modality.RUN):
    """The verdict on answers, or results, by file and engine."""
    planned, results = [], {}
    for (file, engine), found in answers.items():
        name = f"{file}@{engine}:cpu"
        planned.append(PlannedScenario(name, file, engine, backend, modality=modality))
        given = found if isinstance(found, ScenarioFinished) else ScenarioFinished(name, answers=(found,))
        results[name] = replace(given, scenario=name)
    planned_gate = PlannedGate(gate, (), scenarios=tuple(results))
    plan = empty_plan("r", scenarios=tuple(planned), gates=(planned_gate,), running=Running(speed=speed))
    record = RunRecord(scenarios=results, failures={one.conversion: one for one in failures})
    return judge_gate(plan, planned_gate, record)


@pytest.mark.parametrize(
    ("answers", "who", "words"),
    [
        ({("S>G", REFERENCE): GOOD, ("S>G", LLAMA): BAD}, "the engine", "reference answers well from the same file"),
        ({("S>G", REFERENCE): BAD, ("S>G", LLAMA): BAD}, "not told apart", "the model itself was not asked"),
        (
            {("S", REFERENCE): GOOD, ("S>G", REFERENCE): BAD, ("S>G", LLAMA): BAD},
            "the file",
            "reference answers well from the model itself",
        ),
        # llama.cpp runs no SafeTensors: what the model does is only known from the reference.
        ({("S", REFERENCE): BAD, ("S>G", LLAMA): BAD}, "the model", "reference does no better with the model itself"),
        ({("S", REFERENCE): GOOD, ("S>G", LLAMA): BAD}, "not told apart", "no other engine ran the same file"),
        *(
            ({("S", REFERENCE): silent, ("S>G", LLAMA): BAD}, "not told apart", "no other engine ran the same file")
            for silent in (
                *map(unsaid, (Ending.KILLED, Ending.TIMEOUT, Ending.UNREADABLE, Ending.NOT_PROMPTED, Ending.NOT_RUN)),
                said("It is", SKIPPED, garbage=SKIPPED),
            )
        ),
        (
            {("S", REFERENCE): GOOD, ("S", APR): BAD, ("S>A", APR): BAD},
            "the engine",
            "reference answers well from the model itself, apr does not",
        ),
        ({("S", REFERENCE): GOOD, ("S>G", REFERENCE): BAD}, "the file", "reference answers well from the model itself"),
        (
            {("S", REFERENCE): BAD, ("S>G", REFERENCE): BAD, ("S>G", LLAMA): GOOD},
            "the engine",
            "llama.cpp answers well",
        ),
        ({("S>A", APR): BAD}, "not told apart", "no other engine ran the same file"),
        ({("S>A", APR): unsaid(Ending.FAILED), ("S>A", REFERENCE): GOOD}, "the engine", "reference answers well"),
        ({("S>A", APR): unsaid(Ending.CRASHED), ("S", APR): unsaid(Ending.CRASHED)}, "the model", "does no better"),
    ],
)
def test_whose_fault(answers, who, words):
    found = verdict("F-A1-001", answers)
    assert found.outcome is FAILED
    assert who in found.details["faults"]
    assert any(words in text for text in found.details["troubles"])


@pytest.mark.parametrize(
    ("model_here", "file_elsewhere", "model_elsewhere"), list(product((None, False, True), repeat=3))
)
def test_every_row_of_the_table_of_faults(model_here, file_elsewhere, model_elsewhere):
    """A good answer clears whoever took part in it: it shows what one of them can do."""
    who = who_is_it(model_here=model_here, file_elsewhere=file_elsewhere, model_elsewhere=model_elsewhere)
    cleared = {Who.MODEL} if model_here or model_elsewhere or file_elsewhere else set()
    assert who not in cleared | ({Who.FILE} if file_elsewhere else set())
    if file_elsewhere is None and model_here is None and model_elsewhere is not False:
        assert who is Who.OPEN
    if who is Who.FILE:
        assert model_here or model_elsewhere
    if who is Who.ENGINE:
        assert file_elsewhere or model_elsewhere
    if who is Who.MODEL:
        assert False in (model_here, model_elsewhere)


def test_the_fault_of_a_model_is_named_at_its_products_as_well():
    found = verdict("F-A1-001", {("S", REFERENCE): BAD, ("S>G", REFERENCE): BAD})
    assert found.outcome is FAILED
    assert found.details["faults"] == ["not told apart", "the model"], "nobody else was asked of the model's own file"
    assert found.details["troubles"][1].endswith("reference does no better with the model itself")


@pytest.mark.parametrize(
    ("answer", "outcome", "reason"),
    [
        (unsaid(Ending.TIMEOUT, "it did not end in 9 s"), Outcome.TIMEOUT, "it did not end in 9 s"),
        (unsaid(Ending.KILLED, "it was killed"), Outcome.CRASHED, "it was killed"),
        (unsaid(Ending.NOT_RUN, "needs 9 GiB"), SKIPPED, "could not check S in apr on cpu: needs 9 GiB"),
        (unsaid(Ending.UNREADABLE, "no text between"), SKIPPED, "could not check S in apr on cpu: no text between"),
        (unsaid(Ending.NOT_PROMPTED, "it has no tokenizer"), SKIPPED, "could not check S in apr on cpu: it has no tok"),
    ],
)
def test_what_says_nothing_of_a_file_never_passes(answer, outcome, reason):
    for gate in ("F-A1-001", "G1-LOAD", "G2-BASIC", "G4-VALID"):
        found = verdict(gate, {("S", APR): answer})
        assert found.outcome is outcome
        assert reason in found.reason


@pytest.mark.parametrize(
    ("ending", "outcome"),
    [(Ending.KILLED, Outcome.CRASHED), (Ending.TIMEOUT, Outcome.TIMEOUT), (Ending.FAILED, FAILED)],
)
def test_loading_fails_only_where_the_file_is_at_fault(ending, outcome):
    result = ScenarioFinished("", answers=(unsaid(ending, "while it was loaded"),), has_loaded=False)
    found = verdict("G1-LOAD", {("S", APR): result})
    assert found.outcome is outcome
    assert "while it was loaded" in found.reason


def test_a_product_without_a_tokenizer_fails_where_the_model_has_one():
    found = verdict("G2-BASIC", {("S", REFERENCE): GOOD, ("S>A", REFERENCE): unsaid(Ending.NOT_PROMPTED)})
    assert (found.outcome, "it cannot be prompted" in found.reason) == (FAILED, True)


def test_a_result_that_is_cut_off_fails_only_where_the_model_has_it_in_time():
    late = said("Let me see", SKIPPED, is_cut_off=True)
    assert verdict("F-A1-001", {("S", REFERENCE): late, ("S>G", REFERENCE): late}).outcome is SKIPPED
    assert verdict("F-A1-001", {("S", REFERENCE): GOOD, ("S>G", REFERENCE): late}).outcome is FAILED
    # One of the two was wrapped in a chat template: they are not held against each other.
    wrapped = replace(GOOD, prompt_tokens=32, note="it wrapped the prompt in other text")
    assert verdict("F-A1-001", {("S", APR): wrapped, ("S>A", APR): late}).outcome is SKIPPED


def test_other_tokens_are_named_and_never_compared():
    """apr 0.72.3 saw 10 tokens of an APR's prompt, 11 of the GGUF's and 32 of the checkpoint's."""
    lost = replace(BAD, prompt_tokens=10, note="it saw 10 tokens where 11 belong: the token in front is missing")
    wrapped = replace(GOOD, prompt_tokens=32, note="it saw 32 tokens where 11 belong: it wrapped the prompt")
    found = verdict("F-A1-001", {("S", APR): wrapped, ("S>G", APR): replace(GOOD, prompt_tokens=11)})
    assert found.outcome is PASSED
    assert found.details["prompt_tokens"] == [f"S in apr on cpu: '{ASKED}': {wrapped.note}"]
    assert found.reason.endswith("; 1 prompts were seen as other tokens")
    found = verdict("F-A1-001", {("S>A", APR): lost, ("S>A", REFERENCE): GOOD, ("S", APR): wrapped})
    assert found.outcome is FAILED
    assert found.reason.endswith(f"it was asked other tokens: {lost.note}")
    assert "engines_on_the_same_file" not in found.details


def test_a_file_that_gives_a_prompt_other_tokens_is_held_against_the_model():
    """Its engine saw the tokens that it gives: one that lost its bos gives one less."""
    less = replace(BAD, prompt_tokens=6)
    found = verdict("F-A1-001", {("S", REFERENCE): GOOD, ("S>A", REFERENCE): less})
    assert (found.outcome, found.details["faults"]) == (FAILED, ["the file"])
    late = said("Let me see", SKIPPED, is_cut_off=True, tokens=6)
    assert verdict("F-A1-001", {("S", REFERENCE): GOOD, ("S>A", REFERENCE): late}).outcome is FAILED


def test_two_engines_on_one_file_are_counted():
    found = verdict("F-A1-001", {("S>G", REFERENCE): GOOD, ("S>G", LLAMA): GOOD})
    assert found.details["engines_on_the_same_file"] == [
        "S>G: reference and llama.cpp continue 1 of 1 prompts with the same tokens"
    ]


def test_scenarios_that_did_not_run():
    lost = ConversionFailed("S>G", FAILED, "it broke")
    found = verdict("G1-LOAD", {("S>G", LLAMA): ScenarioFinished("", SKIPPED, "x", lacks="S>G")}, failures=[lost])
    assert (found.outcome, found.reason) == (
        SKIPPED,
        "could not check S>G in llama.cpp on cpu: no gguf file: its conversion failed: it broke",
    )
    died = ScenarioFinished("", Outcome.CRASHED, "the worker died", stderr="last")
    assert verdict("G3-STABLE", {("S", REFERENCE): died}).outcome is Outcome.CRASHED


def test_chat_is_held_against_chat():
    chat = {"modality": Modality.CHAT}
    found = verdict("F-A4-001", {("S", REFERENCE): GOOD, ("S>G", REFERENCE): BAD}, backend=Backend.GPU, **chat)
    assert (found.outcome, found.details["faults"]) == (FAILED, ["the file"])
    assert found.reason.startswith(f"S>G in reference on gpu: '{ASKED}' is answered 'It is 5.'")
    found = verdict("F-A4-001", {("S", REFERENCE): GOOD, ("S>G", REFERENCE): GOOD}, backend=Backend.GPU, **chat)
    assert found.reason == "every answer holds: 1 prompt, S in reference, S>G in reference"


def test_a_prompt_is_put_into_the_files_own_chat_template():
    demo = Path(aprtui.__file__).parent / "demo/model/qwen2-demo"
    (text,), reason = chat_texts(demo, [ASKED])
    assert (text, reason) == (f"<|im_start|>user\n{ASKED}<|im_end|>\n<|im_start|>assistant\n", "")
    assert chat_texts(demo / "model.safetensors", [ASKED])[1] == ""
    llama = FIXTURES / "llama-tiny256/hf"
    texts, reason = chat_texts(llama, [ASKED])
    assert reason or not texts[0].startswith("<s>")
    assert chat_texts(FIXTURES / "nothing.gguf", [ASKED])[1]


def test_empty_texts_are_no_inference():
    empty = said("", FAILED, garbage=FAILED)
    assert verdict("G2-BASIC", {("S", REFERENCE): empty}).reason.startswith("S in reference on cpu: no prompt is con")
    assert verdict("G4-VALID", {("S", REFERENCE): empty}).outcome is FAILED
    assert verdict("G3-STABLE", {("S", REFERENCE): empty}).outcome is PASSED


SLOW = Speed(2, 62, 3.0, 300.0, 900.0, 0.5, 2)
STATED = Speed(2, 16, 30.0, None, None, 0.5, 2)
LIMITS = SpeedLimits({"cpu": 5.0}, 400.0, 1000.0)


@pytest.mark.parametrize(
    ("gate", "speeds", "limits", "outcome", "reason"),
    [
        (
            "001",
            {("S>G", LLAMA): SLOW},
            LIMITS,
            FAILED,
            "3.0 tokens/s.* at least 5 asked for; the machine's load was 0.5",
        ),
        ("001", {("S", REFERENCE): SLOW, ("S>G", LLAMA): STATED}, LIMITS, SKIPPED, "S on cpu: no other engine runs it"),
        ("001", {("S>G", REFERENCE): SLOW, ("S>G", LLAMA): STATED}, LIMITS, PASSED, "30.0 tokens/s"),
        ("001", {("S>G", LLAMA): SLOW}, SpeedLimits(), SKIPPED, "names no threshold; 3.0 tokens/s"),
        ("002", {("S>G", LLAMA): SLOW}, LIMITS, PASSED, "p99 900.0 ms, at most 1000 ms"),
        ("003", {("S>G", LLAMA): SLOW}, LIMITS, PASSED, "p50 300.0 ms, at most 400 ms"),
        ("002", {("S>A", APR): STATED}, LIMITS, SKIPPED, "does not tell the time of single tokens"),
        ("002", {("S>A", APR): None}, LIMITS, SKIPPED, "S>A in apr on cpu: it ended"),
    ],
)
def test_speed(gate, speeds, limits, outcome, reason):
    results = {
        place: ScenarioFinished("", reason="" if one else "it ended", speed=one) for place, one in speeds.items()
    }
    found = verdict(f"F-PROFILE-CI-{gate}", results, speed=limits)
    assert found.outcome is outcome
    assert re.search(reason, found.reason), found.reason


class Scripted(AprEngine):
    """An engine that gives one answer to everything."""

    def __init__(self, answer):
        super().__init__("none")
        object.__setattr__(self, "answer", answer)

    def generate(self, model, prompts, most):
        return (self.answer,) * len(prompts)


def test_a_clock_that_stands_still_tells_no_speed():
    engine = Scripted(EngineAnswer("x", (1, 2), 3, token_seconds=(0.0,)))
    assert speed_of(engine, FIXTURES, ASKED, 0, 2) == (
        None,
        "it generates no second token, or does not tell their times",
    )


def judged(text, prompt, tmp_path, *, cut=False, oracles=ALL_ORACLES, model=None, modality=Modality.RUN):
    engine = Scripted(EngineAnswer(text, (1,), 3, is_cut_off=cut))
    (answer,), _ = answers_of(engine, model or tmp_path / "none.gguf", [prompt], oracles, modality)
    return {one.oracle: one.outcome for one in answer.verdicts}


def test_a_playbook_names_oracles_and_a_prompt_calls_for_them(tmp_path):
    both = {OracleKind.GARBAGE: PASSED, OracleKind.ARITHMETIC: PASSED}
    assert judged("It is 4.", ASKED, tmp_path) == both
    only = Oracles((OracleKind.CODE_SYNTAX,))
    assert judged("It is 4.", ASKED, tmp_path, oracles=only) == {OracleKind.GARBAGE: PASSED}
    assert judged("It is 5.", ASKED, tmp_path)[OracleKind.ARITHMETIC] is FAILED
    assert judged("It is 5.", ASKED, tmp_path, cut=True)[OracleKind.ARITHMETIC] is SKIPPED
    composed = Oracles((OracleKind.COMPOSITE,))
    assert judged("\ufffd", "Hi", tmp_path, oracles=composed)[OracleKind.COMPOSITE] is FAILED
    assert judged("It is 5.", ASKED, tmp_path, oracles=composed)[OracleKind.COMPOSITE] is FAILED
    late = judged("It is 5.", ASKED, tmp_path, oracles=composed, cut=True)
    assert (late[OracleKind.ARITHMETIC], late[OracleKind.COMPOSITE]) == (SKIPPED, PASSED)


def test_a_character_that_is_cut_off_is_no_garbage(tmp_path):
    """32 tokens of a byte-level vocabulary may end inside of a character."""
    assert judged("你好\ufffd", "Hi", tmp_path, cut=True)[OracleKind.GARBAGE] is PASSED
    for text, cut in (("你好\ufffd", False), ("你\ufffd好", True), ("\ufffd\ufffd", True), ("\ufffd", True)):
        assert judged(text, "Hi", tmp_path, cut=cut)[OracleKind.GARBAGE] is FAILED


def test_code_in_a_chat_may_be_answered_in_words(tmp_path):
    demo = Path(aprtui.__file__).parent / "demo/model/qwen2-demo"

    def answered(text, modality=Modality.CHAT):
        return judged(text, "def add(a, b):", tmp_path, model=demo, modality=modality)

    words = "It looks like you have begun a function."
    assert answered(words) == {OracleKind.GARBAGE: PASSED, OracleKind.RESPONSE: PASSED}
    assert answered(words, Modality.RUN)[OracleKind.CODE_SYNTAX] is FAILED
    assert answered("Sure:\n```python\ndef add(a, b):\n    return a +")[OracleKind.CODE_SYNTAX] is PASSED
    assert answered("Sure:\n```python\n]]]\n```")[OracleKind.CODE_SYNTAX] is FAILED
    assert answered("def add(a, b):\n    return a + b")[OracleKind.CODE_SYNTAX] is PASSED


@pytest.mark.parametrize(("model", "missing"), [("llama-tiny256", True), ("qwen2-tiny", False)])
def test_a_token_in_front_is_missing_only_where_one_belongs(model, missing):
    path = FIXTURES / model / "hf"
    own = len(encode_texts(open_model(path), [ASKED]).ids[0])
    (answer,), _ = answers_of(Scripted(EngineAnswer("4", (1,), own - 1)), path, [ASKED], ALL_ORACLES)
    assert ("the token in front of a text is missing" in answer.note) is missing
    assert answer.note.startswith(f"it saw {own - 1} tokens where {own} belong")
