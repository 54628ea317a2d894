"""Tensors in the place of other tensors: of another layer, another expert, another model."""

from __future__ import annotations

import numpy as np

from aprtui.faults.draft import Draft, DraftTensor
from aprtui.faults.fault import fault
from aprtui.formats.views import RowsPermuted
from aprtui.formats.views.base import Indices
from aprtui.formats.views.edited import Floats, ValuesEdited

_EXPERTS = ("gate", "up", "down")


def _by_layer(draft: Draft) -> dict[str, list[DraftTensor]]:
    """Tensors of the layers by role, layer after layer."""
    found: dict[str, list[tuple[int, DraftTensor]]] = {}
    for tensor in draft.require("two layers", "blk.*"):
        _, layer, role = tensor.role.split(".", 2)
        if layer.isdecimal():
            found.setdefault(role, []).append((int(layer), tensor))
    ordered = {role: [tensor for _, tensor in sorted(pairs, key=lambda pair: pair[0])] for role, pairs in found.items()}
    # Several tensors of one role in a layer are the experts of a checkpoint.
    return {role: tensors for role, tensors in ordered.items() if len({t.role for t in tensors}) == len(tensors)}


def _rotate(draft: Draft, tensors: list[DraftTensor]) -> None:
    """Each tensor takes the content of the next one, the last that of the first."""
    contents = [(tensor.view, tensor.dtype) for tensor in tensors]
    for tensor, (view, dtype) in zip(tensors, [*contents[1:], contents[0]], strict=True):
        if view.shape == tensor.shape:
            draft.put(tensor, view, dtype=dtype)


@fault("weights.layers_swapped", "S: two layers swapped", requires="two layers")
def layers_swapped(draft: Draft) -> None:
    """The first two layers are exchanged."""
    roles = {role: tensors[:2] for role, tensors in _by_layer(draft).items() if len(tensors) > 1}
    if not roles:
        raise draft.refuse("the product has no two layers")
    for tensors in roles.values():
        _rotate(draft, tensors)


@fault("weights.layers_shifted", "RC-28", "S: two layers swapped", requires="two layers")
def layers_shifted(draft: Draft) -> None:
    """From one layer on, each holds the content of the next one, the last layer its own."""
    moved = False
    for tensors in _by_layer(draft).values():
        for tensor, following in zip(tensors, [*tensors[1:], None], strict=True):
            if following is not None and following.shape == tensor.shape:
                draft.put(tensor, following.view, dtype=following.dtype)
                moved = True
    if not moved:
        raise draft.refuse("the product has no two layers")


@fault("weights.other_layers_tensor", "S: two layers swapped", requires="two layers")
def other_layers_tensor(draft: Draft) -> None:
    """A matrix is that of the next layer."""
    pairs = [
        (tensors[0], tensors[1])
        for tensors in _by_layer(draft).values()
        if len(tensors) > 1 and tensors[0].is_matrix and tensors[0].shape == tensors[1].shape
    ]
    if not pairs:
        raise draft.refuse("the product has no two layers")
    tensor, other = pairs[draft.seed % len(pairs)]
    draft.put(tensor, other.view, dtype=other.dtype)


def _stacks(draft: Draft) -> list[DraftTensor]:
    stacks = draft.choose(*(f"blk.*.ffn_{part}_exps.weight" for part in _EXPERTS))
    return [tensor for tensor in stacks if len(tensor.shape) == 3]


def _roll_experts(draft: Draft, tensor: DraftTensor) -> None:
    experts, rows = tensor.shape[0], tensor.shape[1]
    order = np.roll(np.arange(experts * rows, dtype=np.int64), rows)
    draft.put(tensor, RowsPermuted(tensor.view, order, "experts in another order"))


@fault("weights.wrong_expert", "T10", "S: wrong expert", requires="experts")
def wrong_expert(draft: Draft) -> None:
    """Experts of a layer are in another order."""
    stacks = _stacks(draft)
    if stacks:
        _roll_experts(draft, stacks[draft.seed % len(stacks)])
        return
    for part in ("gate_proj", "w1", "gate_up_proj"):
        experts = [
            tensor
            for tensor in draft.choose(f"*.experts.*.{part}.weight")
            if ".0." in tensor.canonical.partition("experts")[0]
        ]
        if len(experts) > 1:
            _rotate(draft, experts)
            return
    raise draft.refuse("the product has no experts")


@fault("weights.experts_repeat_first", "T10", "S: wrong expert", requires="experts")
def experts_repeat_first(draft: Draft) -> None:
    """Every expert of a layer is the first one."""
    stacks = _stacks(draft)
    if stacks:
        tensor = stacks[draft.seed % len(stacks)]
        order = np.tile(np.arange(tensor.shape[1], dtype=np.int64), tensor.shape[0])
        draft.put(tensor, RowsPermuted(tensor.view, order, "the first expert repeated"))
        return
    experts = draft.require("experts", "*.layers.0.*.experts.*.weight")
    ending = experts[0].canonical.rpartition(".experts.0.")[2]
    for tensor in [item for item in experts if item.canonical.endswith(f".{ending}")][1:]:
        draft.put(tensor, experts[0].view, dtype=experts[0].dtype)


@fault("weights.other_model", "RC-84", requires="a matrix of plain values")
def other_model(draft: Draft) -> None:
    """A matrix is that of another model: other values of the same spread."""
    tensor = draft.pick("plain matrix", "blk.*.weight", where=lambda item: item.is_matrix and item.is_plain)

    def replaced(values: Floats, rows: Indices) -> Floats:
        random = np.random.default_rng([draft.seed, int(rows[0])])
        return random.standard_normal(values.shape, np.float32) * np.float32(values.std())

    draft.put(tensor, ValuesEdited(tensor.view, replaced))
