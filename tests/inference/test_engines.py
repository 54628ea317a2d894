"""Engines: what apr printed is read, its crashes and hangs are answers, and engines agree on one file."""

import json
import signal
import sys
from itertools import takewhile
from pathlib import Path

import pytest
from fixture_files import DATA, FIXTURES

import aprtui
from aprtui.core.errors import AprtuiError
from aprtui.core.scenarios import Backend, Ending
from aprtui.formats.container import Format
from aprtui.formats.model import open_model
from aprtui.inference.engines import AprEngine, LlamaCppEngine, ReferenceEngine
from aprtui.inference.engines.apr_output import read_answer
from aprtui.inference.engines.engine import explain_prompt_tokens
from aprtui.inference.llama import words_of_llama
from aprtui.inference.tokenizers import encode_texts
from aprtui.inference.tokenizers.ends import ends_of
from aprtui.processes.run import Place, run_command

RUNS = json.loads((DATA / "apr_transcripts/run.json").read_text(encoding="utf-8"))
GGUF = FIXTURES / "qwen2-tiny/gguf/bf16.gguf"


def recorded(version, model, file, prompt):
    (run,) = [
        run
        for run in RUNS
        if (run["version"], run["model"], run["command"][2], run["command"][4]) == (version, model, file, prompt)
    ]
    return read_answer(run["stdout"], run["stderr"], Backend.CPU)


def test_every_recorded_run_gives_text_or_a_reason():
    assert len(RUNS) > 30
    for run in RUNS:
        answer = read_answer(run["stdout"], run["stderr"], Backend.CPU)
        assert (answer.text is None) == bool(answer.reason)
        for noise in ("Source:", "Completed in", "=== APR", "tok_per_sec", "hf/model"):
            assert noise not in (answer.text or "")


def test_text_and_json_of_both_versions():
    assert recorded("0.2.11", "qwen2-tiny", "hf/model.safetensors", "def add(a, b):").text == "99999 m m m"
    answer = recorded("0.72.3", "llama-tiny256", "out/s-import.apr", "def add(a, b):")
    assert answer.text == "ise¼ack if theîartot"
    assert answer.ids == (392, 120, 457, 299, 293, 170, 477, 319)
    assert answer.prompt_tokens == 10
    nothing = recorded("0.2.11", "llama-tiny256", "out/s-import.apr", "2+2=")
    assert (nothing.text, nothing.reason) == (None, "it found no tokenizer, so it printed no text")
    warned = recorded("0.72.3", "llama-tiny256", "gguf/f32.gguf", "2+2=")
    assert "does NOT reproduce the model's tokenization" in warned.warnings[0]


def test_prompt_tokens_that_differ_are_named():
    prompt = "def add(a, b):"
    (ids,) = encode_texts(open_model(FIXTURES / "llama-tiny256/hf"), [prompt]).ids
    assert len(ids) == 11
    why = {
        file: explain_prompt_tokens(recorded("0.72.3", "llama-tiny256", file, prompt).prompt_tokens, len(ids), 1)
        for file in ("out/s-import.apr", "gguf/f32.gguf", "hf/model.safetensors")
    }
    assert "the token in front of a text is missing" in why["out/s-import.apr"]
    assert why["gguf/f32.gguf"] == ""
    assert "it wrapped the prompt" in why["hf/model.safetensors"]
    assert "one more in front" in explain_prompt_tokens(12, 11, 0)
    assert explain_prompt_tokens(5, 11, 1).endswith("it has another tokenizer")
    assert explain_prompt_tokens(10, 11, 0).endswith("it has another tokenizer"), "nothing was to stand in front"
    assert explain_prompt_tokens(None, 11, 1)


@pytest.mark.parametrize(
    "stdout",
    [
        "",
        "Output:\nx",
        "{",
        "[" * 5000,
        '{"text": 3}',
        '{"text": "x", "error": "boom"}',
        '{"text": "x", "status": "refused"}',
        "\nOutput:\n\nCompleted in 0.1s (cached)",
    ],
)
def test_other_outputs_give_no_text(stdout):
    answer = read_answer(stdout, "", Backend.CPU)
    assert answer.text in (None, "")
    assert answer.reason or answer.text == ""


def test_text_may_hold_the_markers_itself():
    printed = (
        "=== APR Run ===\n\nSource: m\n\nOutput:\na\nOutput:\nb\n\nCompleted in time\n\nCompleted in 0.10s (cached)\n"
    )
    assert read_answer(printed, "", Backend.CPU).text == "a\nOutput:\nb\n\nCompleted in time"


def stand_in(folder, body):
    program = folder / "apr"
    program.write_text(f"#!{sys.executable}\nimport sys, os, time\n{body}\n", encoding="utf-8")
    program.chmod(0o755)
    return AprEngine(str(program), seconds=1.5)


