"""The definition of every field of the statistics record, in numpy and float64.

Slow and plain on purpose: the compiled kernel must agree with it, and it serves where numba is missing or a type
has no compiled decoder.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from aprtui.compare.kernels import state as at
from aprtui.compare.kernels.state import State
from aprtui.compare.kernels.ulp import UlpFormat, ulp
from aprtui.core.dtypes import DType
from aprtui.formats.chunk import Chunk
from aprtui.formats.codecs import decode_chunk

Float64s = NDArray[np.float64]


def accumulate_reference(state: State, a: Chunk, b: Chunk, first_element: int, form: UlpFormat) -> None:
    """Add the statistics of two chunks of equally many elements.

    Args:
        state: Taken further, in place.
        a: Source.
        b: Target.
        first_element: Flat row-major index of the chunks' first element in the tensor.
        form: The target's ULP.
    """
    with np.errstate(invalid="ignore", over="ignore"):
        x, y = decoded_values(a), decoded_values(b)
        error = signed_error(a, b, x, y)
        state.add(_statistics(x, y, error, first_element, form))


def decoded_values(chunk: Chunk) -> Float64s:
    """The elements of a chunk, float64 [elements]."""
    return decode_chunk(chunk).reshape(-1).astype(np.float64, copy=False)


def signed_error(a: Chunk, b: Chunk, x: Float64s, y: Float64s) -> Float64s:
    """The differences b - a; of 64-bit integers without rounding them first, so that 1 stays 1."""
    if a.dtype != b.dtype or a.dtype not in (DType.I64, DType.U64):
        return y - x
    kind = "<i8" if a.dtype == DType.I64 else "<u8"
    exact_a, exact_b = a.data.view(kind), b.data.view(kind)
    bits_a, bits_b = a.data.view("<u8"), b.data.view("<u8")
    grows = exact_b > exact_a
    distance = np.where(grows, bits_b - bits_a, bits_a - bits_b).astype(np.float64)
    signed: Float64s = np.where(grows, distance, -distance)
    return signed


def _statistics(x: Float64s, y: Float64s, error: Float64s, first_element: int, form: UlpFormat) -> State:
    state = State()
    sums, counts = state.sums, state.counts
    nan_x, nan_y, inf_x, inf_y = np.isnan(x), np.isnan(y), np.isinf(x), np.isinf(y)
    same_infinity = inf_x & inf_y & (x == y)
    counts[at.ELEMENTS] = x.size
    counts[at.NAN_A : at.INF_B + 1] = [np.count_nonzero(mask) for mask in (nan_x, nan_y, inf_x, inf_y)]
    counts[at.OVERFLOWED] = np.count_nonzero(inf_y & ~inf_x & ~nan_x)
    counts[at.DIFFERING] = np.count_nonzero(nan_x != nan_y) + np.count_nonzero(
        ~nan_x & ~nan_y & ~same_infinity & (error != 0)
    )

    magnitude = np.where(nan_x | nan_y | same_infinity, 0.0, np.abs(error))
    largest = int(magnitude.argmax()) if x.size else 0
    if x.size and magnitude[largest] > 0:
        sums[at.MAX_ABS : at.MAX_ABS_B + 1] = magnitude[largest], x[largest], y[largest]
        counts[at.MAX_ABS_INDEX] = first_element + largest

    finite = ~(nan_x | nan_y | inf_x | inf_y)
    x, y, error = x[finite], y[finite], error[finite]
    sums[at.ERROR] = error.sum()
    sums[at.ABS_ERROR] = np.abs(error).sum()
    sums[at.SQUARED_ERROR] = (error * error).sum()
    sums[at.SQUARED_A] = (x * x).sum()
    sums[at.A_ERROR] = (x * error).sum()
    _add_rounding(state, x, y, error, form)
    if np.any(nan_x != nan_y):
        sums[at.MAX_ULP] = np.inf
    return state


def _add_rounding(state: State, x: Float64s, y: Float64s, error: Float64s, form: UlpFormat) -> None:
    """Errors in ULP, and what rounding towards zero or to zero did. All values are finite."""
    unit = ulp(x, form)
    worst = float((np.abs(error) / unit).max(initial=0.0))
    state.sums[at.MAX_ULP] = np.inf if state.sums[at.MAX_ABS] == np.inf else worst
    if not form.rounds:
        return
    in_units = x / unit
    nearest, cut, stored = np.rint(in_units), np.trunc(in_units), y / unit
    state.counts[at.FLUSHED] = np.count_nonzero((y == 0) & (nearest != 0))
    state.counts[at.TRUNCATED] = np.count_nonzero((stored == cut) & (stored != nearest))
