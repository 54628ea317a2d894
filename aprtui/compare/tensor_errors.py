"""The errors of single elements, span by span: what the pages about one tensor are made of.

The statistics record says how much a tensor is off; this says where. It is read a second time, by whoever opens it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from aprtui.compare.certificate import BlockFlags, BlockMeasures, Certifier
from aprtui.compare.certificate.whole_tensor import measure_rows
from aprtui.compare.kernels.reference import decoded_values, signed_error
from aprtui.compare.kernels.ulp import ulp, ulp_format
from aprtui.compare.weights import segments, side_by_side, spans
from aprtui.core.dtypes import DType
from aprtui.core.tolerance import Rule, Tolerance
from aprtui.formats.chunk import Chunk
from aprtui.formats.layout.plan import TensorPair
from aprtui.formats.views import Stored

Float64s = NDArray[np.float64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class SpanErrors:
    """Consecutive elements of a tensor; every array has the shape [n].

    Attributes:
        start: Flat row-major index of the first element.
        source: float64; through the layout's view.
        target: float64.
        error: float64; target - source, NaN where one side is NaN, 0 where both are or where infinities are equal.
        magnitude: float64; |error|, `inf` where one side alone is NaN.
        differing: bool; the values differ.
        outside: bool; outside the tolerance: differing (bit-exact), beyond the limit (rounding), in a block that
            violates a clause (certificate). An error band is of the whole tensor: no element is outside.
        blocks: What the certificate says of the span's blocks; None where there is none.
    """

    start: int
    source: Float64s
    target: Float64s
    error: Float64s
    magnitude: Float64s
    differing: Flags
    outside: Flags
    blocks: SpanBlocks | None


@dataclass(frozen=True, slots=True, eq=False)
class SpanBlocks:
    """The certified blocks of a span.

    Attributes:
        measures: What was measured of each.
        flags: Which clauses each violates, under the decisions for the whole tensor and the tolerance.
    """

    measures: BlockMeasures
    flags: BlockFlags


def error_ulps(source: Float64s, magnitude: Float64s, dtype: DType) -> Float64s:
    """Errors in ULP of the target's type at the source's values (f32 where the target stores blocks)."""
    finite = np.isfinite(source)
    spacing = ulp(np.where(finite, source, 0.0), ulp_format(dtype))
    with np.errstate(over="ignore"):
        return np.where(finite, magnitude / spacing, np.where(magnitude > 0, np.inf, 0.0))


def span_errors(pair: TensorPair, tolerance: Tolerance, certifier: Certifier | None) -> Iterator[SpanErrors]:
    """Read a pair in order.

    Args:
        pair: Source view and stored target of the same shape.
        tolerance: What is allowed.
        certifier: Fed with the whole tensor; None where it is not certified.
    """
    source, target = pair.source, Stored(pair.target)
    for segment in segments(source, target):
        for start, stop in spans(source, target, segment):
            yield _of_span(source.read(start, stop), target.read(start, stop), start, tolerance, certifier)
        source.release()
        target.release()


def _of_span(a: Chunk, b: Chunk, start: int, tolerance: Tolerance, certifier: Certifier | None) -> SpanErrors:
    a, b = side_by_side(a, b)
    with np.errstate(invalid="ignore", over="ignore"):
        x, y = decoded_values(a), decoded_values(b)
        error = signed_error(a, b, x, y)
    nan_x, nan_y = np.isnan(x), np.isnan(y)
    error = np.where((nan_x & nan_y) | (x == y) & np.isinf(x), 0.0, error)
    magnitude = np.where(np.isnan(error), np.inf, np.abs(error))
    differing = magnitude > 0
    blocks = None
    if tolerance.rule is Rule.ROUNDING:
        outside = error_ulps(x, magnitude, tolerance.dtype) > tolerance.limit
    elif tolerance.rule is Rule.CERTIFICATE and certifier is not None:
        blocks = _blocks(np.asarray(x, np.float32).reshape(b.rows, b.columns), b, tolerance, certifier)
        outside = _by_element(blocks.flags.any_clause, b)
    else:
        outside = differing if tolerance.rule is Rule.BIT_EXACT else np.zeros(len(x), np.bool_)
    return SpanErrors(start, x, y, error, magnitude, differing, outside, blocks)


def _blocks(source: NDArray[np.float32], b: Chunk, tolerance: Tolerance, certifier: Certifier) -> SpanBlocks:
    if b.dtype is DType.APR_Q8:
        # One scale for the tensor: each element is judged by itself.
        measures = measure_rows(source.reshape(-1, 1), b.data.view(np.int8).reshape(-1, 1), b.scale)
    else:
        measures = Certifier(b.dtype, importance_matrix=certifier.importance_matrix).update(source, b)
    return SpanBlocks(measures, block_flags(measures, tolerance, certifier))


def block_flags(measures: BlockMeasures, tolerance: Tolerance, certifier: Certifier) -> BlockFlags:
    """The clauses that blocks violate; a limit of the playbook stands in place of clause (b)."""
    flags, clauses = certifier.flags(measures), certifier.deciding(measures)
    if tolerance.scale_ulp is not None:
        whole = np.full(len(flags.scales), certifier.result().worst_scale_ulp)
        measured = whole if tolerance.dtype is DType.APR_Q8 else clauses.scale_ulp
        return replace(flags, scales=~(measured <= tolerance.scale_ulp))
    if tolerance.rmse_ratio is not None:
        holds = (clauses.error_ratio <= tolerance.rmse_ratio) & (clauses.step_ratio <= 1)
        return replace(flags, scales=~holds)
    return flags


def _by_element(flags: Flags, b: Chunk) -> Flags:
    """A flag of each block as a flag of each element."""
    info = b.dtype.info
    if b.dtype is DType.APR_Q8:
        return flags
    if info.flat:
        return np.repeat(flags, info.block)[: b.elements]
    return np.repeat(flags, info.block).reshape(b.rows, -1)[:, : b.columns].reshape(-1)
