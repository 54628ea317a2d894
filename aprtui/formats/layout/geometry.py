"""The few numbers of a configuration that layout rules depend on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Geometry:
    """Dimensions of a model, from the reference side of a comparison, never from the product.

    Attributes:
        architecture: `model_type` of config.json (GGUF's spelling is understood too).
        layers: Number of layers.
        heads: Query heads.
        kv_heads: Key and value heads. For falcon: 1 where `multi_query` without `new_decoder_architecture`, whatever
            `num_kv_heads` says.
        head_dim: Rows per head.
        hidden: Width of the residual stream.
        vocab: Rows of the embedding.
        experts: Experts per layer; 0 in a dense model.
        tokens: Entries of tokenizer.json (`model.vocab` and `added_tokens` counted together, as llama.cpp does) or of
            an APR's vocabulary, where known; gemma3's embedding is cut there.
        rope: `rope_scaling` or `rope_parameters` of config.json, with `rope_theta`; empty if there is none.
    """

    architecture: str
    layers: int
    heads: int
    kv_heads: int
    head_dim: int
    hidden: int
    vocab: int
    experts: int = 0
    tokens: int | None = None
    rope: Mapping[str, Any] = field(default_factory=dict, hash=False)
