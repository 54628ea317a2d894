import json
from dataclasses import replace
from pathlib import Path

import pytest
from fixture_files import FIXTURES
from model_files import container, hugging_face, with_metadata

from aprtui.compare.metadata import compare_metadata
from aprtui.core.outcomes import Level, Outcome
from aprtui.formats.metadata import read_config

EXPECTED = json.loads((FIXTURES / "apr/expected.json").read_text(encoding="utf-8"))
GOOD = sorted(path for path in FIXTURES.glob("*/gguf/*.gguf"))


def compare(source, target):
    return compare_metadata(read_config(source), read_config(target))


def subjects(result):
    return {finding.subject for finding in result.failures}


@pytest.mark.parametrize("path", GOOD, ids=lambda path: f"{path.parents[1].name}/{path.stem}")
def test_what_llama_cpp_converted_passes_both_ways(path):
    source, target = container(path.parents[1] / "hf"), container(path)
    for result in (compare(source, target), compare(target, source)):
        assert result.findings == ()
        assert result.outcome is Outcome.CORROBORATED
        assert result.checked >= 12


@pytest.mark.parametrize("row", EXPECTED, ids=lambda row: row["file"])
def test_what_apr_wrote(row):
    result = compare(
        container((FIXTURES / "apr" / row["reference"]).resolve()), container(FIXTURES / "apr" / row["file"])
    )
    found = subjects(result)
    assert set(row["fails"].get("metadata", [])) <= found
    if "metadata" in row["passes"]:
        assert found == set()
        assert result.outcome is Outcome.CORROBORATED


# A changed value of a source that the GGUF was not made from: (model, config.json edit, subject, expected, found).
CHANGES = [
    ("llama-tiny256", {"rope_theta": 10000.0}, "rope_theta", "10000", "500000"),
    ("llama-tiny256", {"num_key_value_heads": 4}, "num_key_value_heads", "4 heads", "2 heads"),
    ("llama-tiny256", {"rms_norm_eps": 1e-6}, "rms_norm_eps", "1e-06", "1e-05"),
    ("llama-tiny256", {"max_position_embeddings": 4096}, "max_position_embeddings", "4096 positions", "2048 positions"),
    ("llama-tiny256", {"intermediate_size": 1024}, "intermediate_size", "1024 elements", "512 elements"),
    ("llama-tiny256", {"tie_word_embeddings": None}, None, None, None),
    ("llama-tiny256", {"head_dim": 32}, "head_dim", "32 elements", "64 elements"),
    ("llama-tiny256", {"vocab_size": 511}, "vocab_size", "511 tokens", "512 tokens"),
    ("llama-tiny256", {"num_hidden_layers": 3}, "num_hidden_layers", "3 layers", "2 layers"),
    ("llama-tiny256", {"rope_scaling": {"type": "linear", "factor": 2.0}}, "rope_scaling", None, "missing"),
    ("llama-tiny256", {"rope_scaling": {"rope_type": "llama3", "factor": 8.0}}, "rope_scaling", None, "missing"),
    ("llama-tiny256", {"model_type": "mistral", "sliding_window": None}, None, None, None),
    ("llama-tiny256", {"model_type": "qwen2"}, "architecture", "qwen2", "llama"),
    ("qwen2-tiny", {"tie_word_embeddings": False}, "tie_word_embeddings", "false", "true"),
    ("gemma3-tiny", {"sliding_window": 512}, "sliding_window", "512 positions", "128 positions"),
    ("gemma3-tiny", {"query_pre_attn_scalar": 256}, "query_pre_attn_scalar", "256", "64"),
    ("gemma3-tiny", {"final_logit_softcapping": 30.0}, "final_logit_softcapping", "30", "missing"),
    ("phi3-tiny", {"sliding_window": 2047}, "sliding_window", "2047 positions", "missing"),
    ("gpt2-tiny", {"layer_norm_epsilon": 1e-6}, "rms_norm_eps", "1e-06", "1e-05"),
]


@pytest.mark.parametrize(("model", "edit", "subject", "shown"), [(*row[:3], row[3:]) for row in CHANGES])
def test_a_change_is_found_and_only_that(tmp_path, model, edit, subject, shown):
    config = json.loads((FIXTURES / model / "hf/config.json").read_text(encoding="utf-8"))
    source = hugging_face(tmp_path, config={**config, **edit})
    result = compare(source, container(FIXTURES / model / "gguf/bf16.gguf"))
    assert subjects(result) == ({subject} if subject else set())
    for finding in result.failures:
        assert finding.level is Level.METADATA
        assert finding.found == shown[1]
        assert shown[0] in (None, finding.expected)


