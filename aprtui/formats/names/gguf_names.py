"""Canonical names to GGUF names and back, both by gguf's own TensorNameMap."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

from gguf.constants import MODEL_ARCH, TENSOR_NAMES
from gguf.tensor_mapping import TensorNameMap

from aprtui.formats.names.templates import (
    GGUF_ARCHITECTURES,
    gguf_side,
    known_architectures,
    model_type_of,
    parse,
    stacked,
    templates,
    variants,
)

_SUFFIXES = (".weight", ".bias")

# Order in which architectures are asked when the own one is unknown or does not know a name: the plain one first, so
# that `ffn_norm` means llama's before gemma's.
_FALLBACK_ORDER = ("llama", "qwen2", "qwen3", "phi3", "qwen3_moe", "gemma3_text", "gpt2")

Inverse = dict[str, tuple[str, ...]]


@cache
def _name_map(model_type: str) -> TensorNameMap:
    return TensorNameMap(MODEL_ARCH[GGUF_ARCHITECTURES[model_type]], 1)


@cache
def _every_name() -> dict[str, tuple[str, ...]]:
    """Checkpoint name without suffix -> every GGUF name that any architecture gives it, for layer 0."""
    found: dict[str, dict[str, None]] = {}
    for table in (TensorNameMap.mappings_cfg, TensorNameMap.block_mappings_cfg):
        for tensor, names in table.items():
            for name in names:
                found.setdefault(name.replace("{bid}", "0"), {})[TENSOR_NAMES[tensor].replace("{bid}", "0")] = None
    return {name: tuple(gguf_names) for name, gguf_names in found.items()}


def _for_layer_0(template: str) -> str:
    return template.replace("{layer}", "0")


def _gguf_template(model_type: str, template: str) -> str | None:
    name: str | None = _name_map(model_type).get_name(_for_layer_0(stacked(template)), try_suffixes=_SUFFIXES)
    return None if name is None else name.replace("blk.0.", "blk.{layer}.")


def _generic_gguf_templates(template: str) -> tuple[str, ...]:
    for suffix in _SUFFIXES:
        if template.endswith(suffix):
            names = _every_name().get(_for_layer_0(stacked(template)).removesuffix(suffix), ())
            return tuple(name.replace("blk.0.", "blk.{layer}.") + suffix for name in names)
    return ()


def gguf_name(architecture: str, canonical: str) -> str | None:
    """The name that GGUF gives a tensor.

    Args:
        architecture: `model_type` or `general.architecture`; an unknown one is treated like llama.
        canonical: Canonical name; an expert's tensor has the name of the stack that GGUF keeps all experts in.

    Returns:
        The GGUF name, or None where that architecture's GGUF has none (gemma's `lm_head.weight`).
    """
    parsed = parse(canonical)
    model_type = model_type_of(architecture)
    asked = _FALLBACK_ORDER if model_type is None else (model_type,)
    answers = (_gguf_template(one, parsed.template) for one in asked)
    template = next((answer for answer in answers if answer is not None), None)
    return None if template is None else parsed.fill(template)


def _invert(pairs: Iterable[tuple[str | None, str]]) -> Inverse:
    inverse: dict[str, dict[str, None]] = {}
    for gguf_template, template in pairs:
        if gguf_template is not None:
            inverse.setdefault(gguf_template, {})[template] = None
    return {gguf_template: tuple(names) for gguf_template, names in inverse.items()}


@cache
def inverse_by_variant(model_type: str) -> tuple[Inverse, ...]:
    """GGUF template -> canonical templates, one table per configuration of the architecture."""
    return tuple(
        _invert((_gguf_template(model_type, side), side) for template in variant for side in gguf_side(template))
        for variant in variants(model_type)
    )


@cache
def generic_inverse(model_type: str | None) -> Inverse:
    """GGUF template -> canonical templates by the names that any architecture uses.

    Converters that know a handful of names write `blk.0.ffn_norm` for `post_attention_layernorm` whatever the
    architecture (apr does for gemma3); the architecture's own table has another tensor there.

    Args:
        model_type: Whose templates come first; None for an unknown architecture.
    """
    own = () if model_type is None else (model_type,)
    order = dict.fromkeys((*own, *_FALLBACK_ORDER, *known_architectures()))
    sides = (side for other in order for template in templates(other) for side in gguf_side(template))
    return _invert((gguf_template, side) for side in sides for gguf_template in _generic_gguf_templates(side))
