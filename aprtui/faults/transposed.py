"""Transpositions: the right shape over the wrong order of elements."""

from __future__ import annotations

from aprtui.faults.draft import Draft, DraftTensor
from aprtui.faults.fault import fault
from aprtui.formats.layout.plan import embedding_name
from aprtui.formats.views import Reshaped, Transposed, View

_CONV1D = ("blk.*.attn_qkv.weight", "blk.*.attn_output.weight", "blk.*.ffn_up.weight", "blk.*.ffn_down.weight")


def _is_square(tensor: DraftTensor) -> bool:
    return tensor.is_matrix and tensor.shape[0] == tensor.shape[1]


def _is_oblong(tensor: DraftTensor) -> bool:
    return tensor.is_matrix and tensor.shape[0] != tensor.shape[1]


def _transpose(draft: Draft, tensor: DraftTensor) -> None:
    draft.put(tensor, Reshaped(Transposed(tensor.view), tensor.shape))


@fault("weights.transposed", "RC-10", "RC-14", "T2", "S: transpose", requires="a matrix that is not square")
def transposed(draft: Draft) -> None:
    """A matrix is stored transposed under its right shape; blocks are decoded and encoded again."""
    _transpose(draft, draft.pick("oblong matrix", "blk.*.weight", where=_is_oblong))


@fault("weights.transposed_square", "RC-10", "T2", "S: transpose", requires="a square matrix")
def transposed_square(draft: Draft) -> None:
    """A square matrix is transposed, which no shape shows."""
    _transpose(draft, draft.pick("square matrix", "blk.*.weight", where=_is_square))


@fault("weights.transposed_everywhere", "RC-10", "RC-14", "S: transpose", requires="matrices in layers")
def transposed_everywhere(draft: Draft) -> None:
    """Every matrix of every layer is transposed."""
    for tensor in draft.require("matrix", "blk.*.weight", where=lambda tensor: tensor.is_matrix):
        _transpose(draft, tensor)


@fault("weights.conv1d_transposed", "RC-16", "T8", requires="Conv1D modules (gpt2)")
def conv1d_transposed(draft: Draft) -> None:
    """Weights of Conv1D modules were not transposed, or twice."""
    if draft.model.geometry.architecture != "gpt2":
        raise draft.refuse("only gpt2 has Conv1D modules")
    for tensor in draft.require("Conv1D module", *_CONV1D, where=lambda tensor: tensor.is_matrix):
        _transpose(draft, tensor)


@fault("weights.tied_head_transposed", "RC-13", requires="a head tied to the embedding")
def tied_head_transposed(draft: Draft) -> None:
    """A tied head is written out transposed under the right shape."""
    name = embedding_name(draft.model)
    if name is None or not draft.model.config.values.get("tie_word_embeddings"):
        raise draft.refuse("the product has no tied head")
    embedding = draft.pick("embedding with values of its own", name, where=lambda tensor: tensor.is_plain)
    view = Reshaped(Transposed(embedding.view), embedding.shape)
    write_head(draft, embedding, view)


def write_head(draft: Draft, embedding: DraftTensor, view: View) -> DraftTensor:
    """Give a tied model a head of its own, in the place of the copy or placeholder that it may have."""
    for tensor in draft.tensors:
        if tensor.role == "output.weight":
            draft.put(tensor, view, dtype=embedding.dtype)
            return tensor
    name = "output.weight" if embedding.name.startswith("token") else "lm_head.weight"
    return draft.add(embedding, "lm_head.weight", name, view)


@fault("weights.columns_as_rows", "RC-11", "RC-12", requires="a matrix that is not square")
def columns_as_rows(draft: Draft) -> None:
    """A matrix is read column by column into rows, its shape reversed and reversed back."""
    tensor = draft.pick(
        "oblong matrix of plain values", "blk.*.weight", where=lambda item: _is_oblong(item) and item.is_plain
    )
    draft.put(tensor, Transposed(Reshaped(tensor.view, tensor.shape[::-1])))
