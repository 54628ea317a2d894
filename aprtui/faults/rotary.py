"""Rows of q and k in the wrong order for rotary embedding."""

from __future__ import annotations

from aprtui.faults.draft import Draft, DraftTensor
from aprtui.faults.fault import BLOCK_FORMATS, fault
from aprtui.formats.layout.plan import model_row_order
from aprtui.formats.layout.steps import PermuteRotaryRows
from aprtui.formats.layout.transforms import hf_to_gguf
from aprtui.formats.names import RowOrder
from aprtui.formats.views import RowsPermuted, rotary_order
from aprtui.formats.views.base import Indices

_Q = "blk.*.attn_q.weight"
_K = "blk.*.attn_k.weight"


def _projections(draft: Draft, *roles: str) -> list[DraftTensor]:
    return draft.require("q and k projections of its own", *roles, where=lambda tensor: tensor.is_matrix)


def _heads(draft: Draft, tensor: DraftTensor) -> int:
    geometry = draft.model.geometry
    return geometry.kv_heads if ".attn_k." in tensor.role else geometry.heads


def rearranged_by_gguf(draft: Draft) -> bool:
    """Whether GGUF keeps the q and k rows of the product's architecture in another order than a checkpoint."""
    names = [tensor.canonical for tensor in draft.choose(_Q)]
    products = hf_to_gguf(draft.model.geometry).products(names)
    return any(isinstance(step, PermuteRotaryRows) for product in products for step in product.steps)


def _is_rearranged(draft: Draft) -> bool:
    """Whether the product holds q and k in that order."""
    return model_row_order(draft.model) is RowOrder.GGUF and rearranged_by_gguf(draft)


def _permute(draft: Draft, tensor: DraftTensor, heads: int, *, undo: bool = False) -> None:
    try:
        order = PermuteRotaryRows(heads, undo).order(tensor.shape[0])
    except ValueError as error:
        raise draft.refuse(str(error)) from None
    _reorder(draft, tensor, order)


def _reorder(draft: Draft, tensor: DraftTensor, order: Indices) -> None:
    draft.put(tensor, RowsPermuted(tensor.view, order, "rotary rows in the wrong order"))


@fault(
    "weights.rotary_missing",
    *("RC-61", "T3", "S: q/k permutation"),
    formats=BLOCK_FORMATS,
    requires="q and k rows in GGUF's order (llama and its kin)",
)
def rotary_missing(draft: Draft) -> None:
    """Rows of q and k are in Hugging Face's order where GGUF's belongs."""
    if not _is_rearranged(draft):
        raise draft.refuse("q and k rows of the product are in Hugging Face's order")
    for tensor in _projections(draft, _Q, _K):
        _permute(draft, tensor, _heads(draft, tensor), undo=True)


@fault(
    "weights.rotary_twice",
    *("RC-61", "T3", "S: q/k permutation"),
    formats=BLOCK_FORMATS,
    requires="q and k rows in GGUF's order (llama and its kin)",
)
def rotary_twice(draft: Draft) -> None:
    """Rows of q and k are rearranged a second time."""
    if not _is_rearranged(draft):
        raise draft.refuse("q and k rows of the product are in Hugging Face's order")
    for tensor in _projections(draft, _Q, _K):
        _permute(draft, tensor, _heads(draft, tensor))


@fault("weights.rotary_extra", "RC-61", "T3", "S: q/k permutation", requires="q and k rows in Hugging Face's order")
def rotary_extra(draft: Draft) -> None:
    """Rows of q and k are in GGUF's order where Hugging Face's belongs."""
    if _is_rearranged(draft):
        raise draft.refuse("q and k rows of the product are in GGUF's order")
    for tensor in _projections(draft, _Q, _K):
        _permute(draft, tensor, _heads(draft, tensor))


@fault(
    "weights.rotary_head_count",
    *("T3", "S: wrong head count"),
    requires="fewer kv heads than query heads",
)
def rotary_head_count(draft: Draft) -> None:
    """Rows of k are rearranged as if it had as many heads as q."""
    geometry = draft.model.geometry
    if geometry.heads == geometry.kv_heads:
        raise draft.refuse("the product has as many kv heads as query heads")
    rearranged = _is_rearranged(draft)
    for tensor in _projections(draft, _K):
        if rearranged:
            _permute(draft, tensor, geometry.kv_heads, undo=True)
        _permute(draft, tensor, geometry.heads)


@fault("weights.rotary_part", "T4", requires="q and k projections of its own")
def rotary_part(draft: Draft) -> None:
    """Only the first half of each head's rows is rearranged, as for partial rotary embedding."""
    head_dim = draft.model.geometry.head_dim
    for tensor in _projections(draft, _Q, _K):
        heads = _heads(draft, tensor)
        if head_dim % 4 or tensor.shape[0] != heads * head_dim:
            raise draft.refuse("rows do not divide into heads of a length that divides by four")
        _reorder(draft, tensor, rotary_order(heads, head_dim, rotary_dim=head_dim // 2))
