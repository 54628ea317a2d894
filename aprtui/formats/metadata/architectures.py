"""Architectures: their names in GGUF, what transformers assumes of each, what llama.cpp makes of each.

Class defaults are those of transformers' configuration classes (a test compares them); GGUF names are those that
llama.cpp's converter writes; the pairing of rotated rows is llama.cpp's `llama_model_rope_type`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gguf.constants import MODEL_ARCH_NAMES

from aprtui.formats.names import RowOrder

# model_type of config.json -> general.architecture, where they differ. Several models may share one in GGUF.
_GGUF_NAMES = {
    "cohere": "command-r",
    "deepseek_v2": "deepseek2",
    "deepseek_v3": "deepseek2",
    "ernie4_5_moe": "ernie4_5-moe",
    "gemma3_text": "gemma3",
    "gemma3n_text": "gemma3n",
    "glm4_moe": "glm4moe",
    "gpt_bigcode": "starcoder",
    "gpt_neox": "gptneox",
    "gpt_oss": "gpt-oss",
    "granitemoehybrid": "granitehybrid",
    "mistral": "llama",
    "mixtral": "llama",
    "olmo3": "olmo2",
    "phi": "phi2",
    "phimoe": "phimoe",
    "qwen2_moe": "qwen2moe",
    "qwen3_moe": "qwen3moe",
    "qwen3_next": "qwen3next",
    "smollm": "llama",
}
_MODEL_TYPES = {
    gguf: model_type
    for model_type, gguf in _GGUF_NAMES.items()
    if gguf != "llama" and model_type not in ("deepseek_v2", "olmo3")
}

# Wrappers of multimodal models whose text part is the model that converters take.
_TEXT_PARTS = {"gemma3": "gemma3_text", "gemma3n": "gemma3n_text"}

# Architectures of GGUF that use layer norm with mean and bias: their epsilon has a key of its own there.
LAYER_NORM = frozenset(
    {"gpt2", "starcoder", "starcoder2", "phi2", "falcon", "stablelm", "mpt", "bloom", "gptneox", "command-r", "cohere2"}
    | {"olmo", "gptj", "codeshell", "nemotron", "orion", "persimmon", "bert", "jais"}
)

WITHOUT_ROPE = frozenset({"gpt2", "gpt_bigcode", "mpt", "bloom", "jais"})

# GGUF architectures that rotate adjacent pairs of rows; all others in `_CLASS_DEFAULTS` rotate half-split pairs.
_ADJACENT_IN_GGUF = frozenset({"llama", "granite", "internlm2", "olmo", "command-r"})
# transformers' own code rotates half-split pairs, except in these.
_ADJACENT_IN_HF = frozenset({"cohere"})

_WINDOWED = {"sliding_window": 4096}
_GEMMA = {"tie_word_embeddings": True, "head_dim": 256, "bos_token_id": (2,), "eos_token_id": (1,)}

# What a configuration class assumes for keys that config.json leaves out, beyond `_COMMON`.
_COMMON: Mapping[str, Any] = {"tie_word_embeddings": False, "rope_theta": 10000.0, "rms_norm_eps": 1e-6}
_CLASS_DEFAULTS: Mapping[str, Mapping[str, Any]] = {
    "cohere": {"tie_word_embeddings": True, "rope_theta": 500000.0, "rms_norm_eps": 1e-5, "bos_token_id": (5,),
               "eos_token_id": (255001,), "max_position_embeddings": 8192},
    "falcon": {"tie_word_embeddings": True, "rms_norm_eps": 1e-5, "max_position_embeddings": 2048,
               "bos_token_id": (11,), "eos_token_id": (11,)},
    "gemma": {**_GEMMA, "num_key_value_heads": 16, "max_position_embeddings": 8192},
    "gemma2": {**_GEMMA, **_WINDOWED, "num_key_value_heads": 4, "max_position_embeddings": 8192,
               "attn_logit_softcapping": 50.0, "final_logit_softcapping": 30.0, "query_pre_attn_scalar": 256.0},
    "gemma3_text": {**_GEMMA, **_WINDOWED, "num_key_value_heads": 4, "max_position_embeddings": 131072,
                    "rope_theta": 1e6, "rope_local_base_freq": 10000.0, "query_pre_attn_scalar": 256.0,
                    "hidden_size": 2304, "num_hidden_layers": 26, "num_attention_heads": 8,
                    "intermediate_size": 9216, "vocab_size": 262208},
    "gpt2": {"tie_word_embeddings": True, "rms_norm_eps": 1e-5, "max_position_embeddings": 1024,
             "bos_token_id": (50256,), "eos_token_id": (50256,)},
    "gpt_bigcode": {"tie_word_embeddings": True, "rms_norm_eps": 1e-5, "max_position_embeddings": 1024,
                    "num_key_value_heads": 1, "bos_token_id": (50256,), "eos_token_id": (50256,)},
    "gpt_neox": {"rms_norm_eps": 1e-5, "partial_rotary_factor": 0.25, "max_position_embeddings": 2048,
                 "bos_token_id": (0,), "eos_token_id": (2,)},
    "granite": {"max_position_embeddings": 2048, "bos_token_id": (1,), "eos_token_id": (2,)},
    # Its class is code beside its checkpoints (configuration_internlm2.py).
    "internlm2": {"max_position_embeddings": 2048, "bos_token_id": (1,), "eos_token_id": (2,)},
    "llama": {"max_position_embeddings": 2048, "bos_token_id": (1,), "eos_token_id": (2,)},
    "mistral": {**_WINDOWED, "num_key_value_heads": 8, "max_position_embeddings": 131072, "bos_token_id": (1,),
                "eos_token_id": (2,)},
    "mixtral": {"rope_theta": 1e6, "rms_norm_eps": 1e-5, "num_key_value_heads": 8, "max_position_embeddings": 131072,
                "bos_token_id": (1,), "eos_token_id": (2,), "num_experts": 8, "num_experts_per_tok": 2},
    "olmo": {"rms_norm_eps": 1e-5, "max_position_embeddings": 2048, "eos_token_id": (50279,)},
    "olmo2": {"rms_norm_eps": 1e-5, "max_position_embeddings": 2048, "eos_token_id": (50279,)},
    "phi": {"rms_norm_eps": 1e-5, "partial_rotary_factor": 0.5, "max_position_embeddings": 2048,
            "bos_token_id": (1,), "eos_token_id": (2,)},
    "phi3": {"rms_norm_eps": 1e-5, "max_position_embeddings": 4096, "bos_token_id": (1,), "eos_token_id": (32000,)},
    "qwen2": {"num_key_value_heads": 32, "max_position_embeddings": 32768},
    "qwen2_moe": {"num_key_value_heads": 16, "max_position_embeddings": 32768, "norm_topk_prob": False},
    "qwen3": {"num_key_value_heads": 32, "max_position_embeddings": 32768, "head_dim": 128},
    "qwen3_moe": {"num_key_value_heads": 4, "max_position_embeddings": 32768, "norm_topk_prob": False},
    "stablelm": {"rms_norm_eps": 1e-5, "partial_rotary_factor": 0.25, "num_key_value_heads": 32,
                 "max_position_embeddings": 4096, "bos_token_id": (0,), "eos_token_id": (0,)},
    "starcoder2": {"tie_word_embeddings": True, "rms_norm_eps": 1e-5, "num_key_value_heads": 2,
                   "max_position_embeddings": 4096, "bos_token_id": (50256,), "eos_token_id": (50256,)},
}  # fmt: skip

NORMALISES_EXPERTS: Mapping[str, bool] = {"qwen2moe": False, "qwen3moe": True}
"""Whether llama.cpp's graph of a GGUF architecture normalises the weights of the chosen experts (`build_moe_ffn`), for
architectures that have no key for it."""

# Every how many layers one looks at all positions, in llama.cpp's models (`set_swa_pattern`).
SLIDING_PERIODS = {"gemma2": 2, "gemma3": 6}


def gguf_name_of(model_type: str) -> str:
    """`general.architecture` for a model_type; an unknown one stays itself."""
    return _GGUF_NAMES.get(model_type, model_type)


def model_type_of_gguf(gguf_name: str) -> str:
    """The model_type that a GGUF architecture stands for; "llama" stands for mistral and mixtral too."""
    return _MODEL_TYPES.get(gguf_name, gguf_name)


def text_model_type(model_type: str) -> str:
    """The text model inside a multimodal model_type."""
    return _TEXT_PARTS.get(model_type, model_type)


def is_gguf_architecture(name: str) -> bool:
    """Whether gguf's own list has the architecture."""
    return name in MODEL_ARCH_NAMES.values()


def class_defaults(model_type: str | None) -> Mapping[str, Any] | None:
    """What transformers assumes for keys that config.json leaves out, or None for an unknown architecture."""
    known = _CLASS_DEFAULTS.get(model_type or "")
    return None if known is None else {**_COMMON, **known}


def row_pairing(model_type: str, order: RowOrder) -> int | None:
    """How the rows of q and k that are rotated together must be paired.

    Args:
        model_type: Architecture of the model.
        order: Whose order the rows are stored in.

    Returns:
        0 for adjacent pairs, 2 for half-split ones; None without rotary embedding or for an unknown architecture.
    """
    if model_type in WITHOUT_ROPE or model_type not in _CLASS_DEFAULTS:
        return None
    if order is RowOrder.GGUF:
        return 0 if gguf_name_of(model_type) in _ADJACENT_IN_GGUF else 2
    return 0 if model_type in _ADJACENT_IN_HF else 2
