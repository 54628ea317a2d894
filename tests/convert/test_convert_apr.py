"""APR products, field by field with a parser of our own, held against what aprender writes."""

import json

import pytest
import torch
from apr_by_hand import parse
from fixture_files import FIXTURES
from safetensors import safe_open

from aprtui.formats.container import Format

S, G, A = Format.SAFETENSORS, Format.GGUF, Format.APR
# aprender writes the tokenizer's kind under another name, and copies of no use to any reader.
NOT_WRITTEN = {"tokenizer.model_type", "source_metadata"}


@pytest.mark.parametrize("name", ["qwen2-tiny", "llama-tiny256", "qwen3-tiny", "gemma3-tiny"])
def test_every_key_that_aprender_writes_is_there(product, name):
    found = parse(product(name, A).read_bytes()).metadata
    expected = parse((FIXTURES / f"apr/0.72.3/{name}/s-import.apr").read_bytes()).metadata
    # aprender states a head_dim that follows from other keys for gemma3, and a tied head for llama, which has its own.
    spurious = {"gemma3-tiny": {"head_dim"}, "llama-tiny256": {"tied_embeddings"}}.get(name, set())
    assert expected.keys() - found.keys() - spurious <= NOT_WRITTEN
    same = ("hidden_size", "num_layers", "num_heads", "num_kv_heads", "vocab_size", "intermediate_size")
    same += ("max_position_embeddings", "rms_norm_eps", "hf_architecture", "hf_model_type", "architecture")
    same += ("tokenizer.vocabulary", "tokenizer.merges", "tokenizer.bos_token_id", "tokenizer.eos_token_id")
    assert {key: found[key] for key in same} == {key: expected[key] for key in same}


@pytest.mark.parametrize("name", ["qwen2-tiny", "llama-tiny256", "qwen3-tiny", "gemma3-tiny"])
def test_what_aprender_forgets_is_right(product, name):
    found = parse(product(name, A).read_bytes()).metadata
    config = json.loads((product(name) / "config.json").read_text(encoding="utf-8"))
    assert found["rope_type"] == 2
    assert found["rope_theta"] == (500000.0 if name == "llama-tiny256" else 1000000.0)
    assert found["tokenizer.pre_type"] == ("llama-bpe" if name == "llama-tiny256" else "qwen2")
    assert len(found["tokenizer.token_type"]) == len(found["tokenizer.vocabulary"]) == config["vocab_size"]
    assert found["tokenizer.add_bos_token"] is (name == "llama-tiny256")
    assert found.get("tied_embeddings", False) is config["tie_word_embeddings"]
    if name == "gemma3-tiny":
        assert found["sliding_window"] == config["sliding_window"]
        assert found["layer_types"] == config["layer_types"]
        assert found["rope_local_base_freq"] == 10000.0


@pytest.mark.parametrize("chain", [(A,), (G, A)])
@pytest.mark.parametrize("name", ["qwen2-tiny", "llama-tiny256"])
def test_tensors_are_the_checkpoints_bytes_under_its_names(product, name, chain):
    parsed = parse(product(name, *chain).read_bytes())
    tied = name == "qwen2-tiny"
    with safe_open(product(name) / "model.safetensors", "pt") as checkpoint:
        names = set(checkpoint.keys())
        assert {record.name for record in parsed.records} == names | ({"lm_head.weight"} if tied else set())
        for record in parsed.records:
            if record.name not in names:
                assert (record.code, record.size, record.shape) == (0, 0, (512, 64))  # The placeholder for a tied head.
                continue
            tensor = checkpoint.get_tensor(record.name)
            assert record.shape == tuple(tensor.shape)
            if record.code == 30:  # Vectors that came through GGUF are F32.
                assert parsed.data(record.name) == tensor.view(torch.uint8).numpy().tobytes()
