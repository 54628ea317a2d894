"""Every metadata key, changed and lost: generated from the table of keys."""

from __future__ import annotations

from functools import partial

from aprtui.core.outcomes import Level
from aprtui.faults import stated
from aprtui.faults.draft import Draft
from aprtui.faults.fault import Fault
from aprtui.faults.header_draft import RawValue
from aprtui.formats.container import Format
from aprtui.formats.metadata.keys import KEYS, Key

_REFERENCES = {
    "hidden_size": ("RC-63", "RC-66"),
    "num_attention_heads": ("RC-66", "T20"),
    "num_key_value_heads": ("RC-62", "T20"),
    "head_dim": ("RC-19", "T20"),
    "max_position_embeddings": ("RC-58", "T20"),
    "rope_theta": ("RC-59", "T20"),
    "rope_type": ("RC-60",),
    "rms_norm_eps": ("RC-64", "T20"),
    "tie_word_embeddings": ("RC-69", "S: tied head"),
    "bos_token_id": ("RC-78", "T19"),
    "eos_token_id": ("RC-78", "T19"),
    "layer_types": ("T20",),
    "num_experts": ("T10", "T20"),
}

# GGUF shows these by its tensors or by the model's size.
_NO_KEY_IN_GGUF = frozenset({"tie_word_embeddings", "query_pre_attn_scalar"})
# Formats that read a key's value from elsewhere, so that its loss changes nothing.
_TOLD_ELSEWHERE = {
    "tie_word_embeddings": frozenset({Format.APR}),
    "vocab_size": frozenset({Format.GGUF}),
    "layer_types": frozenset({Format.SAFETENSORS}),
}
# transformers and llama.cpp assume what such a key says, or take it from a tensor, so that its loss changes nothing.
_LOSS_IS_HARMLESS = frozenset({"hidden_act", "norm_topk_prob"})


def _formats(key: Key) -> frozenset[Format]:
    found = {Format.SAFETENSORS} if key.hf else set()
    found |= {Format.GGUF} if key.gguf and key.name not in _NO_KEY_IN_GGUF else set()
    found |= {Format.APR} if key.apr else set()
    return frozenset(found)


def _changed(name: str, draft: Draft) -> None:
    found = stated.places(draft, name)
    if not found:
        raise draft.refuse(f"the product does not state {name}")
    for mapping, raw in found:
        mapping[raw] = _other(name, mapping[raw])
    # Where no layer slides any more, the window itself is gone.
    draft.touch(name, *(("sliding_window",) if name == "layer_types" else ()))


def _lost(name: str, draft: Draft) -> None:
    stated.remove(draft, name)


def _other(name: str, value: RawValue) -> RawValue:
    """Another value of the same type."""
    if isinstance(value, bool):
        return not value
    if name.endswith("token_id"):
        return value + 1 if isinstance(value, int) else [item + 1 for item in value]
    if name == "rope_type":
        return 2 - value
    if name == "partial_rotary_factor":
        return value // 2 if isinstance(value, int) else value / 2
    if isinstance(value, dict):
        return {key: _other("", item) for key, item in value.items()}
    if isinstance(value, list):
        # One layer is enough, and all of them would leave the model without sliding layers.
        return [_other(name, value[0]), *value[1:]] if name == "layer_types" else [_other(name, item) for item in value]
    if isinstance(value, str):
        swapped = {"sliding_attention": "full_attention", "full_attention": "sliding_attention", "silu": "relu"}
        return swapped.get(value, "yarn" if value != "yarn" else "linear")
    return value * 2 if value else 1


def _fault(key: Key, what: str) -> Fault:
    changed = what == "changed"
    return Fault(
        code=f"metadata.{key.name}.{what}",
        title=f"{key.name} has another value" if changed else f"{key.name} is missing",
        level=Level.METADATA,
        formats=_formats(key) - (frozenset() if changed else _TOLD_ELSEWHERE.get(key.name, frozenset())),
        references=_REFERENCES.get(key.name, ("T20",)),
        requires=f"{key.name} stated" + ("" if changed else ", and not what its format assumes"),
        asked_for=None,
        apply=partial(_changed if changed else _lost, key.name),
    )


GENERATED: tuple[Fault, ...] = tuple(
    _fault(key, what)
    for key in KEYS
    for what in ("changed", "lost")
    if not (what == "lost" and key.name in _LOSS_IS_HARMLESS)
)
"""Two faults for each key."""
