"""Views into torch tensors, and which views make each parameter of a transformers model."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from aprtui.formats.codecs import decode_chunk
from aprtui.formats.views import View

if TYPE_CHECKING:
    import torch

_ELEMENTS = 1 << 20
_EXPERTS = re.compile(r"(?P<layer>.+)\.mlp\.experts\.(?P<kind>gate_up_proj|down_proj)")
_GATE = re.compile(r"(?P<layer>.+)\.mlp\.gate\.weight")
# Where transformers keeps the experts of a layer in one tensor, and what checkpoints call their parts.
_PARTS = {
    "gate_up_proj": (("gate_proj", "up_proj"), ("w1", "w3")),
    "down_proj": (("down_proj",), ("w2",)),
}


def sources_of(parameter: str, views: Mapping[str, View]) -> tuple[View, ...]:
    """The views whose rows, one after another, are a parameter; empty where the checkpoint lacks it."""
    if parameter in views:
        return (views[parameter],)
    gate = _GATE.fullmatch(parameter)
    if gate is not None:
        mixtral = f"{gate['layer']}.block_sparse_moe.gate.weight"
        return (views[mixtral],) if mixtral in views else ()
    match = _EXPERTS.fullmatch(parameter)
    if match is None:
        return ()
    plain, mixtral_parts = _PARTS[match["kind"]]
    for place, parts in (
        (f"{match['layer']}.mlp.experts", plain),
        (f"{match['layer']}.block_sparse_moe.experts", mixtral_parts),
    ):
        found = list(_experts(place, parts, views))
        if found:
            return tuple(found)
    return ()


def _experts(place: str, parts: tuple[str, ...], views: Mapping[str, View]) -> Iterator[View]:
    number = 0
    while (names := [f"{place}.{number}.{part}.weight" for part in parts]) and all(name in views for name in names):
        yield from (views[name] for name in names)
        number += 1


def read_into(tensor: torch.Tensor, views: tuple[View, ...]) -> None:
    """Fill a contiguous float32 tensor in CPU memory with the values of views, one after another.

    The file's pages are given back, so that a model is not in memory twice.
    """
    flat: NDArray[np.float32] = tensor.numpy().reshape(-1)
    at = 0
    for view in views:
        step = max(1, _ELEMENTS // view.granule) * view.granule
        for start in range(0, view.elements, step):
            stop = min(start + step, view.elements)
            values = np.asarray(decode_chunk(view.read(start, stop)), np.float32).reshape(-1)
            flat[at + start : at + stop] = values
        at += view.elements
        view.release()
