"""The catalogue: all faults by code."""

from __future__ import annotations

from types import ModuleType

from aprtui.faults import (
    blocks,
    casts,
    container_apr,
    container_gguf,
    container_safetensors,
    encoders,
    files,
    layers,
    metadata_keys,
    metadata_whole,
    rotary,
    rows,
    shapes,
    tensor_set,
    tokenizer_parts,
    tokenizer_vocabulary,
    transposed,
    types,
    values,
)
from aprtui.faults.fault import Fault

_FAMILIES: tuple[ModuleType, ...] = (
    files,
    container_safetensors,
    container_gguf,
    container_apr,
    tensor_set,
    shapes,
    types,
    metadata_keys,
    metadata_whole,
    tokenizer_parts,
    tokenizer_vocabulary,
    transposed,
    rotary,
    rows,
    layers,
    values,
    casts,
    blocks,
    encoders,
)


def _of(family: ModuleType) -> list[Fault]:
    single = [item for item in vars(family).values() if isinstance(item, Fault)]
    return single + list(getattr(family, "GENERATED", ()))


FAULTS: dict[str, Fault] = {fault.code: fault for family in _FAMILIES for fault in _of(family)}
"""Every fault by its code, in the order of the levels."""
