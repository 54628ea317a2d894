"""Tensors of a product: which view of the source each holds, in which type, encoded chunk by chunk."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aprtui.convert.errors import ConversionNotOfferedError
from aprtui.core.dtypes import DType, Family, stored_bytes
from aprtui.core.errors import AprtuiError
from aprtui.formats.apr.dtype_codes import CODES
from aprtui.formats.chunk import Chunk
from aprtui.formats.codecs import decode_chunk, encode
from aprtui.formats.codecs.apr import apr_q8_codes, apr_q8_scale
from aprtui.formats.container import Format
from aprtui.formats.gguf.types import GGML_NUMBERS
from aprtui.formats.layout.orders import in_gguf_order, in_hf_order, stored_tensors
from aprtui.formats.layout.plan import model_row_order
from aprtui.formats.layout.rope_tensors import GENERATED
from aprtui.formats.layout.transforms import hf_to_gguf
from aprtui.formats.model import Model
from aprtui.formats.names import RowOrder, checkpoint_names, gguf_name
from aprtui.formats.output import TensorToWrite
from aprtui.formats.output_types import Conversion, OutputTypes
from aprtui.formats.safetensors.types import TYPES
from aprtui.formats.views import Stored, View

_CHUNK_ELEMENTS = 1 << 20
_RELEASE_AFTER = 1 << 26
_STORABLE = {Format.SAFETENSORS: TYPES, Format.GGUF: GGML_NUMBERS.keys(), Format.APR: CODES.keys()}


@dataclass(frozen=True, slots=True)
class ProductTensor:
    """One tensor of a product.

    Attributes:
        name: Name in the product.
        role: GGUF's name of the tensor, whatever the product's format; the canonical name where GGUF has none.
        view: What it holds.
        dtype: Type that it is stored in.
        canonical: Canonical name.
    """

    name: str
    role: str
    view: View
    dtype: DType
    canonical: str

    def to_write(self) -> TensorToWrite:
        """The tensor for a writer."""
        return TensorToWrite(self.name, self.dtype, self.view.shape, encoded_chunks(self.view, self.dtype))


def product_tensors(source: Model, target: Format, asked_for: OutputTypes) -> list[ProductTensor]:
    """The tensors that a product of this format holds.

    Raises:
        AprtuiError: A layout rule does not fit the source.
        ConversionNotOfferedError: The format cannot store a tensor in the asked type.
    """
    views = _views_in_order(source, RowOrder.GGUF if target is Format.GGUF else RowOrder.HF)
    architecture = source.geometry.architecture
    roles = {name: gguf_name(architecture, name) or name for name in views}
    conversion = Conversion(
        source.geometry, target, tied="output.weight" not in roles.values(), importance_matrix=False
    )
    return [
        ProductTensor(
            name=roles[name] if target is Format.GGUF else name,
            role=roles[name],
            view=view,
            dtype=_stored_type(name, view, target, asked_for, conversion),
            canonical=name,
        )
        for name, view in views.items()
    ]


def _views_in_order(source: Model, order: RowOrder) -> dict[str, View]:
    """Views by canonical name; tensors that GGUF keeps instead of rope metadata stay there."""
    stored_order = model_row_order(source)
    if stored_order is order:
        return {name: Stored(tensor) for name, tensor in stored_tensors(source).items()}
    rules = hf_to_gguf(source.geometry)
    impossible: dict[str, str] = {}
    if order is RowOrder.GGUF:
        expected = in_gguf_order(source, rules, impossible)
    else:
        kept = tuple(name for name in source.tensors if name not in GENERATED)
        wanted = checkpoint_names(source.geometry.architecture, kept, source.geometry.experts)
        expected = in_hf_order(source, wanted, rules, impossible)
    if impossible:
        name, reason = next(iter(impossible.items()))
        raise AprtuiError(f"the layout rule does not fit: {reason}", file=source.path, place=f"tensor {name}")
    left_out = GENERATED if order is RowOrder.HF else ()
    return {name: item.view for name, item in expected.items() if name not in left_out}


def _stored_type(name: str, view: View, target: Format, asked_for: OutputTypes, conversion: Conversion) -> DType:
    """The first allowed type that the format can store; vectors of a GGUF are float32, as llama.cpp needs them."""
    allowed = asked_for.allowed(name, view.shape, view.dtype, conversion)
    if target is Format.GGUF and view.dtype.info.family is Family.FLOAT and len(view.shape) < 2:
        allowed = (DType.F32,)
    for dtype in allowed:
        if dtype in _STORABLE[target] and _fits(dtype, view.shape, target):
            return dtype
    wanted = " or ".join(allowed)
    raise ConversionNotOfferedError(
        f"{target} cannot store {wanted} of shape {list(view.shape)}", place=f"tensor {name}"
    )


def _fits(dtype: DType, shape: tuple[int, ...], target: Format) -> bool:
    """Whether rows fill whole blocks; APR pads them."""
    return stored_bytes(dtype, shape, padded_rows=target is Format.APR) is not None


def encoded_chunks(view: View, dtype: DType) -> Iterator[NDArray[np.uint8]]:
    """A view's elements in a stored type, in pieces of about a million elements; mapped pages are given back."""
    pieces = _apr_q8(view) if dtype is DType.APR_Q8 else _encoded_spans(view, dtype)
    read = 0
    for piece in pieces:
        yield piece
        read += piece.nbytes
        if read > _RELEASE_AFTER:
            view.release()
            read = 0
    view.release()


def _encoded_spans(view: View, dtype: DType) -> Iterator[NDArray[np.uint8]]:
    for start, stop in _spans(view, dtype):
        yield _encoded(view.read(start, stop), dtype, view.columns)


def _spans(view: View, dtype: DType) -> Iterator[tuple[int, int]]:
    """Whole rows; as many as make whole blocks, where blocks run on across rows."""
    columns = max(1, view.columns)
    together = dtype.info.block if dtype.info.flat else 1
    rows = max(1, _CHUNK_ELEMENTS // columns // together) * together
    for first in range(0, view.rows, rows):
        yield first * columns, min(first + rows, view.rows) * columns


def _encoded(chunk: Chunk, dtype: DType, columns: int) -> NDArray[np.uint8]:
    if chunk.dtype is dtype:
        return chunk.data
    return encode(dtype, _float32(chunk, dtype).reshape(-1, columns), padded_rows=True)


def _float32(chunk: Chunk, dtype: DType) -> NDArray[np.float32]:
    """Values of a chunk, refused where float32 would round them."""
    values = decode_chunk(chunk)
    if values.dtype != np.float32:
        raise AprtuiError(f"{chunk.dtype} values cannot be encoded as {dtype}")
    return values.astype(np.float32, copy=False)


def _apr_q8(view: View) -> Iterator[NDArray[np.uint8]]:
    """AprQ8 in two passes: the scale of the whole tensor first, then the codes."""
    if not view.elements:
        return
    spans = list(_spans(view, DType.APR_Q8))
    largest = max(float(np.abs(_float32(view.read(*span), DType.APR_Q8)).max()) for span in spans)
    if not np.isfinite(largest):
        raise AprtuiError(f"{DType.APR_Q8} cannot hold infinities or NaN, and the values contain some")
    scale = apr_q8_scale(np.float32(largest))
    yield np.frombuffer(np.float32(scale).tobytes(), np.uint8)
    for span in spans:
        yield apr_q8_codes(_float32(view.read(*span), DType.APR_Q8), scale).reshape(-1).view(np.uint8)
