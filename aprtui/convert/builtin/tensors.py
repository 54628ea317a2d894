"""Tensors of a product: which view of the source each holds, in which type, encoded chunk by chunk."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aprtui.core.dtypes import DType, Family
from aprtui.core.errors import AprtuiError
from aprtui.formats.chunk import Chunk
from aprtui.formats.codecs import decode_chunk, encode
from aprtui.formats.container import Format
from aprtui.formats.layout.orders import in_gguf_order, in_hf_order, stored_tensors
from aprtui.formats.layout.plan import model_row_order
from aprtui.formats.layout.transforms import hf_to_gguf
from aprtui.formats.model import Model
from aprtui.formats.names import RowOrder, checkpoint_names, gguf_name
from aprtui.formats.output import TensorToWrite
from aprtui.formats.output_types import Conversion, OutputTypes
from aprtui.formats.views import Stored, View

_CHUNK_ELEMENTS = 1 << 20

_PLAIN_OF_SAFETENSORS = frozenset(dtype for dtype in DType if dtype.info.family is not Family.BLOCK)
_STORABLE = {
    Format.SAFETENSORS: _PLAIN_OF_SAFETENSORS,
    Format.GGUF: frozenset(DType)
    - {DType.APR_Q4, DType.APR_Q8, DType.F8_E4M3, DType.F8_E5M2, DType.F8_E8M0, DType.C64, DType.BOOL}
    - {DType.U8, DType.U16, DType.U32, DType.U64, DType.F4, DType.F6_E2M3, DType.F6_E3M2},
    Format.APR: frozenset(
        DType(name)
        for name in ("F32", "F16", "BF16", "F64", "I32", "I64", "I8", "U8", "Q4_K", "Q6_K", "AprQ4", "AprQ8")
    ),
}


@dataclass(frozen=True, slots=True)
class ProductTensor:
    """One tensor of a product.

    Attributes:
        name: Name in the product.
        view: What it holds.
        dtype: Type that it is stored in.
    """

    name: str
    view: View
    dtype: DType

    def to_write(self) -> TensorToWrite:
        """The tensor for a writer."""
        return TensorToWrite(self.name, self.dtype, self.view.shape, encoded_chunks(self.view, self.dtype))


def product_tensors(source: Model, target: Format, asked_for: OutputTypes) -> list[ProductTensor]:
    """The tensors that a product of this format holds.

    Raises:
        AprtuiError: A layout rule does not fit the source, or a tensor cannot be stored in the asked type.
    """
    views = _views_in_order(source, RowOrder.GGUF if target is Format.GGUF else RowOrder.HF)
    architecture = source.geometry.architecture
    names = {name: _name_in(name, target, architecture) for name in views}
    conversion = Conversion(
        source.geometry, target, tied="output.weight" not in names.values(), importance_matrix=False
    )
    return [
        ProductTensor(names[name], view, _stored_type(name, view, target, asked_for, conversion))
        for name, view in views.items()
    ]


def _views_in_order(source: Model, order: RowOrder) -> dict[str, View]:
    rules = hf_to_gguf(source.geometry)
    impossible: dict[str, str] = {}
    stored_order = model_row_order(source)
    if stored_order is order:
        return {name: Stored(tensor) for name, tensor in stored_tensors(source).items()}
    if order is RowOrder.GGUF:
        expected = in_gguf_order(source, rules, impossible)
    else:
        wanted = checkpoint_names(source.geometry.architecture, tuple(source.tensors), source.geometry.experts)
        expected = in_hf_order(source, wanted, rules, impossible)
    if impossible:
        name, reason = next(iter(impossible.items()))
        raise AprtuiError(f"the layout rule does not fit: {reason}", file=source.path, place=f"tensor {name}")
    return {name: item.view for name, item in expected.items()}


def _name_in(name: str, target: Format, architecture: str) -> str:
    return (gguf_name(architecture, name) or name) if target is Format.GGUF else name


def _stored_type(name: str, view: View, target: Format, asked_for: OutputTypes, conversion: Conversion) -> DType:
    """The first allowed type that the format can store; vectors of a GGUF are float32, as llama.cpp needs them."""
    allowed = asked_for.allowed(name, view.shape, view.dtype, conversion)
    if target is Format.GGUF and view.dtype.info.family is Family.FLOAT and len(view.shape) < 2:
        allowed = (DType.F32,)
    for dtype in allowed:
        if dtype in _STORABLE[target]:
            return dtype
    wanted = " or ".join(allowed)
    raise AprtuiError(f"{target} cannot store {wanted}", place=f"tensor {name}")


def encoded_chunks(view: View, dtype: DType) -> Iterator[NDArray[np.uint8]]:
    """A view's elements in a stored type, in pieces of about a million elements."""
    info = dtype.info
    if dtype is DType.APR_Q8:
        yield from _apr_q8(view)
        return
    step = max(1, _CHUNK_ELEMENTS // max(1, view.columns)) * view.columns if view.columns else 1
    whole = info.flat and view.columns % info.block
    step = view.elements if whole and view.elements <= _CHUNK_ELEMENTS else step
    for start in range(0, view.elements, step):
        chunk = view.read(start, min(start + step, view.elements))
        yield _encoded(chunk, dtype, view.columns)


def _encoded(chunk: Chunk, dtype: DType, columns: int) -> NDArray[np.uint8]:
    if chunk.dtype is dtype:
        return chunk.data
    values = decode_chunk(chunk).reshape(-1, columns)
    if values.dtype != np.float32:
        raise AprtuiError(f"{chunk.dtype} values cannot be encoded as {dtype}")
    return encode(dtype, values)


def _apr_q8(view: View) -> Iterator[NDArray[np.uint8]]:
    """AprQ8 in two passes: the scale of the whole tensor first, then the codes."""
    from aprtui.formats.codecs.apr import apr_q8_codes, apr_q8_scale  # noqa: PLC0415 - only this type needs it

    spans = [
        (start, min(start + max(1, _CHUNK_ELEMENTS // view.columns) * view.columns, view.elements))
        for start in range(0, view.elements, max(1, _CHUNK_ELEMENTS // view.columns) * view.columns)
    ]
    largest = max(float(np.abs(decode_chunk(view.read(*span))).max()) for span in spans)
    scale = apr_q8_scale(np.float32(largest))
    yield np.frombuffer(np.float32(scale).tobytes(), np.uint8)
    for span in spans:
        yield apr_q8_codes(decode_chunk(view.read(*span)), scale).reshape(-1).view(np.uint8)
