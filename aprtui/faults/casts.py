"""Casts and labels: bits read as another type, rounded the wrong way, or rounded once too often."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from aprtui.core.dtypes import DType
from aprtui.faults.draft import Choice, Draft, DraftTensor
from aprtui.faults.fault import fault
from aprtui.formats.codecs import ENCODABLE, decode_chunk, encode
from aprtui.formats.container import Format
from aprtui.formats.views import View
from aprtui.formats.views.base import Indices
from aprtui.formats.views.edited import Floats, ValuesEdited
from aprtui.formats.views.elements import Reinterpreted
from aprtui.formats.views.reblock import Packing, Reblocked

_FULL = (DType.F32, DType.F16)


def _matrices(draft: Draft, *dtypes: DType) -> list[DraftTensor]:
    names = " or ".join(dtypes)
    return draft.require(f"matrix of {names}", where=lambda item: item.is_matrix and item.dtype in dtypes)


def _relabel(draft: Draft, old: DType, new: DType) -> None:
    for tensor in _matrices(draft, old):
        draft.put(tensor, Reinterpreted(tensor.view, new), dtype=new)


@fault("weights.bf16_labelled_f16", "RC-35", "S: wrong dtype read", requires="matrices of BF16")
def bf16_labelled_f16(draft: Draft) -> None:
    """Bytes of BF16 are labelled F16."""
    _relabel(draft, DType.BF16, DType.F16)


@fault("weights.f16_labelled_bf16", "RC-35", "S: wrong dtype read", requires="matrices of F16")
def f16_labelled_bf16(draft: Draft) -> None:
    """Bytes of F16 are labelled BF16."""
    _relabel(draft, DType.F16, DType.BF16)


@fault(
    "weights.apr_q4_labelled_q4_k",
    *("RC-33", "RC-53"),
    formats=frozenset({Format.APR}),
    requires="matrices of AprQ4 whose elements fill super-blocks",
)
def apr_q4_labelled_q4_k(draft: Draft) -> None:
    """Bytes of apr's own 4-bit type are labelled Q4_K, whose blocks take as much room."""
    fitting = [tensor for tensor in _matrices(draft, DType.APR_Q4) if tensor.shape[1] % 256 == 0]
    if not fitting:
        raise draft.refuse("no matrix of AprQ4 has rows of whole super-blocks")
    for tensor in fitting:
        draft.put(tensor, Reinterpreted(tensor.view, DType.Q4_K), dtype=DType.Q4_K)


@fault(
    "weights.q4_0_labelled_iq4_nl",
    *("RC-33", "RC-53"),
    formats=frozenset({Format.GGUF}),
    requires="matrices of Q4_0 or IQ4_NL",
)
def q4_0_labelled_iq4_nl(draft: Draft) -> None:
    """Blocks of Q4_0 are labelled IQ4_NL, whose blocks are as large, or the reverse."""
    others = {DType.Q4_0: DType.IQ4_NL, DType.IQ4_NL: DType.Q4_0}
    for tensor in _matrices(draft, *others):
        draft.put(tensor, Reinterpreted(tensor.view, others[tensor.dtype]), dtype=others[tensor.dtype])


@fault("weights.byte_order", "RC-33", "S: wrong dtype read", requires="matrices of plain values")
def byte_order(draft: Draft) -> None:
    """The bytes of each element of a matrix are in the opposite order."""
    tensor = draft.pick("plain matrix", "blk.*.weight", where=lambda item: item.is_matrix and item.is_plain)
    draft.put(tensor, Reblocked(tensor.view, Packing.BYTE_ORDER))


def _truncated(values: Floats, _: Indices) -> Floats:
    return (values.view(np.uint32) & np.uint32(0xFFFF0000)).view(np.float32)


def _rounded(values: Floats, _: Indices) -> Floats:
    bits = encode(DType.BF16, values).view("<u2").astype(np.uint32) << np.uint32(16)
    return bits.view(np.float32).reshape(values.shape)


def _spans(view: View) -> Iterator[Floats]:
    """All values of a view, a million at a time."""
    rows = max(1, (1 << 20) // max(1, view.columns))
    for at in range(0, view.rows, rows):
        chunk = view.gather(np.arange(at, min(at + rows, view.rows), dtype=np.int64))
        yield decode_chunk(chunk).astype(np.float32).reshape(-1)


def _made_of_more(draft: Draft, where: Choice) -> list[DraftTensor]:
    """Tensors made of values that BF16 cannot hold."""

    def fits(tensor: DraftTensor) -> bool:
        view = draft.honest(tensor)
        if not tensor.shape or not where(tensor) or view.dtype not in _FULL:
            return False
        return any((values.view(np.uint32) & np.uint32(0xFFFF)).any() for values in _spans(view))

    return draft.require("tensor made of values that BF16 rounds", where=fits)


@fault(
    "weights.truncated_cast",
    *("RC-37", "T17", "S: cast rounding"),
    requires="matrices made of F32 or F16 values",
    asked_for="bf16",
)
def truncated_cast(draft: Draft) -> None:
    """Values were cut to BF16 instead of rounded."""
    for tensor in _made_of_more(draft, lambda item: item.is_matrix and item.is_plain):
        draft.put(tensor, ValuesEdited(draft.honest(tensor), _truncated), dtype=DType.BF16)


@fault(
    "weights.through_bf16",
    *("RC-37", "S: cast rounding"),
    requires="F32 or F16 values that BF16 rounds",
)
def through_bf16(draft: Draft) -> None:
    """Values took a detour through BF16 before they were stored."""
    for tensor in _made_of_more(draft, lambda item: item.is_plain or (item.is_matrix and item.dtype in ENCODABLE)):
        draft.put(tensor, ValuesEdited(draft.honest(tensor), _rounded))


def _largest(view: View) -> float:
    """The largest magnitude of a view."""
    return max(float(np.abs(values).max()) for values in _spans(view))


def _on_grid(draft: Draft, levels: int) -> None:
    for tensor in draft.require("plain matrix", "blk.*.weight", where=lambda item: item.is_matrix and item.is_plain):
        step = np.float32(_largest(tensor.view) / levels)

        def snapped(values: Floats, _: Indices, step: np.float32 = step) -> Floats:
            return np.round(values / step) * step

        draft.put(tensor, ValuesEdited(tensor.view, snapped), dtype=DType.F32)


@fault("weights.int8_grid", "RC-51", requires="matrices of plain values")
def int8_grid(draft: Draft) -> None:
    """Weights are F32 on a grid of 255 levels, as apr's simulated int8 writes them."""
    _on_grid(draft, 127)


@fault("weights.int4_grid", "RC-51", requires="matrices of plain values")
def int4_grid(draft: Draft) -> None:
    """Weights are F32 on a grid of 15 levels, as apr's simulated int4 writes them."""
    _on_grid(draft, 7)
