"""Values that are wrong where their place is right."""

from __future__ import annotations

import numpy as np

from aprtui.core.dtypes import DType
from aprtui.faults.draft import Draft, DraftTensor
from aprtui.faults.fault import fault
from aprtui.formats.layout.plan import head_name
from aprtui.formats.views import Added, Scaled
from aprtui.formats.views.base import Indices
from aprtui.formats.views.edited import Floats

_PLAIN = "a matrix of plain values"


def _matrix(draft: Draft) -> DraftTensor:
    return draft.pick("plain matrix", "blk.*.weight", where=lambda tensor: tensor.is_matrix and tensor.is_plain)


def _put_value(draft: Draft, tensor: DraftTensor, value: float) -> None:
    """One value in the middle of the first row."""

    def change(values: Floats, rows: Indices) -> Floats:
        out = values.copy()
        out[rows == 0, values.shape[1] // 2] = value
        return out

    draft.change_values(tensor, change)


def _in_first_row(draft: Draft, tensor: DraftTensor, value: float) -> None:
    def change(values: Floats, rows: Indices) -> Floats:
        out = values.copy()
        out[rows == 0] = value
        return out

    draft.change_values(tensor, change)


def _embedding(draft: Draft) -> DraftTensor:
    """The embedding; a head that is a copy of it suffers too."""
    draft.touch(head_name(draft.model))
    return draft.pick("plain embedding", "token_embd.weight", where=lambda item: item.is_plain)


@fault("weights.scaled", "T13", "S: scalar", requires=_PLAIN)
def scaled(draft: Draft) -> None:
    """A matrix is multiplied by 1.01, as a scalar that was folded into it, or forgotten, does."""
    tensor = _matrix(draft)
    draft.put(tensor, Scaled(tensor.view, 1.01))


@fault("weights.block_factors", "T18", "S: scalar", requires=_PLAIN)
def block_factors(draft: Draft) -> None:
    """Factors of blocks of rows were not multiplied in, as when a source keeps them in a tensor of their own."""
    factors = np.array([1.0, 0.5, 2.0, 1.5], np.float32)
    draft.change_values(_matrix(draft), lambda values, rows: values * factors[rows // 8 % 4][:, None])


@fault("weights.embedding_scaled", "RC-72", "T13", "S: scalar", requires="an embedding of plain values")
def embedding_scaled(draft: Draft) -> None:
    """The embedding is multiplied by the square root of its width, which gemma does when it runs."""
    tensor = _embedding(draft)
    draft.put(tensor, Scaled(tensor.view, float(tensor.shape[1]) ** 0.5))


@fault("weights.negated", "T6", "S: sign", requires=_PLAIN)
def negated(draft: Draft) -> None:
    """The signs of a matrix are turned round."""
    tensor = _matrix(draft)
    draft.put(tensor, Scaled(tensor.view, -1.0))


def _norms(draft: Draft) -> list[DraftTensor]:
    return draft.require(
        "norm weights", "*norm.weight", "*ln_?.weight", "*layernorm.weight", where=lambda tensor: tensor.is_plain
    )


@fault("weights.norm_plus_one_doubled", "RC-72", "T5", "S: norm +1", requires="norm weights")
def norm_plus_one_doubled(draft: Draft) -> None:
    """One is added to norm weights, though it was there already or does not belong there."""
    for tensor in _norms(draft):
        draft.put(tensor, Added(tensor.view, 1.0))


@fault("weights.norm_plus_one_missing", "RC-72", "T5", "S: norm +1", requires="norm weights")
def norm_plus_one_missing(draft: Draft) -> None:
    """One is missing from norm weights."""
    for tensor in _norms(draft):
        draft.put(tensor, Added(tensor.view, -1.0))


@fault("weights.constant", "S: zeros", requires=_PLAIN)
def constant(draft: Draft) -> None:
    """A matrix holds one value everywhere."""
    draft.change_values(_matrix(draft), lambda values, _: np.full_like(values, 0.02))


@fault("weights.zeroed", "RC-44", "RC-50", "S: zeros", requires=_PLAIN)
def zeroed(draft: Draft) -> None:
    """A matrix holds nothing but zeros."""
    draft.change_values(_matrix(draft), lambda values, _: np.zeros_like(values))


@fault("weights.row_zeroed", "RC-44", "S: zeros", requires=_PLAIN)
def row_zeroed(draft: Draft) -> None:
    """One row of a matrix is zero."""
    _in_first_row(draft, _matrix(draft), 0.0)


@fault("weights.end_zeroed", "RC-44", "S: zeros", requires=_PLAIN)
def end_zeroed(draft: Draft) -> None:
    """The last row of a matrix, and the half of the one before it, are zero."""
    tensor = _matrix(draft)
    rows, half = tensor.shape[0], tensor.shape[1] // 2

    def without_end(values: Floats, numbers: Indices) -> Floats:
        changed = values.copy()
        changed[numbers == rows - 1] = 0
        changed[numbers == rows - 2, half:] = 0
        return changed

    draft.change_values(tensor, without_end)


@fault("weights.embedding_mostly_zero", "RC-50", "S: zeros", requires="an embedding of plain values")
def embedding_mostly_zero(draft: Draft) -> None:
    """Of the embedding, only every twentieth row is not zero."""
    tensor = _embedding(draft)
    draft.change_values(tensor, lambda values, rows: np.where((rows % 20 == 0)[:, None], values, np.float32(0)))


@fault("weights.biases_zeroed", "RC-25", "S: zeros", requires="biases of q, k and v")
def biases_zeroed(draft: Draft) -> None:
    """The biases of q, k and v are zero."""
    for tensor in draft.require("biases of q, k and v", "blk.*.attn_[qkv].bias", "blk.*.attn_qkv.bias"):
        draft.change_values(tensor, lambda values, _: np.zeros_like(values))


@fault("weights.one_value", "S: zeros", requires=_PLAIN)
def one_value(draft: Draft) -> None:
    """One value of a matrix differs."""
    _put_value(draft, _matrix(draft), 0.5)


@fault("weights.last_bit", "S: cast rounding", requires=_PLAIN)
def last_bit(draft: Draft) -> None:
    """The last bit of one value of a matrix differs."""
    tensor = _matrix(draft)

    def change(
        raw: np.ndarray[tuple[int, ...], np.dtype[np.uint8]], numbers: Indices
    ) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
        raw[numbers == 7, 0] ^= 1
        return raw

    draft.change_blocks(tensor, change)


@fault("integrity.not_a_number", "RC-47", "S: NaN and infinity", requires=_PLAIN)
def not_a_number(draft: Draft) -> None:
    """One value of a matrix is not a number."""
    _put_value(draft, _matrix(draft), float("nan"))


@fault("integrity.infinite", "RC-47", "S: NaN and infinity", requires=_PLAIN)
def infinite(draft: Draft) -> None:
    """One value of a matrix is infinite."""
    _put_value(draft, _matrix(draft), float("inf"))


@fault("weights.overflowed", "RC-37", "S: NaN and infinity", requires=_PLAIN, asked_for="f16")
def overflowed(draft: Draft) -> None:
    """A value became infinite in float16."""
    tensor = _matrix(draft)
    _put_value(draft, tensor, 1e6)
    tensor.dtype = DType.F16


@fault("weights.small_values_flushed", "RC-37", "RC-46", requires=_PLAIN)
def small_values_flushed(draft: Draft) -> None:
    """The smallest tenth of a matrix's values was flushed to zero."""
    tensor = _matrix(draft)

    def change(values: Floats, _: Indices) -> Floats:
        return np.where(np.abs(values) < np.quantile(np.abs(values), 0.1), np.float32(0), values)

    draft.change_values(tensor, change)
