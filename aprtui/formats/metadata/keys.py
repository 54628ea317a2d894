"""The table of metadata keys: canonical name, unit, and what each format calls it.

Canonical names are Hugging Face's. A format without a name for a key cannot hold it; such keys are reported as not
checked. Names of GGUF: gguf's `Keys`; of APR: aprender's `AprV2Metadata` with the aliases that realizar's reader takes.
APR's header is an open JSON object, so what its structure has no field for stands there under Hugging Face's name.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

from aprtui.formats.container import Format
from aprtui.formats.metadata.architectures import NORMALISES_EXPERTS
from aprtui.formats.metadata.values import Kind

_GEMMA = frozenset({"gemma2", "gemma3", "gemma3n"})
_SLIDING = _GEMMA | {"phi3", "olmo2", "cohere2", "gpt-oss", "exaone4", "llama4", "smallthinker", "mellum", "laguna"}
_SCALED = frozenset({"granite", "granitemoe", "granitehybrid", "minicpm"})
_NORMALISED_EXPERTS = frozenset({"deepseek2", "glm4moe", "dots1", "ernie4_5-moe", "bailingmoe", "bailingmoe2", "afmoe"})


@dataclass(frozen=True, slots=True)
class Key:
    """One canonical key.

    Attributes:
        name: Canonical name.
        kind: What its value must be.
        unit: Unit of the value; empty where it has none.
        hf: Names in config.json, first one first.
        gguf: Names in a GGUF after the architecture's prefix.
        apr: Names in an APR header.
        gguf_only: GGUF architectures that have the key; None for all.
        neutral: The value that leaves a model as if the key were not there.
    """

    name: str
    kind: Kind
    unit: str = ""
    hf: tuple[str, ...] = ()
    gguf: tuple[str, ...] = ()
    apr: tuple[str, ...] = ()
    gguf_only: frozenset[str] | None = None
    neutral: Any = None


KEYS: tuple[Key, ...] = (
    Key("hidden_size", Kind.INTEGER, "elements", ("hidden_size", "n_embd", "d_model", "dim"), ("embedding_length",),
        ("hidden_size", "hidden_dim", "d_model", "n_embd")),
    Key("num_hidden_layers", Kind.INTEGER, "layers", ("num_hidden_layers", "n_layer", "n_layers", "num_layers"),
        ("block_count",), ("num_layers", "n_layers", "num_hidden_layers", "n_layer")),
    Key("num_attention_heads", Kind.PER_LAYER, "heads", ("num_attention_heads", "n_head", "n_heads"),
        ("attention.head_count",), ("num_heads", "n_heads", "num_attention_heads", "n_head")),
    Key("num_key_value_heads", Kind.PER_LAYER, "heads",
        ("num_key_value_heads", "num_kv_heads", "n_head_kv", "n_kv_heads"), ("attention.head_count_kv",),
        ("num_kv_heads", "n_kv_heads", "num_key_value_heads")),
    Key("head_dim", Kind.INTEGER, "elements", ("head_dim",), ("attention.key_length",), ("head_dim",)),
    Key("intermediate_size", Kind.PER_LAYER, "elements", ("intermediate_size", "n_inner", "ffn_hidden_size"),
        ("feed_forward_length",), ("intermediate_size", "ffn_dim", "intermediate_dim", "n_inner")),
    Key("vocab_size", Kind.INTEGER, "tokens", ("vocab_size",), ("vocab_size",),
        ("vocab_size", "n_vocab", "tokenizer.vocab_size")),
    Key("max_position_embeddings", Kind.INTEGER, "positions",
        ("max_position_embeddings", "n_positions", "n_ctx", "max_sequence_length", "seq_length"), ("context_length",),
        ("max_position_embeddings", "max_seq_len", "context_length", "n_ctx")),
    Key("rope_theta", Kind.NUMBER, "", ("rope_theta", "rotary_emb_base", "rope_base"), ("rope.freq_base",),
        ("rope_theta",)),
    Key("rope_local_base_freq", Kind.NUMBER, "", ("rope_local_base_freq",), ("rope.freq_base_swa",),
        ("rope_local_base_freq",)),
    Key("rope_scaling", Kind.ROPE_SCALING, "", ("rope_scaling",), ("rope.scaling.type",), ("rope_scaling",)),
    Key("partial_rotary_factor", Kind.NUMBER, "of head_dim", ("partial_rotary_factor", "rotary_pct", "rope_pct"),
        ("rope.dimension_count",), ("partial_rotary_factor",), neutral=1.0),
    Key("rope_type", Kind.INTEGER, apr=("rope_type",)),
    Key("rms_norm_eps", Kind.NUMBER, "",
        ("rms_norm_eps", "layer_norm_eps", "layer_norm_epsilon", "norm_epsilon", "norm_eps"),
        ("attention.layer_norm_rms_epsilon",), ("rms_norm_eps", "layer_norm_eps", "layer_norm_epsilon", "norm_eps")),
    Key("tie_word_embeddings", Kind.FLAG, "", ("tie_word_embeddings",), ("(absence of output.weight)",),
        ("tied_embeddings", "tie_word_embeddings")),
    Key("bos_token_id", Kind.IDS, "", ("bos_token_id",), ("tokenizer.ggml.bos_token_id",),
        ("tokenizer.bos_token_id", "bos_token_id")),
    Key("eos_token_id", Kind.IDS, "", ("eos_token_id",), ("tokenizer.ggml.eos_token_id",),
        ("tokenizer.eos_token_id", "eos_token_id")),
    Key("sliding_window", Kind.INTEGER, "positions", ("sliding_window",), ("attention.sliding_window",),
        ("sliding_window",), _SLIDING),
    Key("layer_types", Kind.LAYER_TYPES, "", ("layer_types",), ("attention.sliding_window_pattern",),
        ("layer_types",), _SLIDING),
    Key("attn_logit_softcapping", Kind.NUMBER, "", ("attn_logit_softcapping",), ("attn_logit_softcapping",),
        ("attn_logit_softcapping",), _GEMMA),
    Key("final_logit_softcapping", Kind.NUMBER, "", ("final_logit_softcapping",), ("final_logit_softcapping",),
        ("final_logit_softcapping",), _GEMMA),
    Key("query_pre_attn_scalar", Kind.NUMBER, "", ("query_pre_attn_scalar",), ("(the model's size)",),
        ("query_pre_attn_scalar",), _GEMMA),
    Key("attention_multiplier", Kind.NUMBER, "", ("attention_multiplier",), ("attention.scale",),
        ("attention_multiplier",), _SCALED),
    Key("embedding_multiplier", Kind.NUMBER, "", ("embedding_multiplier", "scale_emb"), ("embedding_scale",),
        ("embedding_multiplier",), _SCALED, 1.0),
    Key("residual_multiplier", Kind.NUMBER, "", ("residual_multiplier",), ("residual_scale",),
        ("residual_multiplier",), _SCALED, 1.0),
    Key("logits_scaling", Kind.NUMBER, "", ("logits_scaling", "logit_scale"), ("logit_scale",), ("logits_scaling",),
        _SCALED | {"command-r", "cohere2"}, 1.0),
    Key("hidden_act", Kind.TEXT, "", ("hidden_act", "hidden_activation", "activation_function")),
    Key("num_experts", Kind.INTEGER, "experts", ("num_experts", "num_local_experts", "n_routed_experts"),
        ("expert_count",), ("num_experts", "num_local_experts"), neutral=0),
    Key("num_experts_per_tok", Kind.INTEGER, "experts", ("num_experts_per_tok", "num_experts_per_token"),
        ("expert_used_count",), ("num_experts_per_tok",), neutral=0),
    Key("moe_intermediate_size", Kind.INTEGER, "elements", ("moe_intermediate_size",),
        ("expert_feed_forward_length",), ("moe_intermediate_size",)),
    Key("shared_expert_intermediate_size", Kind.INTEGER, "elements", ("shared_expert_intermediate_size",),
        ("expert_shared_feed_forward_length",), ("shared_expert_intermediate_size",)),
    Key("n_shared_experts", Kind.INTEGER, "experts", ("n_shared_experts",), ("expert_shared_count",),
        ("n_shared_experts",), neutral=0),
    Key("first_k_dense_replace", Kind.INTEGER, "layers", ("first_k_dense_replace",), ("leading_dense_block_count",),
        ("first_k_dense_replace",), neutral=0),
    Key("routed_scaling_factor", Kind.NUMBER, "", ("routed_scaling_factor",), ("expert_weights_scale",),
        ("routed_scaling_factor",), neutral=1.0),
    Key("norm_topk_prob", Kind.FLAG, "", ("norm_topk_prob",), ("expert_weights_norm",),
        ("norm_topk_prob",), _NORMALISED_EXPERTS | NORMALISES_EXPERTS.keys()),
)  # fmt: skip


@cache
def key_named(name: str) -> Key:
    """The row of a canonical name."""
    return next(key for key in KEYS if key.name == name)


def can_hold(key: Key, format_: Format, gguf_architecture: str) -> bool:
    """Whether a format has a place for a key.

    Args:
        key: The key.
        format_: The format that should hold it.
        gguf_architecture: `general.architecture` that the model has in GGUF.
    """
    if format_ is Format.SAFETENSORS:
        return bool(key.hf)
    if format_ is Format.APR:
        return bool(key.apr)
    return bool(key.gguf) and (key.gguf_only is None or gguf_architecture in key.gguf_only)
