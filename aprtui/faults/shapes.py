"""Shapes that are wrong, over bytes that may be right."""

from __future__ import annotations

from aprtui.faults.draft import Draft, DraftTensor
from aprtui.faults.fault import fault
from aprtui.formats.views import Concatenated, Sliced, Transposed


def _oblong(tensor: DraftTensor) -> bool:
    """A matrix whose dims can be exchanged without leaving rows of broken blocks."""
    block = tensor.dtype.info.block
    rows, columns = tensor.shape if len(tensor.shape) == 2 else (0, 0)
    return rows != columns and min(rows, columns) > 1 and rows % block == 0 and columns % block == 0


def _reverse(draft: Draft, tensors: list[DraftTensor]) -> None:
    for tensor in tensors:
        draft.put(tensor, tensor.view, shape=tensor.shape[::-1])


@fault("structure.dims_reversed", "RC-08", "RC-09", "T2", requires="matrices that are not square")
def dims_reversed(draft: Draft) -> None:
    """The dims of every matrix are reversed over unchanged bytes."""
    _reverse(draft, draft.require("oblong matrices", where=_oblong))


@fault("structure.mlp_dims_reversed", "RC-15", requires="projections of the MLP that are not square")
def mlp_dims_reversed(draft: Draft) -> None:
    """The dims of the MLP's matrices are reversed over unchanged bytes."""
    _reverse(draft, draft.require("oblong matrices of an MLP", "blk.*.ffn_*.weight", where=_oblong))


@fault("structure.embedding_transposed", "RC-11", requires="a plain embedding")
def embedding_transposed(draft: Draft) -> None:
    """The embedding is stored as [hidden, vocabulary]."""
    tensor = draft.pick("plain embedding", "token_embd.weight", where=lambda item: item.is_plain and _oblong(item))
    draft.put(tensor, Transposed(tensor.view))


@fault("structure.head_transposed", "RC-12", requires="a plain head of its own")
def head_transposed(draft: Draft) -> None:
    """The head is stored as [hidden, vocabulary]."""
    tensor = draft.pick("plain head", "output.weight", where=lambda item: item.is_plain and _oblong(item))
    draft.put(tensor, Transposed(tensor.view))


@fault("structure.vocabulary_cut", "T15", "S: truncated tensor")
def vocabulary_cut(draft: Draft) -> None:
    """The last eight rows of the embedding are missing."""
    tensor = draft.pick("embedding", "token_embd.weight", where=lambda item: item.is_matrix and item.shape[0] > 8)
    draft.put(tensor, Sliced(tensor.view, 0, tensor.shape[0] - 8))


@fault("structure.vocabulary_padded", "T15", "S: truncated tensor")
def vocabulary_padded(draft: Draft) -> None:
    """The embedding has eight rows too many."""
    tensor = draft.pick("embedding", "token_embd.weight", where=lambda item: item.is_matrix and item.shape[0] > 8)
    draft.put(tensor, Concatenated((tensor.view, Sliced(tensor.view, 0, 8)), "padded"))


@fault("structure.rows_missing", "S: truncated tensor", requires="a matrix in a layer")
def rows_missing(draft: Draft) -> None:
    """A matrix lacks the second half of its rows."""
    tensor = draft.pick("matrix", "blk.*.weight", where=lambda item: item.is_matrix)
    draft.put(tensor, Sliced(tensor.view, 0, tensor.shape[0] // 2))


@fault("structure.flattened", "T7", requires="a matrix in a layer")
def flattened(draft: Draft) -> None:
    """A matrix is declared as a vector."""

    def fits(tensor: DraftTensor) -> bool:
        return tensor.is_matrix and tensor.shape[1] % tensor.dtype.info.block == 0

    tensor = draft.pick("matrix with rows of whole blocks", "blk.*.weight", where=fits)
    draft.put(tensor, tensor.view, shape=(tensor.view.elements,))