def test_apr_runs_once_for_each_prompt(tmp_path):
    run = next(run for run in RUNS if run["version"] == "0.72.3" and run["stdout"].startswith("{"))
    engine = stand_in(tmp_path, f"print('apr 0.72.3 (9c34b9a91)' if '--version' in sys.argv else {run['stdout']!r})")
    assert engine.identity.version == "apr 0.72.3 (9c34b9a91)"
    assert engine.identity.digest.startswith("xxh3:")
    first, second = engine.generate(GGUF, ["a b", "c"], 8)
    assert first.text == second.text == json.loads(run["stdout"])["text"]
    assert "--prompt 'a b' --max-tokens 8 --no-gpu --json" in first.command
    assert first.seconds > 0


PANIC = "thread 'main' panicked at src/main.rs:1"


@pytest.mark.parametrize(
    ("body", "ending", "why"),
    [
        ("sys.exit(7)", Ending.FAILED, "ended with exit code 7"),
        ("os.abort()", Ending.CRASHED, "was ended by SIGABRT"),
        ("sys.exit(139)", Ending.CRASHED, "ended with exit code 139"),
        (
            f'sys.exit(print("{PANIC}", file=sys.stderr) or 101)',
            Ending.CRASHED,
            "panicked: it ended with exit code 101",
        ),
        (f'sys.exit(print("{PANIC}", file=sys.stderr) or 2)', Ending.CRASHED, "panicked: it ended with exit code 2"),
        ("os.kill(os.getpid(), 9)", Ending.KILLED, "was killed (SIGKILL)"),
        ("time.sleep(60)", Ending.TIMEOUT, "did not end in 2 s"),
        ("print('nothing that is known')", Ending.UNREADABLE, "no text between"),
        ("""print('{"text": "x", "error": "boom"}')""", Ending.FAILED, "the engine says boom"),
    ],
)
def test_what_goes_wrong_is_an_answer(tmp_path, body, ending, why):
    (answer,) = stand_in(tmp_path, f"print('apr 1') if '--version' in sys.argv else {body}").generate(GGUF, ["a"], 8)
    assert (answer.text, answer.ending) == (None, ending)
    assert why in answer.reason


@pytest.mark.parametrize(
    ("ran", "is_on_gpu", "ending"),
    [
        ('"backend": {"ran": "cpu", "fell_back": true}', True, Ending.NOT_RUN),
        ('"backend": {"ran": "cuda"}', True, Ending.ANSWERED),
        ('"used_gpu": true', False, Ending.NOT_RUN),
        ('"used_gpu": false', False, Ending.ANSWERED),
        ('"model": "m"', True, Ending.NOT_RUN),
        ('"model": "m"', False, Ending.ANSWERED),
    ],
)
def test_an_answer_from_another_backend_is_none(ran, is_on_gpu, ending):
    answer = read_answer(f'{{"text": "x", {ran}}}', "", Backend.GPU if is_on_gpu else Backend.CPU)
    assert answer.ending is ending
    says = "does not say that it did" if "model" in ran else "says that it ran on the"
    assert ending is Ending.ANSWERED or says in answer.reason


def test_text_alone_does_not_say_that_a_gpu_ran_it():
    printed = "\nOutput:\nx\n\nCompleted in 0.10s (fast)\n"
    assert read_answer(printed, "", Backend.CPU).text == "x"
    assert read_answer(printed, "", Backend.GPU).ending is Ending.NOT_RUN


