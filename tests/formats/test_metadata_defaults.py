"""Defaults of transformers' configuration classes, from transformers itself."""

import pytest
import transformers
from model_files import hugging_face

from aprtui.formats.metadata import read_config
from aprtui.formats.metadata.architectures import (
    class_defaults,
    gguf_name_of,
    is_gguf_architecture,
    model_type_of_gguf,
)

ARCHITECTURES = [
    *("cohere", "falcon", "gemma", "gemma2", "gemma3_text", "gpt2", "gpt_bigcode", "gpt_neox", "granite", "llama"),
    *("mistral", "mixtral", "olmo2", "phi", "phi3", "qwen2", "qwen2_moe", "qwen3", "qwen3_moe", "stablelm"),
    "starcoder2",
]
EPSILONS = ("rms_norm_eps", "layer_norm_eps", "layer_norm_epsilon", "norm_epsilon")


def ids(value):
    return None if value is None else (value,) if isinstance(value, int) else tuple(sorted(value))


def expected(architecture):
    config = transformers.AutoConfig.for_model(architecture).to_dict()
    parameters = config.get("rope_parameters") or {}
    whole = parameters.get("full_attention", parameters)
    window = config.get("sliding_window") if config.get("use_sliding_window", True) else None
    return {
        "tie_word_embeddings": config["tie_word_embeddings"],
        "rms_norm_eps": next(config[name] for name in EPSILONS if name in config),
        "rope_theta": whole.get("rope_theta"),
        "partial_rotary_factor": whole.get("partial_rotary_factor", 1.0) if whole else None,
        "bos_token_id": ids(config["bos_token_id"]),
        "eos_token_id": ids(config["eos_token_id"]),
        "max_position_embeddings": config.get("max_position_embeddings", config.get("n_positions")),
        "sliding_window": window,
        "attn_logit_softcapping": config.get("attn_logit_softcapping"),
        "final_logit_softcapping": config.get("final_logit_softcapping"),
        "query_pre_attn_scalar": config.get("query_pre_attn_scalar"),
        "norm_topk_prob": config.get("norm_topk_prob"),
    }


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_config_that_says_nothing(tmp_path, architecture):
    layers = {"num_hidden_layers": 2, "n_layer": 2}
    found = read_config(hugging_face(tmp_path, config={"model_type": architecture, **layers})).values
    for key, value in expected(architecture).items():
        assert found.get(key) == value, key


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_key_value_heads_that_are_not_stated(tmp_path, architecture):
    heads = {"num_attention_heads": 8, "n_head": 8, "hidden_size": 512, "n_embd": 512}
    config = transformers.AutoConfig.for_model(architecture, num_attention_heads=8, hidden_size=512)
    # falcon's new decoder has its own count; the old one has one head for all, which the class states as a flag.
    stated = 1 if architecture == "falcon" else getattr(config, "num_key_value_heads", None)
    found = read_config(hugging_face(tmp_path, config={"model_type": architecture, **heads})).values
    assert found["num_key_value_heads"] == (8 if stated is None or architecture in FOLLOW_HEADS else stated)


# These classes state Llama's 32 where nothing is given at all, and the number of heads where the key is null.
FOLLOW_HEADS = {"cohere", "granite", "llama", "olmo2", "phi", "phi3", "gpt_neox"}


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_names_of_gguf(architecture):
    name = gguf_name_of(architecture)
    assert is_gguf_architecture(name)
    assert class_defaults(architecture) is not None
    if name != "llama":
        assert model_type_of_gguf(name) == architecture
