"""Rows, parts and bytes of a tensor in the wrong place."""

from __future__ import annotations

import numpy as np

from aprtui.faults.draft import Draft, DraftTensor
from aprtui.faults.fault import BLOCK_FORMATS, fault
from aprtui.formats.layout.steps import RegroupQkv
from aprtui.formats.views import (
    ColumnsPermuted,
    Concatenated,
    Reshaped,
    RowsPermuted,
    Shifted,
    Sliced,
    Transposed,
    View,
)

_QKV = ("attn_q", "attn_k", "attn_v")


def _matrix(draft: Draft) -> DraftTensor:
    return draft.pick("matrix", "blk.*.weight", where=lambda tensor: tensor.is_matrix)


def _roll(draft: Draft, tensor: DraftTensor, by: int) -> None:
    order = np.roll(np.arange(tensor.shape[0], dtype=np.int64), by)
    draft.put(tensor, RowsPermuted(tensor.view, order, f"rows rolled by {by}"))


@fault("weights.rows_rolled", "S: row roll", requires="a matrix")
def rows_rolled(draft: Draft) -> None:
    """Rows of a matrix are rolled by one."""
    _roll(draft, _matrix(draft), 1)


@fault("weights.row_halves_swapped", "T11", "S: half swap", requires="a matrix with an even number of rows")
def row_halves_swapped(draft: Draft) -> None:
    """The two halves of a matrix's rows are exchanged."""
    even = draft.pick("matrix", "blk.*.weight", where=lambda tensor: tensor.is_matrix and tensor.shape[0] % 2 == 0)
    _roll(draft, even, even.shape[0] // 2)


@fault("weights.two_rows_swapped", "S: row roll", requires="a matrix")
def two_rows_swapped(draft: Draft) -> None:
    """Two rows of a matrix are exchanged."""
    tensor = _matrix(draft)
    order = np.arange(tensor.shape[0], dtype=np.int64)
    order[[0, -1]] = order[[-1, 0]]
    draft.put(tensor, RowsPermuted(tensor.view, order, "two rows exchanged"))


@fault("weights.heads_reversed", "S: row roll", requires="q projections of four heads or more")
def heads_reversed(draft: Draft) -> None:
    """Heads of q are in reverse order."""
    heads = draft.model.geometry.heads

    def splits(tensor: DraftTensor) -> bool:
        return tensor.is_matrix and heads > 3 and tensor.shape[0] % heads == 0

    tensor = draft.pick("q projection of four heads or more", "blk.*.attn_q.weight", where=splits)
    order = np.arange(tensor.shape[0], dtype=np.int64).reshape(heads, -1)[::-1].reshape(-1)
    draft.put(tensor, RowsPermuted(tensor.view, order, "heads reversed"))


@fault("weights.rows_repeated", "RC-44", requires="a matrix of four rows or more")
def rows_repeated(draft: Draft) -> None:
    """The first quarter of a matrix's rows comes twice, the second is lost."""
    tensor = draft.pick("matrix", "blk.*.weight", where=lambda item: item.is_matrix and item.shape[0] > 3)
    order, quarter = np.arange(tensor.shape[0], dtype=np.int64), tensor.shape[0] // 4
    order[quarter : 2 * quarter] = order[:quarter]
    draft.put(tensor, RowsPermuted(tensor.view, order, "rows repeated"))


@fault("weights.columns_reversed", "S: row roll", requires="a matrix of plain values")
def columns_reversed(draft: Draft) -> None:
    """Columns of a matrix are in reverse order."""
    tensor = draft.pick("plain matrix", "blk.*.weight", where=lambda item: item.is_matrix and item.is_plain)
    order = np.arange(tensor.shape[1], dtype=np.int64)[::-1]
    draft.put(tensor, ColumnsPermuted(tensor.view, order, "columns reversed"))


def _exchange(draft: Draft, a: DraftTensor, b: DraftTensor) -> None:
    first, first_type = a.view, a.dtype
    draft.put(a, b.view, dtype=b.dtype)
    draft.put(b, first, dtype=first_type)


def _swap_roles(draft: Draft, one: str, other: str) -> None:
    """Exchange two roles of one shape in every layer; fused tensors exchange their halves."""
    for tensor in draft.require(f"{one} and {other} of one shape", f"blk.*.{one}.weight"):
        partner = draft.role(tensor.role.replace(one, other))
        if partner is None or partner.shape != tensor.shape:
            raise draft.refuse(f"the product has no {one} and {other} of one shape")
        _exchange(draft, tensor, partner)


@fault("weights.gate_up_swapped", "T11", "S: half swap", requires="gate and up projections")
def gate_up_swapped(draft: Draft) -> None:
    """Gate and up projections are exchanged."""
    _swap_roles(draft, "ffn_gate", "ffn_up")


@fault("weights.gate_up_halves_swapped", "T11", "S: half swap", requires="a fused gate and up projection (phi3)")
def gate_up_halves_swapped(draft: Draft) -> None:
    """The halves of a fused gate and up projection are exchanged."""
    for tensor in draft.require("fused gate and up projection", "blk.*.ffn_up.weight"):
        if draft.role(tensor.role.replace("ffn_up", "ffn_gate")) or "gate_up" not in tensor.canonical:
            raise draft.refuse("the product has no fused gate and up projection")
        _roll(draft, tensor, tensor.shape[0] // 2)


@fault("weights.k_v_swapped", "T9", "S: qkv regroup", requires="k and v projections")
def k_v_swapped(draft: Draft) -> None:
    """Key and value projections are exchanged."""
    _swap_roles(draft, "attn_k", "attn_v")


@fault("weights.q_o_swapped", "T9", requires="square q and o projections")
def q_o_swapped(draft: Draft) -> None:
    """Query and output projections are exchanged."""
    _swap_roles(draft, "attn_q", "attn_output")


def _fused(draft: Draft, layer_q: DraftTensor) -> tuple[list[DraftTensor], View]:
    parts = [draft.role(layer_q.role.replace("attn_q", name)) for name in _QKV]
    found = [part for part in parts if part is not None]
    if len(found) < len(_QKV) or len({part.shape[1:] for part in found}) > 1:
        raise draft.refuse("the product has no q, k and v projections of one width")
    return found, Concatenated(tuple(part.view for part in found), "q, k and v")


def _cut(draft: Draft, parts: list[DraftTensor], whole: View) -> None:
    start = 0
    for part in parts:
        draft.put(part, Sliced(whole, start, start + part.shape[0]))
        start += part.shape[0]


def _separate(draft: Draft) -> list[DraftTensor]:
    return draft.choose("blk.*.attn_q.weight", where=lambda tensor: tensor.is_matrix)


@fault("weights.qkv_split_axis", "RC-17", "T9", requires="q, k and v projections")
def qkv_split_axis(draft: Draft) -> None:
    """A fused q, k and v projection was split along the wrong axis."""
    layers = _separate(draft)
    for query in layers:
        parts, whole = _fused(draft, query)
        _cut(draft, parts, Reshaped(Transposed(whole), whole.shape))
    if not layers:
        for tensor in draft.require("q, k and v projections", "blk.*.attn_qkv.weight"):
            draft.put(tensor, Reshaped(Transposed(tensor.view), tensor.shape))


@fault("weights.qkv_regrouped", "RC-17", "T9", "S: qkv regroup", requires="q, k and v projections")
def qkv_regrouped(draft: Draft) -> None:
    """Rows of q, k and v are grouped by head where all q, all k and all v belong."""
    geometry = draft.model.geometry
    regroup = RegroupQkv(geometry.heads, geometry.kv_heads, undo=True)
    layers = _separate(draft)
    for tensor in layers or draft.require("q, k and v projections", "blk.*.attn_qkv.weight"):
        parts, whole = _fused(draft, tensor) if layers else ([tensor], tensor.view)
        try:
            order = regroup.order(whole.shape[0])
        except ValueError as error:
            raise draft.refuse(str(error)) from None
        moved = RowsPermuted(whole, order, "grouped by head")
        _cut(draft, parts, moved)


@fault("weights.elements_shifted", "RC-20", "S: wrong offset", requires="a matrix of plain values")
def elements_shifted(draft: Draft) -> None:
    """Elements of a matrix are shifted by sixteen, as a wrong offset does."""
    plain = draft.pick("plain matrix", "blk.*.weight", where=lambda tensor: tensor.is_matrix and tensor.is_plain)
    draft.put(plain, Shifted(plain.view, 16))


@fault(
    "weights.blocks_shifted",
    *("RC-20", "S: block shift"),
    formats=BLOCK_FORMATS,
    requires="quantised blocks that start each row anew",
)
def blocks_shifted(draft: Draft) -> None:
    """Blocks of a tensor are shifted by one."""
    tensor = draft.pick("quantised matrix", where=lambda item: item.is_blocks and _whole_rows(item))
    info = tensor.dtype.info
    # One row per block: rows of blocks roll without being decoded.
    by_block = Reshaped(tensor.view, (tensor.view.elements // info.block, info.block))
    if by_block.dtype != tensor.dtype:
        order = np.roll(np.arange(tensor.shape[0], dtype=np.int64), 1)
        draft.put(tensor, RowsPermuted(tensor.view, order, "blocks shifted"))
        return
    draft.put(tensor, Shifted(tensor.view, info.block))


def _whole_rows(tensor: DraftTensor) -> bool:
    return tensor.is_matrix and tensor.shape[1] % tensor.dtype.info.block == 0
