"""Metadata of a GGUF: its keys, and what llama.cpp assumes where one is missing (`llama_model::load_hparams`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from aprtui.formats.metadata.architectures import (
    LAYER_NORM,
    NORMALISES_EXPERTS,
    SLIDING_PERIODS,
    WITHOUT_ROPE,
    gguf_name_of,
    is_gguf_architecture,
    model_type_of_gguf,
)
from aprtui.formats.metadata.config import Draft
from aprtui.formats.metadata.keys import KEYS, key_named

_BY_HAND = frozenset(
    {"rope_scaling", "partial_rotary_factor", "rms_norm_eps", "layer_types", "bos_token_id", "eos_token_id"}
)
# Fields of rope scaling that have a key; what llama3 and longrope have beyond them are tensors.
SCALING_KEYS = {
    "factor": "rope.scaling.factor",
    "original_max_position_embeddings": "rope.scaling.original_context_length",
    "attention_factor": "rope.scaling.yarn_attn_factor",
    "beta_fast": "rope.scaling.yarn_beta_fast",
    "beta_slow": "rope.scaling.yarn_beta_slow",
}
"""Field of `rope_scaling` -> its key after the architecture's prefix."""
_MOST_LAYERS = 65536
# llama.cpp takes the 27B models of gemma 2 and 3 by their number of layers (`LLM_TYPE_27B`).
_LAYERS_OF_27B = {"gemma2": 46, "gemma3": 62}


def fill(draft: Draft, facts: frozenset[str]) -> tuple[str | None, str | None]:
    """Read a GGUF's keys.

    Args:
        draft: Where to record.
        facts: What tensors say: whether there is a head, whether rope scaling is kept as tensors.

    Returns:
        `general.architecture` as spelt, and the model_type it stands for (as spelt where no GGUF architecture has
        that name).
    """
    raw = draft.container.metadata
    spelt = raw.get("general.architecture")
    if not isinstance(spelt, str):
        if spelt is not None:
            draft.problem("architecture", "the value is not text", found=spelt, place="general.architecture")
        return None, None
    for key in KEYS:
        if key.name not in _BY_HAND:
            draft.take(key, raw, [f"{spelt}.{name}" for name in key.gguf])
    epsilon = "layer_norm_epsilon" if spelt in LAYER_NORM else "layer_norm_rms_epsilon"
    draft.take(key_named("rms_norm_eps"), raw, [f"{spelt}.attention.{epsilon}"])
    for name in ("bos_token_id", "eos_token_id"):
        draft.take(key_named(name), raw, [f"tokenizer.ggml.{name}"])
    _defaults(draft, spelt, facts)
    _rope(draft, raw, spelt, facts)
    _sliding_window(draft, raw, spelt)
    return spelt, model_type_of_gguf(spelt) if is_gguf_architecture(spelt) else spelt


