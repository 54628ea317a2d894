"""config.json and generation_config.json, built from canonical metadata and from what the tensors show.

Keys have the names of transformers 4, which version 5 understands too. What a configuration class would assume and
the model does not have is written as null.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from math import prod
from typing import Any

from aprtui.convert.builtin.architecture_names import activation, class_name, config_key
from aprtui.convert.builtin.facts import ModelFacts, short_number
from aprtui.convert.builtin.tensors import ProductTensor
from aprtui.core.dtypes import DType
from aprtui.formats.metadata.architectures import WITHOUT_ROPE, class_defaults
from aprtui.formats.metadata.keys import KEYS

_TORCH_DTYPES = {DType.F32: "float32", DType.F16: "float16", DType.BF16: "bfloat16", DType.F64: "float64"}
_BY_HAND = frozenset({"rope_scaling", "partial_rotary_factor", "bos_token_id", "eos_token_id"})
_WHOLE = frozenset({"query_pre_attn_scalar"})
# Every layer slides here; transformers takes a Mistral that lists its layers for another model.
_ALL_SLIDE = frozenset({"mistral", "mixtral", "phi3", "starcoder2"})
_WINDOW_SWITCHED = frozenset({"qwen2", "qwen3", "qwen2_moe", "qwen3_moe"})

# Flags that a configuration needs and no other format states: the end of a tensor's name shows them.
_SHOWN_BY_TENSORS: dict[str, tuple[tuple[str, str], ...]] = {
    **dict.fromkeys(
        ("gemma", "gemma2", "gemma3_text", "olmo2", "qwen3", "qwen3_moe"), (("attention_bias", "q_proj.bias"),)
    ),
    **dict.fromkeys(("llama", "granite"), (("attention_bias", "q_proj.bias"), ("mlp_bias", "mlp.up_proj.bias"))),
    "falcon": (("bias", "dense.bias"), ("new_decoder_architecture", "ln_attn.weight")),
    "phi": (("qk_layernorm", "q_layernorm.weight"),),
    "stablelm": (("use_qkv_bias", "q_proj.bias"), ("qk_layernorm", "q_layernorm.norms.0.weight")),
    "starcoder2": (("use_bias", "q_proj.bias"),),
}
# What llama.cpp's and apr's code for an architecture always does.
_CONSTANT: dict[str, dict[str, Any]] = {
    "falcon": {"alibi": False},
    "qwen2_moe": {"decoder_sparse_step": 1, "mlp_only_layers": []},
    "qwen3_moe": {"decoder_sparse_step": 1, "mlp_only_layers": []},
}


def config_json(facts: ModelFacts, tensors: Sequence[ProductTensor]) -> dict[str, Any]:
    """The object of config.json."""
    model_type = facts.architecture
    config: dict[str, Any] = {}
    if (name := class_name(model_type)) is not None:
        config["architectures"] = [name]
    config["model_type"] = model_type
    for key in KEYS:
        value = facts.stated(key)
        if key.hf and key.name not in _BY_HAND and value is not None:
            if key.name in _WHOLE and isinstance(value, float) and value.is_integer():
                value = int(value)
            config[config_key(model_type, key.name)] = _json(value)
    if (act := activation(model_type)) is not None:
        config.setdefault(config_key(model_type, "hidden_act"), act)
    config |= _rope(facts)
    config |= _token_ids(facts)
    config = _CONSTANT.get(model_type, {}) | config
    config |= _flags(facts, [tensor.name for tensor in tensors])
    if model_type in _ALL_SLIDE and set(config.get("layer_types", ())) == {"sliding_attention"}:
        del config["layer_types"]
    for key_name in class_defaults(model_type) or {}:
        absent = facts.values.get(key_name) is None and not (key_name.startswith("rope") and model_type in WITHOUT_ROPE)
        if absent:
            config.setdefault(config_key(model_type, key_name), None)
    config["torch_dtype"] = _torch_dtype(tensors)
    return config


def generation_config_json(facts: ModelFacts) -> dict[str, Any]:
    """The object of generation_config.json: the ids that begin, end and fill a text."""
    known = {name: value for name, value in _token_ids(facts).items() if value is not None}
    return {"_from_model_config": True, **known}


def _json(value: object) -> object:
    if isinstance(value, float):
        return short_number(value)
    return [_json(item) for item in value] if isinstance(value, tuple) else value


def _rope(facts: ModelFacts) -> dict[str, Any]:
    if facts.architecture in WITHOUT_ROPE:
        return {}
    found: dict[str, Any] = {}
    assumed = (class_defaults(facts.architecture) or {}).get("partial_rotary_factor", 1.0)
    partial = facts.values.get("partial_rotary_factor", 1.0)
    if partial != 1.0 or assumed != 1.0:
        found["partial_rotary_factor"] = partial
    scaling: Mapping[str, Any] | None = facts.values.get("rope_scaling")
    if scaling is None:
        return found
    fields = {name: _json(value) for name, value in scaling.items()}
    if facts.architecture == "phi3":
        # Phi3Config takes exactly these three, and the original context beside them.
        original = fields.get("original_max_position_embeddings")
        if original is not None:
            found["original_max_position_embeddings"] = original
        fields = {"type": fields["rope_type"]} | {
            name: fields[name] for name in ("short_factor", "long_factor") if name in fields
        }
    return {**found, "rope_scaling": fields}


def _token_ids(facts: ModelFacts) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name in ("bos_token_id", "eos_token_id"):
        ids = facts.values.get(name)
        found[name] = None if not ids else ids[0] if len(ids) == 1 else list(ids)
    found["pad_token_id"] = facts.tokenizer.special_ids.get("pad") if facts.tokenizer is not None else None
    return found


def _flags(facts: ModelFacts, names: Sequence[str]) -> dict[str, Any]:
    """Keys that follow from which tensors there are, and from head counts."""

    def present(ending: str) -> bool:
        return any(name.endswith(ending) for name in names)

    model_type = facts.architecture
    found: dict[str, Any] = {key: present(ending) for key, ending in _SHOWN_BY_TENSORS.get(model_type, ())}
    one_kv_head = facts.values.get("num_key_value_heads") == 1
    if model_type == "gpt_bigcode":
        found["multi_query"] = one_kv_head
    if model_type == "falcon":
        grouped = not one_kv_head and facts.values.get("num_key_value_heads") != facts.values["num_attention_heads"]
        two_norms = found["new_decoder_architecture"]
        found["new_decoder_architecture"] = two_norms or grouped
        found["num_ln_in_parallel_attn"] = 2 if two_norms else 1 if grouped else None
        found["multi_query"] = one_kv_head or grouped
        found["parallel_attn"] = not present("post_attention_layernorm.weight")
    if model_type == "stablelm":
        found["use_parallel_residual"] = not present("post_attention_layernorm.weight")
    if model_type in _WINDOW_SWITCHED:
        found["use_sliding_window"] = bool(facts.values.get("sliding_window"))
    return found


def _torch_dtype(tensors: Sequence[ProductTensor]) -> str:
    """The type of most elements."""
    sizes = Counter[str]()
    for tensor in tensors:
        if tensor.dtype in _TORCH_DTYPES:
            sizes[_TORCH_DTYPES[tensor.dtype]] += prod(tensor.view.shape)
    return sizes.most_common(1)[0][0] if sizes else "float32"
