"""What goes wrong with one prompt, or on this machine, is neither the other prompts' fault nor the file's."""

import json
import os
import shutil
import sys
from dataclasses import replace

import pytest
from fixture_files import FIXTURES

from aprtui.core.scenarios import Backend, Ending
from aprtui.formats.model import open_model
from aprtui.formats.tokenizer import TokenizerModel
from aprtui.inference.engines import AprEngine, LlamaCppEngine, ReferenceEngine, llama_child, reference_child
from aprtui.inference.engines.apr_output import read_answer
from aprtui.inference.llama.library import Refused
from aprtui.inference.reference.model import ReferenceModel
from aprtui.inference.tokenizers.decode import text_of
from aprtui.processes.run import Place, run_command

GGUF = FIXTURES / "qwen2-tiny/gguf/bf16.gguf"


def answer_of_apr(folder, body, prompt="a", model=GGUF):
    program = folder / "apr"
    told = "if '--version' in sys.argv:\n    sys.exit(print('apr 1'))"
    program.write_text(f"#!{sys.executable}\nimport json, os, signal, sys\n{told}\n{body}\n", encoding="utf-8")
    program.chmod(0o755)
    (answer,) = AprEngine(str(program), seconds=9).generate(model, [prompt], 8)
    return answer


@pytest.mark.parametrize(
    ("body", "ending", "has_loaded", "why"),
    [
        ("os.kill(os.getpid(), signal.SIGTERM)", Ending.KILLED, None, "was killed (SIGTERM)"),
        ("os.kill(os.getpid(), signal.SIGINT)", Ending.KILLED, None, "was killed (SIGINT)"),
        ("sys.exit(137)", Ending.KILLED, None, "was killed (SIGKILL)"),
        ("sys.exit(143)", Ending.KILLED, None, "was killed (SIGTERM)"),
        ("sys.exit(2)", Ending.NOT_RUN, None, "does not take the command line"),
        ("sys.exit(9)", Ending.NOT_RUN, None, "was built without"),
        ("sys.exit(4)", Ending.FAILED, False, "exit code 4"),
        ("sys.exit(6)", Ending.FAILED, False, "exit code 6"),
        ("sys.exit(8)", Ending.FAILED, None, "exit code 8"),
    ],
)
def test_how_apr_ends_tells_whose_fault_it_is(tmp_path, body, ending, has_loaded, why):
    body = body.replace("os.kill", "signal.signal(signal.SIGINT, signal.SIG_DFL); os.kill")
    answer = answer_of_apr(tmp_path, f"{body}")
    assert (answer.text, answer.ending, answer.has_loaded) == (None, ending, has_loaded)
    assert why in answer.reason


def test_a_prompt_that_begins_with_a_hyphen_is_no_option(tmp_path):
    """Clap refuses `--prompt -5+3=`."""
    answer = answer_of_apr(tmp_path, "print(json.dumps({'text': sys.argv[3]}))", "-5+3=")
    assert answer.text == "--prompt=-5+3="


def test_apr_is_given_the_weights_where_they_lie(tmp_path):
    """In the Hugging Face cache they are links; config.json lies beside the link, and the file has no suffix."""
    snapshot, blobs = tmp_path / "snapshots/0", tmp_path / "blobs"
    snapshot.mkdir(parents=True)
    blobs.mkdir()
    shutil.copyfile(FIXTURES / "qwen2-tiny/hf/model.safetensors", blobs / "0123")
    (snapshot / "model.safetensors").symlink_to(blobs / "0123")
    for path in (snapshot, snapshot / "model.safetensors"):
        answer = answer_of_apr(tmp_path, "print(json.dumps({'text': sys.argv[2]}))", model=path)
        assert answer.text == str(snapshot / "model.safetensors")


def test_llama_cpp_takes_the_directory_of_a_gguf(tmp_path):
    shutil.copyfile(GGUF, tmp_path / "model.gguf")
    (answer,) = LlamaCppEngine().generate(tmp_path, ["a"], 3)
    assert answer.ending is Ending.ANSWERED, answer.reason


@pytest.mark.parametrize(
    ("keys", "speed", "counted", "ids"),
    [
        ('"tok_per_sec": 1e999', None, None, None),
        (f'"tok_per_sec": {"9" * 400}', None, None, None),
        ('"tok_per_sec": NaN', None, None, None),
        ('"tok_per_sec": true, "prompt_tokens": true, "tokens": [true]', None, None, None),
        ('"tok_per_sec": "5", "prompt_tokens": -4, "tokens": [-1]', None, None, None),
        ('"tok_per_sec": 5, "prompt_tokens": 4, "tokens": [1, 2], "status": null', 5.0, 4, (1, 2)),
    ],
)
def test_json_of_other_types_is_not_believed(keys, speed, counted, ids):
    answer = read_answer(f'{{"text": "x", {keys}}}', "", Backend.CPU)
    assert (answer.text, answer.tokens_per_second, answer.prompt_tokens, answer.ids) == ("x", speed, counted, ids)


def test_half_a_pair_of_surrogates_can_be_written():
    answer = read_answer('{"text": "a\\ud800b \\ud83d\\ude00"}', "", Backend.CPU)
    assert answer.text == "a\ufffdb \U0001f600"