@pytest.mark.parametrize(
    ("model", "key", "subject"),
    [
        ("llama-tiny256", "llama.rope.freq_base", "rope_theta"),
        ("llama-tiny256", "llama.attention.layer_norm_rms_epsilon", "rms_norm_eps"),
        ("llama-tiny256", "llama.context_length", "max_position_embeddings"),
        ("llama-tiny256", "llama.attention.head_count_kv", "num_key_value_heads"),
        ("qwen3-tiny", "qwen3.attention.key_length", "head_dim"),
        ("qwen2-tiny", "tokenizer.ggml.eos_token_id", "eos_token_id"),
        ("gemma3-tiny", "gemma3.attention.sliding_window", "sliding_window"),
        ("gpt2-tiny", "gpt2.attention.layer_norm_epsilon", "rms_norm_eps"),
    ],
)
def test_a_lost_key_is_found_and_only_that(model, key, subject):
    source, good = container(FIXTURES / model / "hf"), container(FIXTURES / model / "gguf/bf16.gguf")
    result = compare(source, with_metadata(good, **{key.replace(".", "__"): None}))
    assert subjects(result) == {subject}


@pytest.mark.parametrize(
    ("model", "key"), [("llama-tiny256", "llama.vocab_size"), ("phi3-tiny", "phi3.rope.freq_base")]
)
def test_a_lost_key_whose_default_is_right_is_no_finding(model, key):
    source, good = container(FIXTURES / model / "hf"), container(FIXTURES / model / "gguf/bf16.gguf")
    assert compare(source, with_metadata(good, **{key.replace(".", "__"): None})).findings == ()


def test_an_epsilon_under_the_wrong_key_is_lost():
    source, good = container(FIXTURES / "gpt2-tiny/hf"), container(FIXTURES / "gpt2-tiny/gguf/bf16.gguf")
    moved = with_metadata(
        good, gpt2__attention__layer_norm_epsilon=None, gpt2__attention__layer_norm_rms_epsilon=9.999999747378752e-06
    )
    assert subjects(compare(source, moved)) == {"rms_norm_eps"}


@pytest.mark.parametrize(
    ("names", "rope_type", "passes"), [("blk", 0, True), ("blk", 2, False), ("hf", 2, True), ("hf", 0, False)]
)
def test_rope_type_must_fit_the_row_order_of_the_names(names, rope_type, passes):
    file = "g-bf16-import.apr" if names == "blk" else "s-import-int8.apr"
    target = with_metadata(
        container(FIXTURES / "apr/0.72.3/llama-tiny256" / file), rope_type=rope_type, model__rope_type=None
    )
    result = compare(container(FIXTURES / "llama-tiny256/hf"), target)
    assert subjects(result) == (set() if passes else {"rope_type"})


def test_layers_in_two_row_orders_fit_no_rope_type():
    target = container(FIXTURES / "apr/0.72.3/llama-tiny256/g-bf16-import.apr")
    first, *rest = [tensor for tensor in target.tensors if "attn_q" in tensor.name]
    renamed = replace(first, name="model.layers.0.self_attn.q_proj.weight")
    mixed = replace(target, tensors=tuple(renamed if tensor is first else tensor for tensor in target.tensors))
    assert rest
    assert subjects(compare(container(FIXTURES / "llama-tiny256/hf"), mixed)) == {"rope_type"}


def test_one_of_several_ids_is_enough_for_a_format_with_room_for_one(tmp_path):
    config = json.loads((FIXTURES / "llama-tiny256/hf/config.json").read_text(encoding="utf-8"))
    source = hugging_face(tmp_path / "a", config={**config, "eos_token_id": [510, 511]})
    result = compare(source, container(FIXTURES / "llama-tiny256/gguf/bf16.gguf"))
    assert result.outcome is Outcome.CORROBORATED
    assert [finding.subject for finding in result.findings] == ["eos_token_id"]
    copy = hugging_face(tmp_path / "b", config=config)
    assert subjects(compare(source, copy)) == {"eos_token_id"}


def test_what_a_format_cannot_hold_is_not_checked(tmp_path):
    config = json.loads((FIXTURES / "llama-tiny256/hf/config.json").read_text(encoding="utf-8"))
    source = hugging_face(tmp_path, config={**config, "model_type": "mistral", "sliding_window": 1024})
    result = compare(source, container(FIXTURES / "llama-tiny256/gguf/bf16.gguf"))
    assert result.failures == ()
    assert "sliding_window: GGUF has no key for it" in result.not_checked


