"""The expected-loss twin: the source's weights, encoded to the target's types by our encoders and decoded again.

What an honest conversion loses, the twin loses too; what a product loses beyond its twin is the product's fault.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import lcm

import numpy as np
from numpy.typing import NDArray

from aprtui.core.dtypes import DType
from aprtui.core.tolerance import holds_exactly
from aprtui.formats.chunk import Chunk
from aprtui.formats.codecs import decode_chunk, encode
from aprtui.formats.codecs.apr import apr_q8_codes, apr_q8_scale
from aprtui.formats.codecs.encode import ENCODABLE
from aprtui.formats.layout.orders import rules_undone
from aprtui.formats.layout.plan import LayoutPlan, TensorPair, model_row_order
from aprtui.formats.layout.rope_tensors import GENERATED
from aprtui.formats.layout.transforms import hf_to_gguf
from aprtui.formats.model import Model
from aprtui.formats.names import RowOrder, checkpoint_names
from aprtui.formats.views import View
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
    lossy = [pair for pair in plan.pairs if not holds_exactly(pair.source.dtype, pair.target.dtype)]
    without = sorted({pair.target.dtype for pair in lossy} - ENCODABLE - {DType.APR_Q8})
    if without:
        raise CannotRunError(f"there is no expected-loss twin: no encoder for {', '.join(without)}")
    types = tuple(sorted({pair.target.dtype for pair in lossy}))
    if not lossy and all(pair.source.moves_bytes_only for pair in plan.pairs):
        return Twin(None, lossless=True, types=types)
    views = {pair.name: _as_stored(pair) for pair in plan.pairs}
    if model_row_order(target) is RowOrder.GGUF:
        rules = hf_to_gguf(reference.geometry)
        kept = tuple(name for name in views if name not in GENERATED)
        wanted = checkpoint_names(reference.geometry.architecture, kept, reference.geometry.experts)
        undone = rules_undone(views, wanted, rules, {})
        views = {name: expected.view for name, expected in undone.items()}
    known = {name: view for name, view in views.items() if name in source.views}
    checkpoint = Checkpoint(source.path, source.config, {**source.views, **known})
    return Twin(checkpoint, lossless=not lossy, types=types)


def _as_stored(pair: TensorPair) -> View:
    if holds_exactly(pair.source.dtype, pair.target.dtype):
        return pair.source
    tensor = pair.target
    return Encoded(pair.source, tensor.dtype, runs_on=tensor.runs_on and not tensor.dtype.info.flat)
