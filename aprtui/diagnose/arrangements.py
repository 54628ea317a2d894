"""Other orders of a tensor's elements: transposed, permuted, rolled, shifted, regrouped."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from aprtui.core.dtypes import DType
from aprtui.diagnose.hypothesis import Candidate, Context, Step
from aprtui.formats.layout.plan import TensorPair
from aprtui.formats.layout.steps import PermuteRotaryRows, RegroupQkv
from aprtui.formats.views import (
    Concatenated,
    PaddedRowsReadFlat,
    Reshaped,
    RowsPermuted,
    Shifted,
    Sliced,
    Stored,
    Transposed,
    View,
    rotary_order,
)
from aprtui.formats.views.base import Indices

_SUPER_BLOCK = 256
_ELEMENT_SHIFTS = (1, 2, 4, 8, 16, 32, 64, 128, 256)
_BLOCK_SHIFTS = (1, 2, 4, 8)
_ROLLS = (1, 2, 4, 8, 16, 32, 64, 128)
CODES = frozenset(
    {
        *("weights.transposed", "weights.columns_as_rows", "weights.conv1d_transposed"),
        *("weights.rotary_missing", "weights.rotary_extra", "weights.rotary_twice"),
        *("weights.rotary_head_count", "weights.rotary_part", "weights.qkv_regrouped", "weights.qkv_split_axis"),
        *("weights.padded_rows_read_flat", "weights.row_halves_swapped", "weights.rows_rolled"),
        "weights.elements_shifted",
    }
)
"""Causes that `transpositions` and `arrangements` name."""

_CONV1D = ("attn_qkv.weight", "attn_output.weight", "ffn_up.weight", "ffn_down.weight")


def transpositions(pair: TensorPair, context: Context) -> Iterator[Candidate]:
    """A matrix read across; costly to read, so `search` looks at single elements first."""
    view = pair.source
    if len(view.shape) != 2 or min(view.shape) < 2:
        return
    conv1d = context.geometry.architecture == "gpt2" and context.role(pair.name).endswith(_CONV1D)
    code = "weights.conv1d_transposed" if conv1d else "weights.transposed"
    yield Candidate((Step(code),), Reshaped(Transposed(view), view.shape))
    if view.shape[0] != view.shape[1]:
        yield Candidate((Step("weights.columns_as_rows"),), Transposed(Reshaped(view, view.shape[::-1])))


def arrangements(pair: TensorPair, context: Context) -> Iterator[Candidate]:
    """Rows and elements in another order, most likely first."""
    view = pair.source
    if not view.shape or view.shape[0] < 2:
        return
    yield from _rotary(pair, context)
    yield from _regrouped(pair, context)
    yield from _padding(view)
    yield from _rolled(view)
    yield from _shifted(pair)


def _rotary(pair: TensorPair, context: Context) -> Iterator[Candidate]:
    role = context.role(pair.name)
    part = next((part for part in ("attn_q.", "attn_k.") if part in role), None)
    if part is None:
        return
    geometry = context.geometry
    right = geometry.heads if part == "attn_q." else geometry.kv_heads
    others = (geometry.heads, geometry.kv_heads)
    rows = pair.source.shape[0]
    divisors = tuple(heads for heads in range(1, min(rows, 256)) if rows % (2 * heads) == 0)
    ordered = context.rearranged
    if ordered:
        yield from _reordered(pair.source, "weights.rotary_missing", right, "not rearranged", (True,))
        yield from _reordered(pair.source, "weights.rotary_twice", right, "rearranged twice", (False,))
    else:
        yield from _reordered(pair.source, "weights.rotary_extra", right, "rearranged", (False,))
        yield from _reordered(pair.source, "weights.rotary_extra", right, "rearranged backwards", (True,))
        yield from _reordered(pair.source, "weights.rotary_twice", right, "rearranged twice", (False, False))
    for heads in dict.fromkeys((*others, *divisors)):
        if heads != right:
            yield from _wrong_heads(pair.source, right, heads, ordered=ordered)
    for share in (2, 4):
        yield from _partly(pair.source, right, share)


def _reordered(view: View, code: str, heads: int, detail: str, directions: tuple[bool, ...]) -> Iterator[Candidate]:
    order = _composed(view.shape[0], tuple((heads, undo) for undo in directions))
    if order is not None:
        yield Candidate((Step(code, f"{detail}, {heads} heads"),), RowsPermuted(view, order, detail))


def _wrong_heads(view: View, right: int, heads: int, *, ordered: bool) -> Iterator[Candidate]:
    passes = ((right, True), (heads, False)) if ordered else ((heads, False),)
    order = _composed(view.shape[0], passes)
    if order is not None:
        step = Step("weights.rotary_head_count", f"rearranged for {heads} heads where there are {right}")
        yield Candidate((step,), RowsPermuted(view, order, step.detail))


def _composed(rows: int, passes: tuple[tuple[int, bool], ...]) -> Indices | None:
    order = np.arange(rows, dtype=np.int64)
    for heads, undo in passes:
        try:
            order = order[PermuteRotaryRows(heads, undo).order(rows)]
        except ValueError:
            return None
    # Heads of two rows have nothing to interleave.
    return None if np.array_equal(order, np.arange(rows)) else order


def _partly(view: View, heads: int, share: int) -> Iterator[Candidate]:
    rows = view.shape[0]
    if heads < 1 or rows % heads or (rows // heads) % (2 * share):
        return
    head_dim = rows // heads
    order = rotary_order(heads, head_dim, rotary_dim=head_dim // share)
    step = Step("weights.rotary_part", f"the first {head_dim // share} of {head_dim} rows of each head")
    yield Candidate((step,), RowsPermuted(view, order, step.detail))


def _regrouped(pair: TensorPair, context: Context) -> Iterator[Candidate]:
    role = context.role(pair.name)
    part = next((part for part in ("attn_q.", "attn_k.", "attn_v.") if part in role), None)
    if part is not None:
        names = [role.replace(part, other) for other in ("attn_q.", "attn_k.", "attn_v.")]
        by_role = {context.role(name): view for name, view in context.expected.items() if context.role(name) in names}
        parts = [by_role[name] for name in names if name in by_role]
        if len(parts) < 3 or len({view.shape[1:] for view in parts}) > 1:
            return
        whole: View = Concatenated(tuple(parts), "q, k and v")
        index = names.index(role)
        start = sum(view.shape[0] for view in parts[:index])
        stop = start + parts[index].shape[0]
        yield from (Candidate(found.steps, Sliced(found.view, start, stop)) for found in _whole_qkv(whole, context))
    elif "attn_qkv." in role:
        yield from _whole_qkv(pair.source, context)


def _whole_qkv(whole: View, context: Context) -> Iterator[Candidate]:
    geometry = context.geometry
    for undo in (True, False):
        try:
            order = RegroupQkv(geometry.heads, geometry.kv_heads, undo=undo).order(whole.shape[0])
        except ValueError:
            continue
        detail = "grouped by head" if undo else "ungrouped"
        yield Candidate((Step("weights.qkv_regrouped", detail),), RowsPermuted(whole, order, detail))
    if len(whole.shape) == 2:
        yield Candidate((Step("weights.qkv_split_axis"),), Reshaped(Transposed(whole), whole.shape))


def _padding(view: View) -> Iterator[Candidate]:
    if len(view.shape) == 2 and view.shape[1] % _SUPER_BLOCK:
        yield Candidate((Step("weights.padded_rows_read_flat"),), PaddedRowsReadFlat(view, _SUPER_BLOCK))


def _rolled(view: View) -> Iterator[Candidate]:
    rows = view.shape[0] if len(view.shape) < 3 else view.rows
    if rows % 2 == 0 and rows > 2:
        order = np.roll(np.arange(rows, dtype=np.int64), rows // 2)
        step = Step("weights.row_halves_swapped", "halves of the rows exchanged")
        yield Candidate((step,), RowsPermuted(view, order, step.detail))
    for distance in (by for by in _ROLLS if by < rows and 2 * by != rows):
        for by in (distance, -distance):
            order = np.roll(np.arange(rows, dtype=np.int64), by)
            step = Step("weights.rows_rolled", f"rows rolled by {by}")
            yield Candidate((step,), RowsPermuted(view, order, step.detail))


def _shifted(pair: TensorPair) -> Iterator[Candidate]:
    view = pair.source
    block = pair.view.dtype.info.block if isinstance(pair.view, Stored) else 1
    shifts = _ELEMENT_SHIFTS if block == 1 else tuple(block * count for count in _BLOCK_SHIFTS)
    for distance in (by for by in shifts if by < view.elements):
        for by in (distance, -distance):
            step = Step("weights.elements_shifted", f"by {by} elements")
            yield Candidate((step,), Shifted(view, by))


def encoded_flat(pair: TensorPair) -> tuple[View, View] | None:
    """Both sides as one run of super-blocks, for K-quants whose padded rows were encoded without their padding."""
    tensor, elements = pair.target, pair.source.elements
    block = tensor.dtype.info.block
    if not tensor.padded_rows or block != _SUPER_BLOCK or elements % block or tensor.dtype is DType.Q8_K:
        return None
    shape = (elements // block, block)
    nbytes = elements // block * tensor.dtype.info.nbytes
    return Reshaped(pair.source, shape), Stored(replace(tensor, shape=shape, nbytes=nbytes))
