"""How transformers spells each architecture: its class, and the configuration keys that have names of their own.

Source: transformers' `modeling_*` and `configuration_*` modules; a test loads a product of every architecture.
"""

from __future__ import annotations

_CLASSES = {
    "falcon": "FalconForCausalLM",
    "gemma": "GemmaForCausalLM",
    "gemma2": "Gemma2ForCausalLM",
    "gemma3_text": "Gemma3ForCausalLM",
    "gpt2": "GPT2LMHeadModel",
    "gpt_bigcode": "GPTBigCodeForCausalLM",
    "granite": "GraniteForCausalLM",
    "internlm2": "InternLM2ForCausalLM",
    "llama": "LlamaForCausalLM",
    "mistral": "MistralForCausalLM",
    "mixtral": "MixtralForCausalLM",
    "olmo2": "Olmo2ForCausalLM",
    "phi": "PhiForCausalLM",
    "phi3": "Phi3ForCausalLM",
    "qwen2": "Qwen2ForCausalLM",
    "qwen2_moe": "Qwen2MoeForCausalLM",
    "qwen3": "Qwen3ForCausalLM",
    "qwen3_moe": "Qwen3MoeForCausalLM",
    "stablelm": "StableLmForCausalLM",
    "starcoder2": "Starcoder2ForCausalLM",
}

_GPT2_KEYS = {
    "hidden_size": "n_embd",
    "num_hidden_layers": "n_layer",
    "num_attention_heads": "n_head",
    "intermediate_size": "n_inner",
    "max_position_embeddings": "n_positions",
    "rms_norm_eps": "layer_norm_epsilon",
}
_OWN_KEYS = {
    "falcon": {
        "num_key_value_heads": "num_kv_heads",
        "intermediate_size": "ffn_hidden_size",
        "rms_norm_eps": "layer_norm_epsilon",
    },
    "gpt2": _GPT2_KEYS,
    "gpt_bigcode": _GPT2_KEYS,
    "mixtral": {"num_experts": "num_local_experts"},
    "phi": {"rms_norm_eps": "layer_norm_eps"},
    "stablelm": {"rms_norm_eps": "layer_norm_eps"},
    "starcoder2": {"rms_norm_eps": "norm_epsilon"},
}


def class_name(model_type: str) -> str | None:
    """The class that stands under `architectures`; None for an architecture that is not known."""
    return _CLASSES.get(model_type)


def config_key(model_type: str, canonical: str) -> str:
    """What an architecture's configuration calls a canonical key."""
    return _OWN_KEYS.get(model_type, {}).get(canonical, canonical)
