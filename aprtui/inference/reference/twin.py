"""The expected-loss twin: the source's weights, encoded to the target's types by our encoders and decoded again.

What an honest conversion loses, the twin loses too; what a product loses beyond its twin is the product's fault.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from math import lcm

import numpy as np
from numpy.typing import NDArray

from aprtui.convert.builtin.tensors import product_tensors
from aprtui.core.dtypes import DType
from aprtui.core.tolerance import holds_exactly
from aprtui.formats.chunk import Chunk
from aprtui.formats.codecs import decode_chunk, encode
from aprtui.formats.codecs.apr import apr_q8_codes, apr_q8_scale
from aprtui.formats.codecs.encode import ENCODABLE
from aprtui.formats.container import Format, StoredTensor
from aprtui.formats.layout.orders import rules_undone
from aprtui.formats.layout.plan import LayoutPlan, embedding_name, head_name, model_row_order
from aprtui.formats.layout.rope_tensors import GENERATED
from aprtui.formats.layout.transforms import hf_to_gguf
from aprtui.formats.model import Model
from aprtui.formats.names import RowOrder, checkpoint_names
from aprtui.formats.output_types import OutputTypes
from aprtui.formats.views import Stored, View
from aprtui.formats.views.base import Indices, OneBelow, float_chunk
from aprtui.inference.errors import CannotRunError
from aprtui.inference.reference.checkpoint import Checkpoint

_ELEMENTS = 1 << 20


@dataclass(frozen=True, eq=False)
class Encoded(OneBelow):
    """A tensor as it reads after it was stored in another type.

    Attributes:
        stored: The type.
        runs_on: Blocks run on across rows although the type starts every row anew (K-quants written as one run).
    """

    stored: DType
    runs_on: bool = False

    @property
    def dtype(self) -> DType:
        """What is read is float32."""
        return DType.F32

    @property
    def rule(self) -> str:
        """The type."""
        return f"encoded as {self.stored}"

    @property
    def granule(self) -> int:
        """Whole rows; as many as make whole blocks where blocks run on."""
        block = self.stored.info.block if self.stored.info.flat or self.runs_on else 1
        return lcm(self.columns, self.of.granule, block) if self.columns else 1

    def read(self, start: int, stop: int) -> Chunk:
        """The span, encoded and decoded."""
        values = np.asarray(decode_chunk(self.of.read(start, stop)), np.float32)
        return self._round_trip(values.reshape(-1, max(1, self.columns)))

    def gather(self, rows: Indices) -> Chunk:
        """Rows, encoded and decoded; the whole tensor is, where its blocks run on."""
        if self.stored.info.flat or self.runs_on:
            whole = self.read(0, self.elements).data.view(np.float32).reshape(-1, self.columns)
            return float_chunk(whole[rows])
        values = np.asarray(decode_chunk(self.of.gather(rows)), np.float32)
        return self._round_trip(values.reshape(len(rows), -1))

    def _round_trip(self, values: NDArray[np.float32]) -> Chunk:
        rows, columns = values.shape
        if self.stored is DType.APR_Q8:
            data = apr_q8_codes(values, np.float32(self._scale)).reshape(-1).view(np.uint8)
            chunk = Chunk(self.stored, data, rows, columns, 0, self._scale)
        elif self.runs_on:
            chunk = Chunk(self.stored, encode(self.stored, values.reshape(1, -1), padded_rows=True), rows, columns, 0)
        else:
            data = encode(self.stored, values, padded_rows=True)
            flat = self.stored.info.flat
            chunk = Chunk(self.stored, data, rows, columns, 0 if flat else data.size // max(1, rows))
        return float_chunk(np.asarray(decode_chunk(chunk), np.float32).reshape(rows, columns))

    @cached_property
    def _scale(self) -> float:
        """AprQ8's scale, which belongs to the whole tensor."""
        step = max(1, _ELEMENTS // self.granule) * self.granule
        spans = [(start, min(start + step, self.elements)) for start in range(0, self.elements, step)]
        largest = max(float(np.abs(decode_chunk(self.of.read(*span))).max(initial=0)) for span in spans)
        return float(apr_q8_scale(largest))


@dataclass(frozen=True, slots=True)
class Twin:
    """What to hold a product's behaviour against.

    Attributes:
        checkpoint: The twin; None where it is the source itself, value by value.
        lossless: Nothing that was stored loses anything: the product must behave exactly like the twin.
        types: Types that lose something, for the evidence.
    """

    checkpoint: Checkpoint | None
    lossless: bool
    types: tuple[DType, ...]


@dataclass(frozen=True, slots=True)
class _Storing:
    """A tensor and the type that it is stored in."""

    name: str
    view: View
    dtype: DType
    runs_on: bool = False

    @property
    def loses(self) -> bool:
        return not holds_exactly(self.view.dtype, self.dtype)

    @property
    def read_again(self) -> View:
        return Encoded(self.view, self.dtype, self.runs_on) if self.loses else self.view


def twin_of(plan: LayoutPlan, source: Checkpoint, target: Model, reference: Model) -> Twin:
    """The twin of a product.

    Args:
        plan: How source and product correspond.
        source: The source's checkpoint.
        target: The product; only its types count.
        reference: Where the layout rules take architecture and head counts from.

    Raises:
        CannotRunError: A type has no encoder.
    """
    storing = [
        _Storing(pair.name, pair.source, pair.target.dtype, pair.target.runs_on and not pair.target.dtype.info.flat)
        for pair in plan.pairs
    ]
    return _twin(storing, model_row_order(target), source, reference)


def twin_as(model: Model, source: Checkpoint, target: Format, asked_for: OutputTypes) -> Twin:
    """The twin of a product that is not here: what a format and an output type make of a model.

    Raises:
        CannotRunError: A type has no encoder.
        AprtuiError: The format cannot hold the model in these types.
    """
    tensors = product_tensors(model, target, asked_for)
    storing = [_Storing(tensor.canonical, tensor.view, tensor.dtype) for tensor in tensors]
    return _twin(storing, RowOrder.GGUF if target is Format.GGUF else RowOrder.HF, source, model)


def _twin(storing: Sequence[_Storing], order: RowOrder, source: Checkpoint, reference: Model) -> Twin:
    storing = [*storing, *_embedding_as_head(storing, source, reference)]
    lossy = {each.dtype for each in storing if each.loses}
    without = sorted(lossy - ENCODABLE - {DType.APR_Q8})
    if without:
        raise CannotRunError(f"there is no expected-loss twin: no encoder for {', '.join(without)}")
    types = tuple(sorted(lossy))
    # Where several conversions lie between both ends, a tensor may be held against a product on the way.
    own = {tensor.file for view in source.views.values() for tensor in _stored_in(view)}
    from_source = all(tensor.file in own for each in storing for tensor in _stored_in(each.view))
    if not lossy and from_source and all(each.view.moves_bytes_only for each in storing):
        return Twin(None, lossless=True, types=types)
    views = {each.name: each.read_again for each in storing}
    if order is RowOrder.GGUF:
        # Rows of the embedding that the product is made without are none of the twin's either.
        geometry = replace(reference.geometry, tokens=None)
        kept = tuple(name for name in views if name not in GENERATED)
        wanted = checkpoint_names(geometry.architecture, kept, geometry.experts)
        undone = rules_undone(views, wanted, hf_to_gguf(geometry), {})
        views = {name: expected.view for name, expected in undone.items()}
    known = {name: view for name, view in views.items() if name in source.views}
    config, embedding = source.config, embedding_name(reference)
    if embedding in known:
        config = {**config, "vocab_size": known[embedding].shape[0]}
    checkpoint = Checkpoint(source.path, config, {**source.views, **known})
    return Twin(checkpoint, lossless=not lossy, types=types)


def _embedding_as_head(storing: Sequence[_Storing], source: Checkpoint, reference: Model) -> Iterator[_Storing]:
    """A tied head that the source alone stores: in the product the embedding, in its type, stands for it."""
    head, embedding = head_name(reference), embedding_name(reference)
    names = {each.name: each for each in storing}
    if head in source.views and head not in names and embedding in names:
        yield _Storing(head, source.views[head], names[embedding].dtype, names[embedding].runs_on)


def _stored_in(view: View) -> Iterator[StoredTensor]:
    if isinstance(view, Stored):
        yield view.tensor
    for below in view.below:
        yield from _stored_in(below)
