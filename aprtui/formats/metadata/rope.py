"""Rotary embedding in config.json: the flat keys of transformers 4 and the `rope_parameters` of transformers 5.

gemma3 nests one object for each kind of layer: full attention is the model's, sliding attention the local one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aprtui.formats.metadata.config import Draft
from aprtui.formats.metadata.keys import key_named

_NO_SCALING = (None, "default", "none")
_STATED_ELSEWHERE = ("type", "rope_theta", "partial_rotary_factor")


def take_rope(draft: Draft, config: Mapping[str, Any]) -> None:
    """Record rope_theta, rope_local_base_freq, rope_scaling and partial_rotary_factor.

    Args:
        draft: Where to record.
        config: The text model's config.json.
    """
    parameters = config.get("rope_parameters")
    nested = parameters if isinstance(parameters, dict) else {}
    whole = nested.get("full_attention", nested)
    local = nested.get("sliding_attention")
    if not isinstance(whole, dict):
        draft.problem("rope_scaling", "the value is not an object", found=whole, place="rope_parameters")
        whole = {}
    for name in ("rope_theta", "partial_rotary_factor"):
        key = key_named(name)
        draft.take(key, config, key.hf)
        draft.take(key, whole, (name,))
    key = key_named("rope_local_base_freq")
    draft.take(key, config, key.hf)
    if isinstance(local, dict):
        draft.take(key, local, ("rope_theta",))
    scaling = config.get("rope_scaling")
    take_scaling(draft, whole if scaling is None else scaling, "rope_parameters" if scaling is None else "rope_scaling")
    _original_context(draft, config)


def take_scaling(draft: Draft, raw: object, name: str) -> None:
    """Record a rope scaling object as what it does; one that scales nothing counts as none.

    Args:
        draft: Where to record.
        raw: The object.
        name: Its raw name.
    """
    if raw is None or raw == {}:
        return
    draft.put(key_named("rope_scaling"), name, raw)
    scaling = draft.values.get("rope_scaling")
    if scaling is None:
        return
    kind = scaling.get("rope_type", scaling.get("type"))
    if kind in _NO_SCALING:
        draft.drop("rope_scaling")
        draft.explicit.discard("rope_scaling")
        return
    kind = "longrope" if kind == "su" else kind
    kept = {
        item: value for item, value in scaling.items() if item not in ("type", "rope_theta", "partial_rotary_factor")
    }
    draft.values["rope_scaling"] = {**kept, "rope_type": kind}


def _original_context(draft: Draft, config: Mapping[str, Any]) -> None:
    """phi3 states the original context outside; yarn's is the whole context where it is not stated."""
    scaling = draft.values.get("rope_scaling")
    if scaling is None or "original_max_position_embeddings" in scaling:
        return
    outside = config.get("original_max_position_embeddings")
    if isinstance(outside, int) and not isinstance(outside, bool):
        scaling["original_max_position_embeddings"] = outside
    elif scaling["rope_type"] == "yarn" and draft.integer("max_position_embeddings") is not None:
        scaling["original_max_position_embeddings"] = draft.integer("max_position_embeddings")
