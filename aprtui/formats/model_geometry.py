"""The geometry of a model from its metadata: what layout rules need to know, and nothing from the weights."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from aprtui.formats.container import Container, Format
from aprtui.formats.layout.geometry import Geometry
from aprtui.formats.metadata import ModelConfig
from aprtui.formats.names import model_type_of

_LARGEST_CONFIG = 1 << 24
_LARGEST_TOKENIZER = 1 << 28


def architecture_of(config: ModelConfig) -> str:
    """The architecture as far as it is known; "unknown" where the file names none.

    GGUF calls Mixtral "llama"; its experts tell it apart.
    """
    architecture = config.architecture or config.raw_architecture or "unknown"
    return "mixtral" if architecture == "llama" and config.values.get("num_experts") else architecture


def geometry_of(config: ModelConfig, container: Container) -> Geometry:
    """Dimensions for the layout rules; numbers that a file does not state are 0."""
    values = config.values
    heads = _integer(values.get("num_attention_heads"))
    kv_heads = _integer(values.get("num_key_value_heads")) or heads
    architecture = architecture_of(config)
    model_type = model_type_of(architecture)
    hf_config = _json(container, "config.json", _LARGEST_CONFIG)
    if model_type == "falcon" and hf_config.get("multi_query") and not hf_config.get("new_decoder_architecture"):
        kv_heads = 1
    return Geometry(
        architecture=architecture,
        layers=_integer(values.get("num_hidden_layers")),
        heads=heads,
        kv_heads=kv_heads,
        head_dim=_integer(values.get("head_dim")),
        hidden=_integer(values.get("hidden_size")),
        vocab=_integer(values.get("vocab_size")),
        experts=_integer(values.get("num_experts")),
        tokens=_tokens(container) if model_type == "gemma3_text" else None,
        rope=_rope(hf_config, values),
    )


def _integer(value: object) -> int:
    """One number; per-layer lists of equal numbers count as that number."""
    if isinstance(value, list | tuple) and value and all(item == value[0] for item in value):
        value = value[0]
    return value if isinstance(value, int) and not isinstance(value, bool) else 0


def _rope(config: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """`rope_scaling` or `rope_parameters` of config.json, else the header's, with the base frequency in it."""
    stated = config.get("rope_parameters") or config.get("rope_scaling") or values.get("rope_scaling")
    rope = dict(stated) if isinstance(stated, dict) else {}
    if "rope_theta" not in rope and values.get("rope_theta") is not None:
        rope["rope_theta"] = values["rope_theta"]
    return rope


def _tokens(container: Container) -> int | None:
    """Entries of tokenizer.json as llama.cpp counts them: vocabulary and added tokens together; of an APR its own."""
    own = container.metadata.get("tokenizer.vocabulary") if container.format is Format.APR else None
    if isinstance(own, list) and own:
        return len(own)
    tokenizer = _json(container, "tokenizer.json", _LARGEST_TOKENIZER)
    model, added = tokenizer.get("model"), tokenizer.get("added_tokens")
    vocabulary = model.get("vocab") if isinstance(model, dict) else None
    if not isinstance(vocabulary, dict | list):
        return None
    return len(vocabulary) + (len(added) if isinstance(added, list) else 0)


def _json(container: Container, name: str, largest: int) -> Mapping[str, Any]:
    path = container.companions.get(name)
    if path is None or path.stat().st_size > largest:
        return {}
    try:
        value = json.loads(path.read_bytes())
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}
