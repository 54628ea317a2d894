"""Encoders that go wrong: values quantised twice, clipped, padded in one way and read in another."""

from __future__ import annotations

import numpy as np

from aprtui.core.dtypes import DType
from aprtui.faults.draft import Draft, DraftTensor
from aprtui.faults.fault import BLOCK_FORMATS, fault
from aprtui.formats.chunk import Chunk
from aprtui.formats.codecs import ENCODABLE, decode_chunk, encode
from aprtui.formats.container import Format
from aprtui.formats.views import PaddedRowsReadFlat, View, decoded
from aprtui.formats.views.base import Indices
from aprtui.formats.views.edited import Floats, Raw, ValuesEdited
from aprtui.formats.views.shape import Reshaped

_SUPER_BLOCK = 256


def _through(values: Floats, dtype: DType) -> Floats:
    """Values encoded and decoded, each run of 32 by itself."""
    flat = values.reshape(-1, 32)
    info = dtype.info
    chunk = Chunk(dtype, encode(dtype, flat), len(flat), 32, 32 // info.block * info.nbytes)
    return decode_chunk(chunk).astype(np.float32).reshape(values.shape)


@fault(
    "weights.quantised_twice",
    *("RC-49",),
    formats=BLOCK_FORMATS,
    requires="quantised blocks that aprtui can encode",
)
def quantised_twice(draft: Draft) -> None:
    """Values were quantised to 4 bits before they were quantised to the type of the file."""

    def fits(tensor: DraftTensor) -> bool:
        return tensor.is_matrix and tensor.is_blocks and tensor.dtype in ENCODABLE and tensor.shape[1] % 32 == 0

    for tensor in draft.require("quantised blocks that aprtui can encode", where=fits):
        before = DType.Q4_0 if tensor.dtype is not DType.Q4_0 else DType.Q5_1

        def earlier(values: Floats, _: Indices, before: DType = before) -> Floats:
            return _through(values, before)

        draft.put(tensor, ValuesEdited(draft.honest(tensor), earlier))


def _vectors(draft: Draft, *patterns: str) -> list[DraftTensor]:
    def fits(tensor: DraftTensor) -> bool:
        return len(tensor.shape) == 1 and tensor.is_plain and tensor.shape[0] % 32 == 0

    return draft.require("plain vectors that divide into blocks", *patterns, where=fits)


@fault("weights.norms_quantised_in_passing", "RC-49", "RC-50", requires="plain norm weights of whole blocks")
def norms_quantised_in_passing(draft: Draft) -> None:
    """Norm weights went through a 4-bit type, though they are stored as floats."""
    for tensor in _vectors(draft, "*norm*.weight", "*ln_*.weight"):
        draft.change_values(tensor, lambda values, _: _through(values, DType.Q4_0))


@fault("weights.biases_quantised_in_passing", "RC-49", "RC-50", requires="plain biases of whole blocks")
def biases_quantised_in_passing(draft: Draft) -> None:
    """Biases went through a 4-bit type, though they are stored as floats."""
    for tensor in _vectors(draft, "*.bias"):
        draft.change_values(tensor, lambda values, _: _through(values, DType.Q4_0))


@fault("weights.positive_blocks_clipped", "RC-56", requires="plain norm weights of whole blocks")
def positive_blocks_clipped(draft: Draft) -> None:
    """Blocks without negative values are clipped at the width of their range."""

    def clipped(values: Floats, _: Indices) -> Floats:
        blocks = values.reshape(-1, 32)
        low, high = blocks.min(1, keepdims=True), blocks.max(1, keepdims=True)
        return np.where(low > 0, np.minimum(blocks, high - low), blocks).reshape(values.shape)

    for tensor in _vectors(draft, "*norm*.weight", "*ln_*.weight"):
        draft.change_values(tensor, clipped)


@fault("weights.padded_rows_read_flat", "RC-48", requires="plain matrices whose rows do not fill super-blocks")
def padded_rows_read_flat(draft: Draft) -> None:
    """Rows that were padded to super-blocks were read without regard to the padding."""

    def fits(tensor: DraftTensor) -> bool:
        return tensor.is_matrix and tensor.is_plain and tensor.shape[1] % _SUPER_BLOCK != 0

    for tensor in draft.require("plain matrix whose rows do not fill super-blocks", "blk.*", where=fits):
        draft.put(tensor, PaddedRowsReadFlat(tensor.view, _SUPER_BLOCK))


@fault(
    "weights.blocks_encoded_flat",
    *("RC-48",),
    formats=frozenset({Format.APR}),
    requires="K-quants of padded rows",
)
def blocks_encoded_flat(draft: Draft) -> None:
    """Super-blocks run on across rows where each row should start a block of its own."""

    def fits(tensor: DraftTensor) -> bool:
        padded = tensor.dtype.info.block == _SUPER_BLOCK and tensor.shape[-1] % _SUPER_BLOCK != 0
        return tensor.is_matrix and padded and tensor.view.elements % _SUPER_BLOCK == 0

    for tensor in draft.require("K-quants of padded rows", where=fits):
        flat = Reshaped(tensor.view, (tensor.view.elements // _SUPER_BLOCK, _SUPER_BLOCK))

        def encoded(raw: Raw, numbers: Indices, flat: View = flat, dtype: DType = tensor.dtype) -> Raw:
            out = np.zeros_like(raw)
            inside = numbers < flat.rows
            chunk = decoded(flat.gather(numbers[inside]), int(inside.sum()), _SUPER_BLOCK)
            values = chunk.data.view(np.float32).reshape(-1, _SUPER_BLOCK)
            out[inside] = encode(dtype, values).reshape(-1, raw.shape[1])
            return out

        draft.change_blocks(tensor, encoded)