def process_that(ends, monkeypatch):
    """A process that answers "a" and "c" and ends in some other way at "b"."""
    asked = []

    def runs(module, folder, request, *, time_limit):
        asked.append(request["prompts"])
        told = {"ids": [1], "text": "x", "prompt_tokens": 1, "is_cut_off": False, "seconds": 1, "token_seconds": []}
        lines = [{"loaded": True}, *[told for _ in takewhile(lambda prompt: prompt != "b", request["prompts"])]]
        is_torn = "b" in request["prompts"]
        (folder / "answers.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines) + '{"torn' * is_torn)
        code = f"import os, signal, sys; {ends}" if is_torn else "pass"
        return run_command([sys.executable, "-c", code], Place(folder, folder, folder), time_limit=9)

    monkeypatch.setattr("aprtui.inference.engines.told.run_module", runs)
    return asked


@pytest.mark.parametrize("engine", [ReferenceEngine(), LlamaCppEngine()], ids=["reference", "llama.cpp"])
def test_answers_before_and_behind_a_crash_stand(engine, monkeypatch):
    asked = process_that("print('x.cpp:1: GGML_ASSERT(no) failed', file=sys.stderr); os.abort()", monkeypatch)
    first, second, third = engine.generate(GGUF, ["a", "b", "c"], 4)
    assert (first.text, third.text) == ("x", "x")
    assert (second.ending, second.has_loaded) == (Ending.CRASHED, True)
    assert second.reason == "it was ended by SIGABRT: x.cpp:1: GGML_ASSERT(no) failed"
    assert asked == [["a", "b", "c"], ["c"]]


@pytest.mark.parametrize(
    ("ends", "ending"), [("os.kill(os.getpid(), signal.SIGKILL)", Ending.KILLED), ("sys.exit(3)", Ending.FAILED)]
)
def test_prompts_behind_any_other_end_are_not_asked_again(ends, ending, monkeypatch):
    """Each start would meet the same want of memory or the same error."""
    asked = process_that(ends, monkeypatch)
    first, second, third = ReferenceEngine().generate(GGUF, ["a", "b", "c"], 4)
    assert (first.text, second.ending, third.ending) == ("x", ending, Ending.NOT_RUN)
    assert third.reason.startswith("an earlier prompt ended the engine: it ")
    assert len(asked) == 1


def test_text_stops_where_llama_cpp_stops():
    """generation_config.json lists two ends, GGUF has room for one."""
    model = open_model(Path(aprtui.__file__).parent / "demo/model/qwen2-demo")
    assert ends_of(model) == {765, 767}
    assert [(model.tokenizer.vocabulary or ())[number] for number in (765, 767)] == ["<|endoftext|>", "<|im_end|>"]


def test_the_same_file_in_two_engines():
    prompts = ["2+2=", "def add(a, b):"]
    ours = ReferenceEngine().generate(GGUF, prompts, 6)
    theirs = LlamaCppEngine(exact=True).generate(GGUF, prompts, 6)
    assert [answer.ids for answer in ours] == [answer.ids for answer in theirs]
    assert [answer.text for answer in ours] == [answer.text for answer in theirs]
    assert [answer.prompt_tokens for answer in ours] == [answer.prompt_tokens for answer in theirs] == [4, 10]
    # apr 0.72.3 read the same file the same way.
    recorded_ids = recorded("0.72.3", "qwen2-tiny", "gguf/f32.gguf", "def add(a, b):").ids
    assert recorded_ids[:6] == ours[1].ids


def test_engines_say_who_they_are_and_what_they_lack(tmp_path, monkeypatch):
    assert "xllamacpp" in LlamaCppEngine().identity.version
    assert "transformers" in ReferenceEngine().identity.version
    assert LlamaCppEngine().formats == {Format.GGUF}
    with pytest.raises(AprtuiError, match="not installed"):
        _ = AprEngine(str(tmp_path / "none")).identity
    broken = tmp_path / "m.gguf"
    broken.write_bytes(b"GGUF" + bytes(64))
    for engine in (LlamaCppEngine(), ReferenceEngine()):
        (answer,) = engine.generate(broken, ["a"], 3)
        assert answer.text is None
        assert answer.reason
    monkeypatch.setattr("aprtui.inference.engines.llama_cpp.installed_version", lambda: None)
    with pytest.raises(AprtuiError, match="xllamacpp is not installed"):
        _ = LlamaCppEngine().identity


def test_llama_cpp_refuses_in_its_own_words(tmp_path):
    broken = tmp_path / "m.gguf"
    broken.write_bytes(GGUF.read_bytes().replace(b"qwen2.block_count", b"qwen2.block_cownt"))
    (answer,) = LlamaCppEngine().generate(broken, ["a"], 3)
    assert (answer.ending, answer.has_loaded) == (Ending.FAILED, False)
    assert "key not found in model: qwen2.block_count" in answer.reason


@pytest.mark.parametrize("engine", [ReferenceEngine(), LlamaCppEngine()], ids=["reference", "llama.cpp"])
def test_a_prompt_longer_than_the_context_says_nothing_of_the_file(engine):
    prompts = ["foo bar baz " * 30, "foo bar baz " * 200]
    short, long = engine.generate(FIXTURES / "gpt2-tiny/gguf/bf16.gguf", prompts, 400)
    assert short.ending is Ending.ANSWERED and short.prompt_tokens == 241 and 0 < len(short.ids) <= 256 - 241
    assert (long.ending, long.has_loaded) == (Ending.TOO_LONG, True)
    assert long.reason.startswith("the prompt has ") and long.reason.endswith(" tokens, and the model takes 256")


def test_an_assertion_of_llama_cpp_is_told_in_its_words(tmp_path):
    code = "from aprtui.inference.llama.library import LlamaModel; import sys; "
    code += "LlamaModel(sys.argv[1]).generate(list(range(9)) * 40, 4, exact=True)"
    command = [sys.executable, "-c", code, str(FIXTURES / "gpt2-tiny/gguf/bf16.gguf")]
    result = run_command(command, Place(tmp_path, tmp_path, tmp_path), time_limit=60)
    assert result.exit_code == -signal.SIGABRT
    assert "GGML_ASSERT" in words_of_llama(result)