class Model:
    """llama.cpp without a file."""

    def __init__(self, _path):
        pass

    def ids(self, text, *, add_special):
        return [] if not text else [1, 2]

    def generate(self, ids, most, *, exact):
        raise Refused("llama.cpp gives no context of 9 tokens" if Model.is_full else "llama_decode fails at position 0")


def test_what_llama_cpp_refuses_of_one_prompt_leaves_the_others(monkeypatch):
    monkeypatch.setattr(llama_child, "LlamaModel", Model)
    monkeypatch.setattr(Model, "is_full", False, raising=False)
    request = {"path": str(GGUF), "prompts": ["a", "", "b"], "most": 3, "exact": False}
    loaded, *told = llama_child.answers(request)
    assert loaded == {"loaded": True}
    assert [one["ending"] for one in told] == [Ending.FAILED, Ending.NOT_PROMPTED, Ending.FAILED]


def test_an_empty_prompt_is_nothing_to_continue():
    """qwen2 puts no token in front of a text."""
    empty, good = LlamaCppEngine().generate(GGUF, ["", "a"], 3)
    assert (empty.ending, empty.has_loaded) == (Ending.NOT_PROMPTED, True)
    assert good.ending is Ending.ANSWERED


@pytest.mark.parametrize("model", [TokenizerModel.BPE, TokenizerModel.SENTENCEPIECE])
def test_tokens_that_are_no_text_are_shown(model):
    facts = replace(open_model(GGUF).tokenizer, model=model, vocabulary=("a", "\udcff", "b", "\ud800\udcfe"))
    shown = text_of(facts, (0, 1, 2, 3))
    assert shown.startswith("a\ufffdb\ufffd") and shown.encode()


def told(monkeypatch, lines, ends="pass"):
    def runs(module, folder, request, *, time_limit):
        (folder / "answers.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))
        return run_command([sys.executable, "-c", ends], Place(folder, folder, folder), time_limit=9)

    monkeypatch.setattr("aprtui.inference.engines.told.run_module", runs)


@pytest.mark.parametrize(
    "reason",
    [
        "llama.cpp gives no context of 900 tokens",
        "llama.cpp does not load the file: alloc_tensor_range: failed to allocate CPU buffer of size 9",
        "this build of llama.cpp has context parameters that aprtui does not know",
    ],
)
@pytest.mark.parametrize("loaded", [True, False])
def test_want_of_memory_and_other_builds_accuse_no_file(monkeypatch, reason, loaded):
    told(monkeypatch, [{"failed": reason, "ending": Ending.FAILED, "loaded": loaded}])
    (answer,) = LlamaCppEngine().generate(GGUF, ["a"], 3)
    assert (answer.ending, answer.has_loaded) == (Ending.NOT_RUN, True if loaded else None)


def test_bad_alloc_is_want_of_memory(monkeypatch):
    ends = "import os, sys; print(\"terminate called after throwing 'std::bad_alloc'\", file=sys.stderr); "
    told(monkeypatch, [], f"{ends}sys.stderr.flush(); os.abort()")
    (answer,) = LlamaCppEngine().generate(GGUF, ["a"], 3)
    assert (answer.ending, answer.has_loaded) == (Ending.NOT_RUN, None)


def test_a_process_that_ends_without_an_answer_gives_none(monkeypatch):
    told(monkeypatch, [{"loaded": True}])
    (answer,) = ReferenceEngine().generate(GGUF, ["a"], 3)
    assert (answer.text, answer.ending) == (None, Ending.UNREADABLE)
    assert answer.reason.endswith("left no answer")


def test_a_name_that_is_no_utf8_is_opened(tmp_path):
    path = tmp_path / os.fsdecode(b"m\xff.gguf")
    shutil.copyfile(GGUF, path)
    (answer,) = LlamaCppEngine().generate(path, ["a"], 3)
    assert answer.ending is Ending.ANSWERED, answer.reason


def of_reference(path, prompts=("a",)):
    return list(reference_child.answers({"path": str(path), "prompts": list(prompts), "most": 3, "device": "cpu"}))


def test_a_truncated_file_is_not_loaded_by_the_reference(tmp_path):
    path = tmp_path / "m.gguf"
    path.write_bytes(GGUF.read_bytes()[:-10])
    (failed,) = of_reference(path)
    assert (failed["ending"], failed["loaded"]) == (Ending.FAILED, False)


@pytest.mark.parametrize("error", [MemoryError(), RuntimeError("DefaultCPUAllocator: can't allocate memory: 9 bytes")])
def test_want_of_memory_in_the_reference_accuses_no_file(monkeypatch, error):
    def fails(*_args, **_kwargs):
        raise error

    monkeypatch.setattr("aprtui.inference.reference.model.read_into", fails)
    (failed,) = of_reference(GGUF)
    assert (failed["ending"], failed["loaded"]) == (Ending.NOT_RUN, None)


def test_a_prompt_that_the_reference_cannot_run_leaves_the_others(monkeypatch):
    original = ReferenceModel.generate

    def generate(self, ids, most, ends):
        broken = [self.checkpoint.config["vocab_size"]] if len(ids) == 1 else ids
        return original(self, broken, most, ends)

    monkeypatch.setattr(ReferenceModel, "generate", generate)
    loaded, first, second = of_reference(GGUF, ["a", "def add(a, b):"])
    assert loaded == {"loaded": True}
    assert (first["ending"], "IndexError" in first["no_answer"]) == (Ending.FAILED, True)
    assert second["ids"]
