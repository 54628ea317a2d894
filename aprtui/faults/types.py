"""Tensors of a type that nobody asked for."""

from __future__ import annotations

from aprtui.core.dtypes import DType
from aprtui.faults.draft import Draft, DraftTensor
from aprtui.faults.fault import BLOCK_FORMATS, fault
from aprtui.faults.transposed import write_head
from aprtui.formats.codecs import ENCODABLE
from aprtui.formats.container import Format
from aprtui.formats.layout.plan import embedding_name


def _plain_matrices(draft: Draft, block: int) -> list[DraftTensor]:
    def fits(tensor: DraftTensor) -> bool:
        return tensor.is_matrix and tensor.is_plain and tensor.shape[1] % block == 0

    return draft.require(f"plain matrices with rows of whole blocks of {block}", "blk.*.weight", where=fits)


@fault(
    "structure.silent_q4_k",
    *("RC-02", "RC-55", "T17"),
    formats=BLOCK_FORMATS,
    requires="plain matrices with rows of whole super-blocks",
    asked_for="lossless",
)
def silent_q4_k(draft: Draft) -> None:
    """Matrices are Q4_K though no type was asked for."""
    for tensor in _plain_matrices(draft, 256):
        draft.put(tensor, draft.honest(tensor), dtype=DType.Q4_K)


@fault(
    "structure.silent_4_bits",
    *("RC-52", "RC-55"),
    formats=BLOCK_FORMATS,
    requires="plain matrices with rows of whole blocks",
    asked_for="lossless",
)
def silent_4_bits(draft: Draft) -> None:
    """Matrices have 4 bits though no type was asked for."""
    dtype = DType.Q4_0 if draft.format is Format.GGUF else DType.APR_Q4
    for tensor in _plain_matrices(draft, 32):
        draft.put(tensor, draft.honest(tensor), dtype=dtype)


@fault(
    "structure.narrowed_to_f16",
    *("RC-37", "T17"),
    requires="matrices of BF16 or F32",
    asked_for="lossless",
)
def narrowed_to_f16(draft: Draft) -> None:
    """Matrices of BF16 or F32 became F16 though nothing was asked for."""
    wide = (DType.BF16, DType.F32)
    for tensor in draft.require("matrix of BF16 or F32", where=lambda item: item.is_matrix and item.dtype in wide):
        draft.put(tensor, tensor.view, dtype=DType.F16)


@fault("structure.widened_to_f32", "RC-37", "RC-51", requires="matrices of BF16 or F16", asked_for="bf16")
def widened_to_f32(draft: Draft) -> None:
    """Matrices are F32 though a narrower type was asked for."""
    narrow = (DType.BF16, DType.F16)
    for tensor in draft.require("matrix of BF16 or F16", where=lambda item: item.is_matrix and item.dtype in narrow):
        draft.put(tensor, tensor.view, dtype=DType.F32)


def _small_type(draft: Draft) -> DType:
    return DType.Q8_0 if draft.format is Format.GGUF else DType.APR_Q4


@fault("structure.norms_quantised", "RC-50", "T17", formats=BLOCK_FORMATS, requires="norm weights of whole blocks")
def norms_quantised(draft: Draft) -> None:
    """Norm weights are quantised."""

    def fits(tensor: DraftTensor) -> bool:
        return len(tensor.shape) == 1 and tensor.is_plain and tensor.shape[0] % 32 == 0

    for tensor in draft.require("norm weights of whole blocks", "*norm*.weight", "*ln_*.weight", where=fits):
        draft.put(tensor, tensor.view, dtype=_small_type(draft))


@fault("structure.biases_quantised", "RC-50", "T17", formats=BLOCK_FORMATS, requires="biases of whole blocks")
def biases_quantised(draft: Draft) -> None:
    """Biases are quantised."""

    def fits(tensor: DraftTensor) -> bool:
        return len(tensor.shape) == 1 and tensor.is_plain and tensor.shape[0] % 32 == 0

    for tensor in draft.require("biases of whole blocks", "*.bias", where=fits):
        draft.put(tensor, tensor.view, dtype=_small_type(draft))


@fault(
    "structure.embedding_quantised",
    *("RC-50",),
    formats=BLOCK_FORMATS,
    requires="a plain embedding",
    asked_for="lossless",
)
def embedding_quantised(draft: Draft) -> None:
    """The embedding is quantised though no type was asked for."""

    def fits(tensor: DraftTensor) -> bool:
        return tensor.is_plain and tensor.shape[-1] % 32 == 0

    tensor = draft.pick("plain embedding", "token_embd.weight", where=fits)
    draft.put(tensor, tensor.view, dtype=_small_type(draft))


@fault(
    "structure.requantised",
    *("RC-14", "RC-52"),
    formats=BLOCK_FORMATS,
    requires="blocks of a named recipe",
)
def requantised(draft: Draft) -> None:
    """Blocks of one type became another type than the recipe names."""
    others = {DType.Q6_K: DType.Q4_K, DType.Q4_K: DType.Q6_K, DType.Q8_0: DType.Q4_0, DType.Q5_0: DType.Q8_0}
    others |= {DType.Q4_0: DType.Q8_0, DType.Q4_1: DType.Q8_0, DType.Q5_1: DType.Q8_0, DType.Q5_K: DType.Q6_K}
    others |= {DType.APR_Q4: DType.F16}

    def fits(tensor: DraftTensor) -> bool:
        return tensor.is_matrix and tensor.dtype in others and others[tensor.dtype] in ENCODABLE

    tensor = draft.pick("blocks that can be encoded as another type", "blk.*.weight", where=fits)
    draft.put(tensor, draft.honest(tensor), dtype=others[tensor.dtype])


@fault(
    "structure.tied_head_quantised",
    *("RC-27",),
    formats=BLOCK_FORMATS,
    requires="a plain embedding that is tied to the head",
    asked_for="lossless",
)
def tied_head_quantised(draft: Draft) -> None:
    """A tied head is written out once more, quantised."""
    name = embedding_name(draft.model)
    if name is None or not draft.model.config.values.get("tie_word_embeddings"):
        raise draft.refuse("the product has no tied head")
    embedding = draft.pick("plain embedding", name, where=lambda item: item.is_plain and item.shape[1] % 32 == 0)
    head = write_head(draft, embedding, embedding.view)
    head.dtype = _small_type(draft)
