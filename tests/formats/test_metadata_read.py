import json

import numpy as np
import pytest
from fixture_files import FIXTURES
from model_files import container, hugging_face, with_metadata

from aprtui.formats.metadata import read_config
from aprtui.formats.metadata.keys import KEYS

MODELS = ("llama-tiny256", "qwen2-tiny", "qwen3-tiny", "qwen3-sharded-tiny", "gemma3-tiny", "phi3-tiny", "gpt2-tiny")
QWEN2 = {
    "model_type": "qwen2",
    "hidden_size": 64,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "num_hidden_layers": 2,
    "sliding_window": 128,
}


def values(tmp_path, **config):
    return read_config(hugging_face(tmp_path / "hf", config=config)).values


@pytest.mark.parametrize("model", MODELS)
def test_config_json_and_gguf_say_the_same(model):
    from_config = read_config(container(FIXTURES / model / "hf"))
    from_gguf = read_config(container(FIXTURES / model / "gguf/bf16.gguf"))
    shared = from_config.values.keys() & from_gguf.values.keys()
    assert {"hidden_size", "num_hidden_layers", "head_dim", "vocab_size", "rms_norm_eps", "bos_token_id"} <= shared
    for key in shared:
        expected, found = from_config.values[key], from_gguf.values[key]
        assert found == (pytest.approx(expected, rel=1e-7) if isinstance(expected, float) else expected), key
    assert from_config.architecture == from_gguf.architecture
    assert from_config.problems == from_gguf.problems == ()


@pytest.mark.parametrize("version", ["0.72.3/qwen2-tiny/s-import.apr", "0.72.3/qwen2-tiny/g-f32-import.apr"])
def test_both_importers_of_apr_are_read(version):
    config = read_config(container(FIXTURES / "apr" / version))
    expected = read_config(container(FIXTURES / "qwen2-tiny/hf")).values
    for key in ("hidden_size", "num_key_value_heads", "rope_theta", "eos_token_id", "tie_word_embeddings"):
        assert config.values[key] == expected[key]
        assert key in config.explicit
    assert config.values["rope_type"] == 2


def test_raw_names_are_kept():
    origin = read_config(container(FIXTURES / "gpt2-tiny/hf")).origin
    assert origin["hidden_size"] == "n_embd"
    assert origin["rms_norm_eps"] == "layer_norm_epsilon"
    assert (
        read_config(container(FIXTURES / "gpt2-tiny/gguf/bf16.gguf")).origin["hidden_size"] == "gpt2.embedding_length"
    )


def test_gpt2_without_n_inner_and_rope():
    config = read_config(container(FIXTURES / "gpt2-tiny/hf"))
    assert config.values["intermediate_size"] == 4 * 256
    assert not {"rope_theta", "partial_rotary_factor"} & config.values.keys()


def test_rope_parameters_of_transformers_5():
    values = read_config(container(FIXTURES / "gemma3-tiny/hf")).values
    assert (values["rope_theta"], values["rope_local_base_freq"]) == (1e6, 10000.0)
    assert "rope_scaling" not in values


@pytest.mark.parametrize(
    ("scaling", "expected"),
    [
        ({"type": "linear", "factor": 2.0}, {"rope_type": "linear", "factor": 2.0}),
        ({"rope_type": "default"}, None),
        (
            {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0},
            {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0},
        ),
        ({"type": "su", "long_factor": [1, 2.5]}, {"rope_type": "longrope", "long_factor": (1.0, 2.5)}),
        (
            {"type": "yarn", "factor": 4.0},
            {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 2048},
        ),
    ],
)
def test_rope_scaling_in_one_form(tmp_path, scaling, expected):
    flat = values(tmp_path / "4", model_type="llama", max_position_embeddings=2048, rope_scaling=scaling)
    nested = values(
        tmp_path / "5", model_type="llama", max_position_embeddings=2048, rope_parameters={"rope_theta": 5.0, **scaling}
    )
    assert flat.get("rope_scaling") == nested.get("rope_scaling") == expected
    assert (flat["rope_theta"], nested["rope_theta"]) == (10000.0, 5.0)


def test_a_switched_off_window_is_none(tmp_path):
    assert "sliding_window" not in values(tmp_path / "a", **QWEN2, use_sliding_window=False)
    on = values(tmp_path / "b", **QWEN2, use_sliding_window=True, max_window_layers=1)
    assert (on["sliding_window"], on["layer_types"]) == (128, ("full_attention", "sliding_attention"))
    full = values(tmp_path / "c", **QWEN2, use_sliding_window=True, layer_types=["full_attention"] * 2)
    assert "sliding_window" not in full


