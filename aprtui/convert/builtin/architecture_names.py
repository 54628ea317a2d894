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
    "hidden_act": "activation_function",
    "hidden_size": "n_embd",
    "num_hidden_layers": "n_layer",
    "num_attention_heads": "n_head",
    "intermediate_size": "n_inner",
    "max_position_embeddings": "n_positions",
    "rms_norm_eps": "layer_norm_epsilon",
}
_OWN_KEYS = {
    "falcon": {
        "hidden_act": "activation",
        "num_key_value_heads": "num_kv_heads",
        "intermediate_size": "ffn_hidden_size",
        "rms_norm_eps": "layer_norm_epsilon",
    },
    "gemma2": {"hidden_act": "hidden_activation"},
    "gemma3_text": {"hidden_act": "hidden_activation"},
    "gpt2": _GPT2_KEYS,
    "gpt_bigcode": _GPT2_KEYS,
    "mixtral": {"num_experts": "num_local_experts"},
    "phi": {"rms_norm_eps": "layer_norm_eps"},
    "stablelm": {"rms_norm_eps": "layer_norm_eps"},
    "starcoder2": {"rms_norm_eps": "norm_epsilon"},
}

# The activation that llama.cpp's and apr's code for an architecture uses; GGUF and APR have no key for it.
_ACTIVATIONS = {
    **dict.fromkeys(_CLASSES, "silu"),
    **dict.fromkeys(("gemma", "gemma2", "gemma3_text", "gpt_bigcode", "starcoder2"), "gelu_pytorch_tanh"),
    **dict.fromkeys(("gpt2", "phi"), "gelu_new"),
    "falcon": "gelu",
}


def activation(model_type: str) -> str | None:
    """The name of an architecture's activation; None for an architecture that is not known."""
    return _ACTIVATIONS.get(model_type)


def class_name(model_type: str) -> str | None:
    """The class that stands under `architectures`; None for an architecture that is not known."""
    return _CLASSES.get(model_type)


def config_key(model_type: str, canonical: str) -> str:
    """What an architecture's configuration calls a canonical key."""
    return _OWN_KEYS.get(model_type, {}).get(canonical, canonical)
