"""Metadata of an APR header: the fields of `AprV2Metadata`, the aliases that realizar reads, the dotted duplicates.

Where a field and its `model.*` duplicate disagree, the field counts, as in aprender, and the file has a problem.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aprtui.formats.metadata.architectures import (
    NORMALISES_EXPERTS,
    WITHOUT_ROPE,
    gguf_name_of,
    is_gguf_architecture,
    model_type_of_gguf,
)
from aprtui.formats.metadata.config import Draft
from aprtui.formats.metadata.keys import KEYS, Key
from aprtui.formats.metadata.rope import take_scaling
from aprtui.formats.metadata.values import BadValueError, coerce


def fill(draft: Draft, facts: frozenset[str]) -> tuple[str | None, str | None]:
    """Read an APR header.

    Args:
        draft: Where to record.
        facts: What tensors say: whether there is a head with data.

    Returns:
        The architecture as spelt, and the model_type it stands for.
    """
    raw = draft.container.metadata
    spelt = _architecture(draft, raw)
    for key in KEYS:
        if key.name == "rope_scaling":
            take_scaling(draft, raw.get("rope_scaling"), "rope_scaling")
            continue
        duplicates = tuple(f"model.{name}" for name in key.apr)
        draft.take(key, raw, (*key.apr, *duplicates))
        _check_duplicates(draft, key, raw, duplicates)
    _defaults(draft, None if spelt is None else model_type_of_gguf(spelt), facts)
    if spelt is None:
        return None, None
    return spelt, model_type_of_gguf(spelt) if is_gguf_architecture(spelt) else spelt


def _architecture(draft: Draft, raw: Mapping[str, Any]) -> str | None:
    for name in ("architecture", "model.architecture", "hf_model_type"):
        value = raw.get(name)
        if isinstance(value, str) and value:
            return value
        if value is not None:
            draft.problem("architecture", "the value is not text", found=value, place=name)
    return None


def _check_duplicates(draft: Draft, key: Key, raw: Mapping[str, Any], duplicates: tuple[str, ...]) -> None:
    stated = draft.values.get(key.name)
    for name in duplicates:
        if stated is None or raw.get(name) is None or draft.origin.get(key.name) == name:
            continue
        try:
            other = coerce(key.kind, raw[name])
        except BadValueError:
            draft.problem(key.name, f"the value is not {key.kind}", found=raw[name], place=name)
            continue
        # The field is written with the digits that float32 needs, the duplicate with float64's.
        close = isinstance(other, float) and abs(other - stated) <= 1e-6 * abs(stated)
        if other != stated and not close:
            draft.problem(key.name, f"contradicts {draft.origin[key.name]}, which is {stated}", found=other, place=name)


def _defaults(draft: Draft, architecture: str | None, facts: frozenset[str]) -> None:
    draft.default("num_key_value_heads", draft.values.get("num_attention_heads"))
    hidden, heads = draft.integer("hidden_size"), draft.integer("num_attention_heads")
    if hidden and heads:
        draft.default("head_dim", hidden // heads)
    if architecture in ("gemma2", "gemma3_text") and draft.integer("head_dim") is not None:
        draft.default("query_pre_attn_scalar", float(draft.values["head_dim"]))
    draft.default("norm_topk_prob", NORMALISES_EXPERTS.get(gguf_name_of(architecture or "")))
    draft.default("tie_word_embeddings", "lm_head" not in facts)
    draft.default("partial_rotary_factor", 1.0)
    if not draft.values.get("sliding_window"):
        draft.drop("sliding_window", "layer_types")
    if architecture in WITHOUT_ROPE:
        draft.drop("rope_theta", "rope_scaling", "partial_rotary_factor", "rope_type")