def test_gemma3_alternates_windows_by_default(tmp_path):
    config = {"model_type": "gemma3_text", "num_hidden_layers": 7, "sliding_window": 512}
    assert values(tmp_path, **config)["layer_types"] == (
        *["sliding_attention"] * 5,
        "full_attention",
        "sliding_attention",
    )


def test_text_config_is_the_model(tmp_path):
    nested = {"model_type": "gemma3_text", "hidden_size": 32, "num_hidden_layers": 1}
    config = read_config(
        hugging_face(tmp_path, config={"model_type": "gemma3", "text_config": nested, "hidden_size": 9})
    )
    assert (config.architecture, config.values["hidden_size"]) == ("gemma3_text", 32)


def test_ids_of_all_files_count(tmp_path):
    model = hugging_face(
        tmp_path,
        config={"model_type": "llama", "bos_token_id": 1, "eos_token_id": [2, 5]},
        generation_config={"eos_token_id": 7},
        tokenizer_config={"eos_token": {"content": "<|eot|>"}, "added_tokens_decoder": {"9": {"content": "<|eot|>"}}},
    )
    assert read_config(model).values["eos_token_id"] == (2, 5, 7, 9)


def test_no_config_is_missing(tmp_path):
    assert read_config(hugging_face(tmp_path)).is_missing
    assert not read_config(container(FIXTURES / "qwen2-tiny/hf")).is_missing


@pytest.mark.parametrize("value", ["64", [64, 65], {"a": 1}, True, -1, 1.5, 1 << 80, float("nan")])
def test_a_hostile_number_is_a_problem_not_a_crash(tmp_path, value):
    config = read_config(hugging_face(tmp_path, config={**QWEN2, "hidden_size": value}))
    assert [problem.subject for problem in config.problems] == ["hidden_size"]
    assert "hidden_size" not in config.explicit


@pytest.mark.parametrize(
    "key", [key for key in KEYS if key.hf and key.name != "rope_scaling"], ids=lambda key: key.name
)
@pytest.mark.parametrize("value", [{"deep": [[]]}, [None], "\x1b[31m", float("inf")])
def test_no_key_crashes_on_any_type(tmp_path, key, value):
    read_config(
        hugging_face(tmp_path, config={**QWEN2, key.hf[0]: value, "rope_parameters": value, "text_config": value})
    )


@pytest.mark.parametrize("text", ["{", "[1]", "\x00", "[" * 200_000])
def test_a_config_that_is_no_object_is_a_problem(tmp_path, text):
    config = read_config(hugging_face(tmp_path, config=text))
    assert config.is_missing
    assert [problem.subject for problem in config.problems] == ["config.json"]


def test_hostile_values_in_a_gguf():
    good = container(FIXTURES / "gemma3-tiny/gguf/bf16.gguf")
    damaged = with_metadata(
        good,
        gemma3__embedding_length="wide",
        gemma3__attention__head_count=np.array([4, 8], np.int32),
        gemma3__rope__freq_base=float("nan"),
        gemma3__attention__sliding_window_pattern="always",
        gemma3__rope__dimension_count=float("inf"),
    )
    config = read_config(damaged)
    assert {problem.subject for problem in config.problems} >= {"hidden_size", "rope_theta"}
    assert config.values["num_attention_heads"] == (4, 8)


def test_apr_fields_that_contradict_their_duplicates():
    good = container(FIXTURES / "apr/0.72.3/qwen2-tiny/g-f32-import.apr")
    assert read_config(good).problems == ()
    damaged = with_metadata(good, model__num_heads=8)
    assert [problem.subject for problem in read_config(damaged).problems] == ["num_attention_heads"]
    assert read_config(damaged).values["num_attention_heads"] == 4


@pytest.mark.parametrize("alias", ["n_kv_heads", "num_key_value_heads", "model.num_kv_heads"])
def test_aliases_of_apr(alias):
    good = container(FIXTURES / "apr/0.72.3/qwen2-tiny/s-import.apr")
    renamed = with_metadata(good, num_kv_heads=None, **{alias.replace(".", "__"): 2})
    assert read_config(renamed).values["num_key_value_heads"] == 2
    assert read_config(renamed).origin["num_key_value_heads"] == alias


def test_config_json_with_duplicate_keys_takes_the_last(tmp_path):
    text = json.dumps(QWEN2)[:-1] + ', "hidden_size": 96}'
    assert read_config(hugging_face(tmp_path, config=text)).values["hidden_size"] == 96
