"""What llama.cpp says of a GGUF that it does not run, and what evidence says of everything that ran."""

from importlib.metadata import version

import pytest
from fixture_files import FIXTURES
from test_behaviour_level import run

from aprtui.core.behaviour import Behaviour
from aprtui.core.json_values import from_json, to_json
from aprtui.core.outcomes import Outcome
from aprtui.inference.llama import LlamaRefusedError


def test_a_file_that_llama_cpp_refuses_fails_with_its_words(tmp_path):
    """Weights and logits are right; but who has a GGUF runs it there."""
    damaged = tmp_path / "bf16.gguf"
    raw = (FIXTURES / "qwen2-tiny/gguf/bf16.gguf").read_bytes()
    at = raw.index(b"qwen2", raw.index(b"tokenizer.ggml.pre"))
    damaged.write_bytes(raw[:at] + b"qwxy2" + raw[at + 5 :])
    level, behaviour = run(FIXTURES / "qwen2-tiny/hf", damaged)
    assert level.outcome is Outcome.FALSIFIED and behaviour.equals_twin
    (failure,) = level.failures
    assert failure.subject == "llama.cpp" and "unknown pre-tokenizer type: 'qwxy2'" in failure.message
    assert from_json(Behaviour, to_json(behaviour)).llama_refused == behaviour.llama_refused


@pytest.mark.parametrize(
    ("words", "of_the_file"),
    [
        ("unknown model architecture: 'later'", False),
        ("alloc_tensor_range: failed to allocate CPU buffer", False),
        ("was ended by SIGKILL", False),
        ("error loading model vocabulary: _Map_base::at", False),
        ("missing tensor 'blk.0.attn_q.weight'", True),
        ("was ended by SIGSEGV", True),
    ],
)
def test_what_llama_cpp_says_of_its_build_or_of_memory_is_no_fault_of_the_file(words, of_the_file, monkeypatch):
    def refuse(*_, **__):
        raise LlamaRefusedError(f"llama.cpp {words}")

    monkeypatch.setattr("aprtui.inference.measure.llama_logits", refuse)
    level, _ = run(FIXTURES / "qwen2-tiny/hf", FIXTURES / "qwen2-tiny/gguf/bf16.gguf")
    assert level.outcome is (Outcome.FALSIFIED if of_the_file else Outcome.CORROBORATED)
    assert any(
        words in text for text in ([one.message for one in level.failures] if of_the_file else level.not_checked)
    )


def test_everything_that_ran_is_named_with_its_version():
    _, behaviour = run(FIXTURES / "qwen2-tiny/hf", FIXTURES / "qwen2-tiny/gguf/bf16.gguf")
    for package in ("transformers", "torch"):
        assert f"{package} {version(package)}" in behaviour.runtime
    assert f"llama.cpp: xllamacpp {version('xllamacpp')} (xxh3:" in behaviour.runtime
    assert f"tokenizers {version('tokenizers')}" in behaviour.runtime
