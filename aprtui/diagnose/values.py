"""What may have happened to values whose places are right: factors, constants, roundings, grids."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import isfinite, sqrt

import numpy as np

from aprtui.core.dtypes import DType, Family
from aprtui.diagnose.block_grid import lies_on_block_grid
from aprtui.diagnose.hypothesis import Context, Step
from aprtui.diagnose.samples import SPAN, Floats, floats
from aprtui.diagnose.through import ThroughBlocks, through
from aprtui.formats.codecs import encode
from aprtui.formats.layout.plan import TensorPair
from aprtui.formats.views import Added, Scaled, View
from aprtui.formats.views.base import Indices
from aprtui.formats.views.edited import ValuesEdited

ValueCandidate = tuple[Step, View]

_EARLIER_TYPES = (
    *(DType.Q4_0, DType.Q8_0, DType.Q5_1, DType.Q4_K, DType.Q6_K),
    *(DType.Q4_1, DType.Q5_0, DType.Q5_K, DType.Q3_K, DType.Q2_K),
)
_SMALL_DIFFERENCE = 1e-6


def value_hypotheses(
    view: View, pair: TensorPair, sample: tuple[Indices, Floats, Floats], context: Context
) -> Iterator[ValueCandidate]:
    """Edits of a view whose likeness to the product was seen, cheapest first.

    Args:
        view: The source, arranged as the product is.
        pair: The pair as it is compared.
        sample: Row numbers, the view's values there and the product's.
        context: Of the search.
    """
    rows, source, target = sample
    yield from _constants(view, pair, source, target, context)
    yield from _rounded(view, pair, source)
    if pair.view.dtype.info.family is Family.FLOAT:
        yield from _on_a_grid(view, target)
    yield from _through_blocks(view, pair, source)
    yield from _on_block_grid(view, pair, source, target)
    if len(view.shape) == 1 and view.columns % 32 == 0:
        yield Step("weights.positive_blocks_clipped"), ValuesEdited(view, _clipped)
    yield from _row_factors(view, pair, rows)


def _constants(
    view: View, pair: TensorPair, source: Floats, target: Floats, context: Context
) -> Iterator[ValueCandidate]:
    with np.errstate(all="ignore"):
        s, t = source.astype(np.float64).ravel(), target.astype(np.float64).ravel()
    finite = np.isfinite(s) & np.isfinite(t)
    s, t = s[finite], t[finite]
    power = float(s @ s)
    if not power:
        return
    factor, shift = float(s @ t) / power, float(np.mean(t - s))
    is_norm = "norm" in context.role(pair.name)
    for constant, code in ((1.0, "weights.norm_plus_one_doubled"), (-1.0, "weights.norm_plus_one_missing")):
        if is_norm and abs(shift - constant) < 0.02:
            yield Step(code, f"{constant:+g}"), Added(view, constant)
    if abs(factor + 1) < _SMALL_DIFFERENCE:
        yield Step("weights.negated"), Scaled(view, -1.0)
    root = sqrt(max(1, view.columns))
    if abs(factor / root - 1) < 1e-2 and context.role(pair.name) == "token_embd.weight":
        yield Step("weights.embedding_scaled", f"times {root:g}"), Scaled(view, root)
    if isfinite(factor) and factor and abs(factor - 1) > 1e-5:
        for constant in _simple(factor):
            yield Step("weights.scaled", f"times {constant:g}"), Scaled(view, constant)


def _simple(factor: float) -> tuple[float, ...]:
    """A measured factor, rounded to fewer and fewer digits: what was meant is rarely a long number."""
    rounded = [float(f"{factor:.{digits}g}") for digits in (2, 3, 4, 5)]
    inverse = [1 / float(f"{1 / factor:.{digits}g}") for digits in (2, 3)]
    return tuple(dict.fromkeys(value for value in (*rounded, *inverse, factor) if value != 1))


def _rounded(view: View, pair: TensorPair, source: Floats) -> Iterator[ValueCandidate]:
    bits = np.ascontiguousarray(source, np.float32).view(np.uint32)
    if view.dtype is DType.BF16 or not (bits & np.uint32(0xFFFF)).any():
        half = source.astype(np.float16).astype(np.float32)
        if not np.array_equal(half, source):
            yield Step("weights.through_f16"), ValuesEdited(view, _through_f16)
        return
    if pair.view.dtype is DType.BF16:
        yield Step("weights.truncated_cast"), ValuesEdited(view, _truncated)
    yield Step("weights.through_bf16"), ValuesEdited(view, _through_bf16)
    if view.dtype is DType.F32 and pair.view.dtype is not DType.F16:
        yield Step("weights.through_f16"), ValuesEdited(view, _through_f16)


def _through_f16(values: Floats, _: Indices) -> Floats:
    with np.errstate(all="ignore"):
        return values.astype(np.float16).astype(np.float32)


def _through_bf16(values: Floats, _: Indices) -> Floats:
    bits = encode(DType.BF16, values).view("<u2").astype(np.uint32) << np.uint32(16)
    return bits.view(np.float32).reshape(values.shape)


def _truncated(values: Floats, _: Indices) -> Floats:
    bits = np.ascontiguousarray(values, np.float32).view(np.uint32)
    return (bits & np.uint32(0xFFFF0000)).view(np.float32)


def _on_block_grid(view: View, pair: TensorPair, source: Floats, target: Floats) -> Iterator[ValueCandidate]:
    """Decoded from blocks of 4 bits that an encoder of another program made."""
    is_float = pair.view.dtype.info.family is Family.FLOAT
    # Most tensors show in their first block that they are none.
    if is_float and np.unique(target[0, :32]).size <= 16 and lies_on_block_grid(source, target).all():
        code = "weights.quantised_in_passing" if len(view.shape) == 1 else "weights.grid"
        yield Step(code, "16 levels in every 32 elements"), ValuesEdited(view, _as_on_block_grid(pair))


def _as_on_block_grid(pair: TensorPair) -> Callable[[Floats, Indices], Floats]:
    """The product's own values where they are the source's on the grid of a 4-bit block."""

    def change(values: Floats, rows: Indices) -> Floats:
        found = floats(pair.view, rows)
        return np.where(lies_on_block_grid(values, found), found, values)

    return change


def _on_a_grid(view: View, target: Floats) -> Iterator[ValueCandidate]:
    """Apr's simulated quantisation: multiples of the largest value over 127 or 7."""
    steps = np.unique(np.abs(target[np.isfinite(target)]))
    if steps.size > 256:
        return
    largest = max((float(np.abs(values).max()) for values in spans(view)), default=0.0)
    for levels, name in ((7, "int4"), (127, "int8")):
        step = np.float32(largest / levels)
        if step > 0 and isfinite(step):
            yield Step("weights.grid", f"{2 * levels + 1} levels, as {name}"), ValuesEdited(view, _snapped(step))