def _defaults(draft: Draft, spelt: str, facts: frozenset[str]) -> None:
    tokens = draft.container.metadata.get("tokenizer.ggml.tokens")
    if isinstance(tokens, Sequence) and not isinstance(tokens, str) and len(tokens):
        draft.default("vocab_size", len(tokens))
    embedding = next((tensor for tensor in draft.container.tensors if tensor.name == "token_embd.weight"), None)
    if embedding is not None and embedding.shape:
        draft.default("vocab_size", embedding.shape[0])
    draft.values["tie_word_embeddings"] = "lm_head" not in facts
    draft.default("num_key_value_heads", draft.values.get("num_attention_heads"))
    hidden, heads = draft.integer("hidden_size"), draft.integer("num_attention_heads")
    if hidden and heads:
        draft.default("head_dim", hidden // heads)
    tokenizer = draft.container.metadata.get("tokenizer.ggml.model")
    if isinstance(tokenizer, str) and tokenizer == "llama":
        draft.default("bos_token_id", (1,))
        draft.default("eos_token_id", (2,))
    family = gguf_name_of(spelt)
    if family in NORMALISES_EXPERTS:
        draft.values["norm_topk_prob"] = NORMALISES_EXPERTS[family]
        draft.explicit.discard("norm_topk_prob")
    if family == "gemma2":
        draft.default("attn_logit_softcapping", 50.0)
        draft.default("final_logit_softcapping", 30.0)
    if family in _LAYERS_OF_27B:
        is_27b = draft.integer("num_hidden_layers") == _LAYERS_OF_27B[family] and hidden and heads
        scale = hidden // heads if is_27b and hidden and heads else draft.integer("head_dim")
        draft.default("query_pre_attn_scalar", None if scale is None else float(scale))


def _rope(draft: Draft, raw: Mapping[str, Any], spelt: str, facts: frozenset[str]) -> None:
    if model_type_of_gguf(spelt) in WITHOUT_ROPE:
        return
    draft.default("rope_theta", 10000.0)
    if gguf_name_of(spelt) == "gemma3":
        draft.default("rope_local_base_freq", 10000.0)
    head_dim, rotated = draft.integer("head_dim"), raw.get(f"{spelt}.rope.dimension_count")
    if rotated is None:
        draft.default("partial_rotary_factor", 1.0)
    elif isinstance(rotated, int) and not isinstance(rotated, bool) and head_dim:
        draft.put(key_named("partial_rotary_factor"), f"{spelt}.rope.dimension_count", rotated / head_dim)
    _rope_scaling(draft, raw, spelt, facts)


def _rope_scaling(draft: Draft, raw: Mapping[str, Any], spelt: str, facts: frozenset[str]) -> None:
    name = f"{spelt}.rope.scaling.type"
    stated = {item: raw.get(f"{spelt}.{name}") for item, name in SCALING_KEYS.items()}
    if stated["factor"] is None:
        stated["factor"] = raw.get(f"{spelt}.rope.scale_linear")
    kind = raw.get(name)
    if kind is None and facts & {"rope_freqs", "rope_factors"}:
        kind = "llama3" if "rope_freqs" in facts else "longrope"
    if kind is None and stated["factor"] is not None and not _scales_nothing(stated["factor"]):
        kind = "linear"  # llama.cpp takes a factor without a type for a linear one.
    if kind is None:
        return
    if not isinstance(kind, str):
        draft.problem("rope_scaling", "the value is not text", found=kind, place=name)
    elif kind != "none":
        scaling = {"rope_type": kind, **{item: value for item, value in stated.items() if value is not None}}
        draft.put(key_named("rope_scaling"), name, scaling)


def _scales_nothing(factor: object) -> bool:
    """Factors 0 and 1 leave positions as they are (`llama_model::load_hparams`)."""
    return isinstance(factor, int | float) and factor in (0, 1)


def _sliding_window(draft: Draft, raw: Mapping[str, Any], spelt: str) -> None:
    if not draft.values.get("sliding_window"):
        draft.drop("sliding_window")
        return
    name = f"{spelt}.attention.sliding_window_pattern"
    pattern = raw.get(name, SLIDING_PERIODS.get(gguf_name_of(spelt)))
    layers = min(draft.integer("num_hidden_layers") or 0, _MOST_LAYERS)
    if isinstance(pattern, int) and not isinstance(pattern, bool):
        sliding = [pattern == 0 or bool((layer + 1) % pattern) for layer in range(layers)]
    elif pattern is None or isinstance(pattern, bool):
        sliding = [True] * layers
    else:
        try:
            sliding = [bool(item) for item in pattern][:layers]
        except (TypeError, ValueError):
            draft.problem("layer_types", "the value is not a list of flags", found=pattern, place=name)
            return
    draft.default("layer_types", tuple(f"{'sliding' if each else 'full'}_attention" for each in sliding))
    if name in raw:
        draft.explicit.add("layer_types")
        draft.origin["layer_types"] = name
