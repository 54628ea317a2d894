"""The set of tensors: some are missing, some do not belong, some have another's name."""

from __future__ import annotations

import numpy as np

from aprtui.core.dtypes import DType
from aprtui.faults.draft import Draft, DraftTensor
from aprtui.faults.fault import fault
from aprtui.faults.rotary import rearranged_by_gguf
from aprtui.formats.container import Format
from aprtui.formats.layout.steps import PermuteRotaryRows
from aprtui.formats.views import Concatenated, RowsPermuted
from aprtui.formats.views.computed import Computed
from aprtui.formats.views.shape import Reshaped


@fault("structure.tensor_missing", "RC-29", "T1", requires="a matrix in a layer")
def tensor_missing(draft: Draft) -> None:
    """A matrix of a layer is missing."""
    draft.remove([draft.pick("matrix", "blk.*.weight", where=lambda tensor: tensor.is_matrix)])


@fault("structure.final_norm_missing", "RC-29")
def final_norm_missing(draft: Draft) -> None:
    """The final norm is missing."""
    draft.remove(draft.require("final norm", "output_norm.weight"))


@fault("structure.biases_missing", "RC-25", requires="biases of q, k and v")
def biases_missing(draft: Draft) -> None:
    """The biases of q, k and v are missing."""
    draft.remove(draft.require("biases of q, k and v", "blk.*.attn_[qkv].bias", "blk.*.attn_qkv.bias"))


@fault("structure.qk_norms_missing", "RC-30", requires="norms of q and k (qwen3, gemma3)")
def qk_norms_missing(draft: Draft) -> None:
    """The norms of q and k are missing."""
    draft.remove(draft.require("norms of q and k", "blk.*.attn_[qk]_norm.weight"))


@fault("structure.head_missing", "RC-26", "T15", "S: tied head", requires="a head that is not tied")
def head_missing(draft: Draft) -> None:
    """The head of an untied model is missing."""
    if draft.model.config.values.get("tie_word_embeddings"):
        raise draft.refuse("the head of the product is tied to the embedding")
    draft.remove(draft.require("head of its own", "output.weight"))


@fault("structure.layers_missing", "RC-28", requires="two layers")
def layers_missing(draft: Draft) -> None:
    """The second half of the layers is missing, as when only the first shard was converted."""
    layers = {
        int(tensor.role.split(".")[1]) for tensor in draft.require("layers", "blk.*") if tensor.role[4].isdecimal()
    }
    if len(layers) < 2:
        raise draft.refuse("the product has one layer")
    half = (max(layers) + 1) // 2
    draft.remove(tensor for tensor in draft.choose("blk.*") if int(tensor.role.split(".")[1]) >= half)


@fault("structure.first_shard_only", "RC-28", formats=frozenset({Format.SAFETENSORS}), requires="several shards")
def first_shard_only(draft: Draft) -> None:
    """Only the tensors of the first shard are there."""
    files = list(dict.fromkeys(tensor.file for tensor in draft.tensors))
    if len(files) < 2:
        raise draft.refuse("the product is one file")
    draft.remove(tensor for tensor in draft.tensors if tensor.file != files[0])


@fault("structure.expert_missing", "T10", formats=frozenset({Format.SAFETENSORS, Format.APR}), requires="experts")
def expert_missing(draft: Draft) -> None:
    """An expert of the first layer is missing."""
    experts = draft.require("experts of their own", "*.layers.0.*.experts.1.*")
    draft.remove(experts)


@fault("structure.rope_factors_missing", "T16", formats=frozenset({Format.GGUF}), requires="rope factors as tensors")
def rope_factors_missing(draft: Draft) -> None:
    """The factors of scaled rotary embedding are missing."""
    draft.remove(draft.require("rope factors", "rope_freqs.weight", "rope_factors_*.weight"))


@fault("weights.rope_factors_one", "T16", formats=frozenset({Format.GGUF}), requires="rope factors as tensors")
def rope_factors_one(draft: Draft) -> None:
    """The factors of scaled rotary embedding are all one."""
    for tensor in draft.require("rope factors", "rope_freqs.weight", "rope_factors_*.weight"):
        draft.change_values(tensor, lambda values, _: np.ones_like(values))


def _add_zeros(draft: Draft, like: DraftTensor, name: str, shape: tuple[int, ...]) -> None:
    count = int(np.prod(shape))
    draft.add(like, name, name, Reshaped(Computed((0.0,) * count, "zeros"), shape), DType.F32)


@fault("structure.extra_tensor", "RC-31", "T1")
def extra_tensor(draft: Draft) -> None:
    """There is a tensor that the source does not have."""
    _add_zeros(draft, draft.tensors[0], "unexplained.weight", (4, 32))


@fault("structure.mask_buffer", "RC-31", requires="a GGUF or APR of gpt2", formats=frozenset({Format.GGUF, Format.APR}))
def mask_buffer(draft: Draft) -> None:
    """The buffer of the causal mask is exported as a weight."""
    if draft.model.geometry.architecture != "gpt2":
        raise draft.refuse("only gpt2 has buffers of a causal mask")
    _add_zeros(draft, draft.tensors[0], "transformer.h.0.attn.bias", (1, 1, 8, 8))