ARCHITECTURES = sorted(path for path in (Path(__file__).parents[1] / "data/architectures").iterdir() if path.is_dir())
# These pairs have no tokenizer, so GGUF has no place for bos and eos.
NO_TOKENIZER = {"bos_token_id", "eos_token_id"}
# What llama.cpp's converter does not take from these models: it writes 2048 positions for falcon, 4 * hidden_size for
# phi, and llama.cpp derives gemma's attention scale from head_dim and always normalises qwen3moe's experts.
NOT_TAKEN = {
    "falcon": {"max_position_embeddings"},
    "falcon-new": {"max_position_embeddings"},
    "phi": {"intermediate_size"},
    "gemma2": {"query_pre_attn_scalar"},
    "gemma3-cut": {"query_pre_attn_scalar"},
    "gemma3-f16": {"query_pre_attn_scalar"},
    "qwen3_moe": {"norm_topk_prob"},
}


@pytest.mark.parametrize("path", ARCHITECTURES, ids=lambda path: path.name)
def test_every_architecture_that_llama_cpp_converted(path):
    result = compare(container(path / "hf"), container(path / "gguf/bf16.gguf"))
    assert subjects(result) == NO_TOKENIZER | NOT_TAKEN.get(path.name, set())


def rope(tmp_path, scaling, tensors=(), **keys):
    """Subjects and what was not checked for a source with rope scaling and a GGUF with these keys and tensors."""
    config = json.loads((FIXTURES / "llama-tiny256/hf/config.json").read_text(encoding="utf-8"))
    source = hugging_face(tmp_path, config={**config, "rope_scaling": scaling})
    good = container(FIXTURES / "llama-tiny256/gguf/bf16.gguf")
    added = tuple(replace(good.tensors[0], name=name) for name in tensors)
    keys = {f"llama__rope__scaling__{name}": value for name, value in keys.items()}
    result = compare(source, with_metadata(replace(good, tensors=(*good.tensors, *added)), **keys))
    return subjects(result), [reason for reason in result.not_checked if "rope" in reason]


YARN = {"type": "yarn", "factor": 4.0, "original_max_position_embeddings": 512, "beta_fast": 32.0}
LLAMA3 = {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0}


def test_rope_scaling_in_gguf(tmp_path):
    stated = {"type": "yarn", "factor": 4.0, "original_context_length": 512, "yarn_beta_fast": 32.0}
    assert rope(tmp_path, YARN, **stated) == (set(), [])
    assert rope(tmp_path, {**YARN, "mscale": 1.0}, **stated)[1] == ["rope_scaling: mscale: GGUF has no key for them"]
    assert rope(tmp_path, {"type": "linear", "factor": 2.0}, type="linear", factor=2.0) == (set(), [])
    lost, reasons = rope(tmp_path, LLAMA3, tensors=["rope_freqs.weight"])
    assert (lost, len(reasons)) == (set(), 1)
    assert rope(tmp_path, {"type": "dynamic", "factor": 2.0}) == (set(), ["rope_scaling: GGUF has no type dynamic"])


def test_rope_scaling_that_differs_in_gguf(tmp_path):
    stated = {"type": "yarn", "factor": 4.0, "original_context_length": 512, "yarn_beta_fast": 32.0}
    for wrong in ({"factor": 2.0}, {"type": "linear"}, {"original_context_length": None}, {"yarn_beta_fast": 16.0}):
        assert rope(tmp_path, YARN, **{**stated, **wrong})[0] == {"rope_scaling"}
    assert rope(tmp_path, LLAMA3)[0] == {"rope_scaling"}
    assert rope(tmp_path, LLAMA3, type="linear", factor=8.0)[0] == {"rope_scaling"}
    assert rope(tmp_path, None, type="linear", factor=2.0)[0] == {"rope_scaling"}


def test_no_metadata_on_either_side(tmp_path):
    bare, good = hugging_face(tmp_path), container(FIXTURES / "qwen2-tiny/hf")
    assert subjects(compare(good, bare)) == {"missing"}
    skipped = compare(bare, good)
    assert (skipped.outcome, skipped.findings) == (Outcome.SKIPPED, ())
    assert skipped.not_checked


def test_a_damaged_value_fails_the_level(tmp_path):
    config = json.loads((FIXTURES / "qwen2-tiny/hf/config.json").read_text(encoding="utf-8"))
    target = hugging_face(tmp_path, config={**config, "rope_theta": "1e6"})
    result = compare(container(FIXTURES / "qwen2-tiny/hf"), target)
    assert subjects(result) == {"rope_theta"}
    assert [finding.found for finding in result.failures] == ["'1e6'"]
