"""Tensors that a GGUF has and no checkpoint has: frequency factors computed from the rope configuration."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

GENERATED = ("rope_freqs.weight", "rope_factors_long.weight", "rope_factors_short.weight")
"""Names of the tensors that converters generate."""


def llama3_factors(rope: Mapping[str, Any], head_dim: int) -> NDArray[np.float32]:
    """`rope_freqs.weight` of a model with Llama 3's rope scaling.

    llama.cpp `LlamaModel.generate_extra_tensors`, float32 throughout. Its powers come from torch and can differ from
    numpy's in the last place.

    Args:
        rope: `rope_theta`, `factor`, `low_freq_factor`, `high_freq_factor`, `original_max_position_embeddings`;
            defaults are llama.cpp's.
        head_dim: Rows per head.

    Returns:
        float32 [head_dim / 2]: what each rotary frequency is divided by.
    """
    theta = np.float32(rope.get("rope_theta", 10000.0))
    factor = np.float32(rope.get("factor", 8.0))
    low = np.float32(rope.get("low_freq_factor", 1.0))
    high = np.float32(rope.get("high_freq_factor", 4.0))
    context = np.float32(rope.get("original_max_position_embeddings", 8192))
    frequencies = 1 / theta ** (np.arange(0, head_dim, 2, dtype=np.float32) / np.float32(head_dim))
    wavelengths = np.float32(2 * np.pi) / frequencies
    smooth = (context / wavelengths - low) / (high - low)
    between = 1 / ((1 - smooth) / factor + smooth)
    short, long = wavelengths < context / high, wavelengths > context / low
    return np.where(short, np.float32(1), np.where(long, factor, between)).astype(np.float32)


def rope_tensors(model_type: str, rope: Mapping[str, Any], head_dim: int) -> dict[str, tuple[tuple[float, ...], str]]:
    """Every rope tensor that llama.cpp's converter generates.

    Returns:
        GGUF name -> (float32 values, why it is there).
    """
    kind = str(rope.get("rope_type") or rope.get("type") or "").lower()
    if model_type in ("llama", "mistral", "mixtral", "granite") and kind == "llama3":
        factors = tuple(llama3_factors(rope, head_dim).tolist())
        return {"rope_freqs.weight": (factors, "generated from Llama 3's rope scaling")}
    if model_type == "phi3" and rope.get("long_factor"):
        return {
            f"rope_factors_{length}.weight": (
                tuple(np.asarray(rope[f"{length}_factor"], np.float32).tolist()),
                f"{length}_factor of the configuration's rope scaling",
            )
            for length in ("long", "short")
            if rope.get(f"{length}_factor")
        }
    return {}