def _snapped(step: np.float32) -> Callable[[Floats, Indices], Floats]:
    return lambda values, _: np.round(values / step) * step


def spans(view: View) -> Iterator[Floats]:
    """All values of a view, about a million at a time."""
    rows = max(1, SPAN // max(1, view.columns))
    for at in range(0, view.rows, rows):
        yield floats(view, np.arange(at, min(at + rows, view.rows), dtype=np.int64))


def _through_blocks(view: View, pair: TensorPair, source: Floats) -> Iterator[ValueCandidate]:
    """Encoded as a block type and decoded before the product was made."""
    vector = len(view.shape) == 1
    is_float = pair.view.dtype.info.family is Family.FLOAT
    for earlier in _EARLIER_TYPES:
        if view.columns % earlier.info.block or earlier is pair.view.dtype:
            continue
        if is_float and np.array_equal(through(source, earlier), source):
            continue
        code = "weights.quantised_in_passing" if vector else "weights.quantised_twice"
        yield Step(code, f"through {earlier}"), ThroughBlocks(view, earlier)


def _clipped(values: Floats, _: Indices) -> Floats:
    blocks = values.reshape(-1, 32)
    low, high = blocks.min(1, keepdims=True), blocks.max(1, keepdims=True)
    return np.where(low > 0, np.minimum(blocks, high - low), blocks).reshape(values.shape)


def _row_factors(view: View, pair: TensorPair, rows: Indices) -> Iterator[ValueCandidate]:
    """Each row with a factor of its own, measured from both sides."""
    if len(view.shape) != 2 or view.columns < 32 or len(rows) < 2:
        return

    def change(values: Floats, numbers: Indices) -> Floats:
        with np.errstate(all="ignore"):
            found = floats(pair.view, numbers).astype(np.float64)
            power = (values.astype(np.float64) ** 2).sum(1)
            factors = (values * found).sum(1) / power
            factors[factors == 0] = 1  # A row of zeros has no factor.
        return values * np.array([float(f"{factor:.3g}") for factor in factors], np.float32)[:, None]

    yield Step("weights.block_factors"), ValuesEdited(view, change)
