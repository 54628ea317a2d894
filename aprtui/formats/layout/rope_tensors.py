"""Tensors that a GGUF has and no checkpoint has: frequency factors computed from the rope configuration."""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite
from typing import Any

import numpy as np
from numpy.typing import NDArray

ROPE_FREQUENCIES = "rope_freqs.weight"
GENERATED = (ROPE_FREQUENCIES, "rope_factors_long.weight", "rope_factors_short.weight")
"""Names of the tensors that converters generate."""

# Far beyond any head; a size from a hostile configuration must not become an allocation.
_LONGEST_HEAD = 1 << 16


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
    theta = _number(rope, "rope_theta", 10000.0)
    factor = _number(rope, "factor", 8.0)
    low = _number(rope, "low_freq_factor", 1.0)
    high = _number(rope, "high_freq_factor", 4.0)
    context = _number(rope, "original_max_position_embeddings", 8192.0)
    with np.errstate(all="ignore"):
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
    if model_type in ("llama", "mistral", "mixtral", "granite") and kind == "llama3" and head_dim <= _LONGEST_HEAD:
        factors = tuple(llama3_factors(rope, head_dim).tolist())
        return {ROPE_FREQUENCIES: (factors, "generated from Llama 3's rope scaling")}
    if model_type == "phi3":
        listed = {length: _numbers(rope.get(f"{length}_factor")) for length in ("long", "short")}
        return {
            f"rope_factors_{length}.weight": (factors, f"{length}_factor of the configuration's rope scaling")
            for length, factors in listed.items()
            if factors and listed["long"]
        }
    return {}


def _number(rope: Mapping[str, Any], name: str, default: float) -> np.float32:
    """A number of the configuration; what is none is judged under metadata, and the default stands in here."""
    value = rope.get(name, default)
    return np.float32(value if _is_number(value) else default)


def _numbers(value: object) -> tuple[float, ...]:
    """A list of numbers as float32; empty where it is anything else."""
    if not isinstance(value, list | tuple) or len(value) > _LONGEST_HEAD or not all(map(_is_number, value)):
        return ()
    return tuple(np.asarray(value, np.float32).tolist())


def _is_number(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return abs(value) <= float(np.finfo(np.float32).max) and isfinite(value)
