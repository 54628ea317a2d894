"""Whole runs with the built-in converter, which is right: any gate that does not pass is a false alarm."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from engine_runs import run_in, write_playbook
from fixture_files import FIXTURES
from safetensors.torch import load_file, save_file

from aprtui.convert.builtin import BuiltinConverter
from aprtui.core.errors import UsageError
from aprtui.core.outcomes import ExitCode, Outcome

ARCHITECTURES = Path(__file__).parents[1] / "data/architectures"
NO_TOKENIZER = "aprtui:\n  levels: [integrity, structure, metadata, weights]\n"

# What llama.cpp's code has fixed and these models, whose sizes are random, state otherwise: GGUF has no key for it.
LOST_IN_GGUF = {
    "gemma2": "query_pre_attn_scalar",
    "gemma3-cut": "query_pre_attn_scalar",
    "gemma3-f16": "query_pre_attn_scalar",
    "qwen3_moe": "norm_topk_prob",
}
# What makes a GGUF or goes on from the loss; G-S and G-A give what their GGUF says.
LOSES_IN_GGUF = {
    *("G0-FORMAT-GGUF-001", "F-CONV-S-G", "F-CONV-A-G", "F-CONV-CONFIG-001", "F-CONV-RT-BYTE-001"),
    *("F-CONV-RT-002", "F-CONV-RT-003", "F-CONV-RT-004"),
}
# The tokenizer of this checkpoint is a stand-in which APR does not hold, so the rows to cut are not known afterwards.
CUT = "gemma3-cut"


def what_fails(folder, model, keys="", sources=()):
    """Reasons of all gates that are not Corroborated."""
    code, told = run_in(folder / "run", write_playbook(folder, keys), model, BuiltinConverter(), sources=sources)
    left = {gate: entry for gate, entry in told.entries.items() if entry.outcome is not Outcome.CORROBORATED}
    assert len(told.entries) >= 30 and (code is ExitCode.PASSED) is (not left)
    return {gate: entry.reason for gate, entry in left.items()}


def _name(path):
    return "-".join(path.parts[-3:])


def test_a_quantised_gguf_of_transposed_matrices_as_source(tmp_path):
    model = FIXTURES / "gpt2-tiny"
    assert what_fails(tmp_path, model / "hf", sources=(model / "gguf/Q6_K.gguf",)) == {}


def test_types_that_apr_lacks_beside_blocks_that_it_keeps(tmp_path):
    """The APR of a Q4_1 with one Q6_K has F32 in most places, and its GGUF no file type of that name."""
    assert what_fails(tmp_path, FIXTURES / "llama-tiny256/gguf/Q4_1.gguf") == {}


def test_an_architecture_that_gguf_calls_otherwise(tmp_path):
    assert what_fails(tmp_path, ARCHITECTURES / "mistral/hf", NO_TOKENIZER) == {}


def test_rows_beyond_the_tokenizer(tmp_path):
    """As in gemma 3: llama.cpp's converter leaves out rows of the embedding that have no token."""
    model = tmp_path / "model"
    shutil.copytree(FIXTURES / "gemma3-tiny/hf", model)
    for path in model.iterdir():
        path.chmod(0o644)
    tensors, name = load_file(model / "model.safetensors"), "model.embed_tokens.weight"
    rows = tensors[name]
    tensors[name] = rows[np.arange(len(rows) + 8) % len(rows)]
    save_file(tensors, model / "model.safetensors")
    config = json.loads((model / "config.json").read_text())
    (model / "config.json").write_text(json.dumps(config | {"vocab_size": len(rows) + 8}))
    assert what_fails(tmp_path, model) == {}


@pytest.mark.parametrize("other", ["qwen3-tiny", "gpt2-tiny"])
def test_a_source_of_another_model_is_refused(tmp_path, other):
    source = FIXTURES / other / "gguf/bf16.gguf"
    with pytest.raises(UsageError, match=r"another model, .* and the run's model is qwen2: 0 of 26 tensors") as error:
        what_fails(tmp_path, FIXTURES / "qwen2-tiny/hf", sources=(source,))
    assert str(source) in str(error.value)


def test_a_value_of_the_model_that_cannot_be_used_is_no_conversions_fault(tmp_path):
    model = tmp_path / "model"
    shutil.copytree(FIXTURES / "qwen2-tiny/hf", model)
    config = json.loads((model / "config.json").read_text())
    (model / "config.json").chmod(0o644)
    (model / "config.json").write_text(json.dumps(config | {"rope_theta": "ten thousand"}))
    assert what_fails(tmp_path, model) == {
        "G0-INTEGRITY-CONFIG": "metadata: rope_theta: the value is not a finite number"
    }


@pytest.mark.slow
@pytest.mark.parametrize("model", sorted(FIXTURES.glob("*/hf")), ids=_name)
def test_every_checkpoint(tmp_path, model):
    assert what_fails(tmp_path, model) == {}


@pytest.mark.slow
@pytest.mark.parametrize("gguf", sorted(FIXTURES.glob("*/gguf/*.gguf")), ids=_name)
@pytest.mark.parametrize("is_root", [True, False], ids=["model", "source"])
def test_every_gguf(tmp_path, gguf, is_root):
    checkpoint = gguf.parents[1] / "hf"
    found = what_fails(tmp_path, gguf) if is_root else what_fails(tmp_path, checkpoint, sources=(gguf,))
    assert found == {}


@pytest.mark.slow
@pytest.mark.parametrize("model", sorted(ARCHITECTURES.glob("*/hf")), ids=_name)
def test_every_architecture(tmp_path, model):
    name = model.parent.name
    found = what_fails(tmp_path, model, NO_TOKENIZER)
    if name != CUT:
        assert all(LOST_IN_GGUF.get(name, "\0") in reason for reason in found.values()), found
    assert bool(found) is (name in LOST_IN_GGUF)
    assert not found or found.keys() == LOSES_IN_GGUF


@pytest.mark.slow
@pytest.mark.parametrize("gguf", sorted(ARCHITECTURES.glob("*/gguf/bf16.gguf")), ids=_name)
def test_every_architecture_from_gguf(tmp_path, gguf):
    assert what_fails(tmp_path, gguf, NO_TOKENIZER) == {}