@fault("structure.prefix_doubled", "RC-22", "T1")
def prefix_doubled(draft: Draft) -> None:
    """Every name has a prefix that does not belong there."""
    for tensor in draft.tensors:
        tensor.name = f"base_model.{tensor.name}"
        draft.touch(tensor.canonical)


@fault("structure.name_of_other_role", "RC-32", "T1", requires="a matrix in a layer")
def name_of_other_role(draft: Draft) -> None:
    """A matrix of a layer has a name that no architecture knows."""
    tensor = draft.pick("matrix", "blk.*.weight", where=lambda item: item.is_matrix)
    tensor.name = tensor.name.replace(".weight", "_matrix.weight")
    draft.touch(tensor.canonical)


def _give_gguf_names(draft: Draft) -> None:
    if len({tensor.role for tensor in draft.tensors}) < len(draft.tensors):
        raise draft.refuse("GGUF keeps several tensors of the product under one name")
    for tensor in draft.tensors:
        tensor.name = tensor.role


@fault(
    "weights.gguf_names_on_hf_rows",
    *("RC-23", "RC-61"),
    formats=frozenset({Format.APR}),
    requires="q and k rows in Hugging Face's order, of an architecture whose rows GGUF rearranges",
)
def gguf_names_on_hf_rows(draft: Draft) -> None:
    """Tensors have GGUF's names over rows in Hugging Face's order."""
    if any(tensor.name.startswith("blk.") for tensor in draft.tensors):
        raise draft.refuse("the product has GGUF's names")
    if not rearranged_by_gguf(draft):
        raise draft.refuse("GGUF leaves the rows of this architecture as they are")
    _give_gguf_names(draft)
    for tensor in draft.require("q and k projections", "blk.*.attn_[qk].weight"):
        draft.touch(tensor.canonical)


@fault(
    "weights.gguf_rows_under_gguf_names",
    *("RC-23", "RC-61"),
    formats=frozenset({Format.SAFETENSORS}),
    requires="q and k projections of its own",
)
def gguf_rows_under_gguf_names(draft: Draft) -> None:
    """A SafeTensors file keeps the names and the rows of a GGUF."""
    geometry = draft.model.geometry
    for tensor in draft.require("q and k projections", "blk.*.attn_[qk].weight", where=lambda item: item.is_matrix):
        heads = geometry.kv_heads if ".attn_k." in tensor.role else geometry.heads
        order = PermuteRotaryRows(heads).order(tensor.shape[0])
        draft.put(tensor, RowsPermuted(tensor.view, order, "rows in GGUF's order"))
    _give_gguf_names(draft)


@fault("structure.qkv_left_fused", "RC-17", "RC-18", "T9", requires="q, k and v projections of one width")
def qkv_left_fused(draft: Draft) -> None:
    """Query, key and value projections are one tensor where three belong."""
    for query in draft.require("q, k and v projections", "blk.*.attn_q.weight"):
        parts = [query, draft.role(query.role.replace("_q.", "_k.")), draft.role(query.role.replace("_q.", "_v."))]
        found = [part for part in parts if part is not None]
        if len(found) < 3 or len({part.shape[1] for part in found}) > 1:
            raise draft.refuse("the product has no q, k and v projections of one width")
        fused = Concatenated(tuple(part.view for part in found), "q, k and v")
        name = query.name.replace("attn_q", "attn_qkv").replace("q_proj", "qkv_proj")
        draft.add(query, query.canonical.replace("q_proj", "qkv_proj"), name, fused)
        draft.remove(found)


@fault("structure.gate_up_left_fused", "RC-18", "T11", requires="gate and up projections")
def gate_up_left_fused(draft: Draft) -> None:
    """Gate and up projections are one tensor where two belong."""
    for gate in draft.require("gate and up projections", "blk.*.ffn_gate.weight"):
        up = draft.role(gate.role.replace("ffn_gate", "ffn_up"))
        if up is None or up.shape != gate.shape:
            raise draft.refuse("the product has no gate and up projections of one shape")
        fused = Concatenated((gate.view, up.view), "gate and up")
        name = gate.name.replace("ffn_gate", "ffn_gate_up").replace("gate_proj", "gate_up_proj")
        draft.add(gate, gate.canonical.replace("gate_proj", "gate_up_proj"), name, fused)
        draft.remove([gate, up])


@fault(
    "structure.placeholder_of_untied_head", "RC-26", formats=frozenset({Format.APR}), requires="a head that is not tied"
)
def placeholder_of_untied_head(draft: Draft) -> None:
    """The head of an untied model is a placeholder without bytes."""
    if draft.model.config.values.get("tie_word_embeddings"):
        raise draft.refuse("the head of the product is tied to the embedding")
    head = draft.pick("head of its own", "output.weight")
    draft.placeholders.add(head.name)
    draft.touch(head.canonical)
