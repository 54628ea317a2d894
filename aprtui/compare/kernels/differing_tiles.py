"""Compiled loops for tiles whose sides differ: everything the statistics record measures, from decoded values.

Small loops over values in the first-level cache, each of which vectorises. Maxima are taken of bits as integers,
which order like the non-negative floats they stand for (float maxima do not vectorise without `nnan`). Fastmath
covers the order of sums only.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from aprtui.compare.kernels import state as at
from aprtui.compare.kernels.bits import bits_of_float64, float64_of_bits
from aprtui.compare.kernels.decoders_plain import Floats
from aprtui.compare.kernels.equal_tiles import REDUCTION, square_sum

Sums = NDArray[np.float64]
Counts = NDArray[np.int64]

_EXPONENT_BITS = np.int64(0x7FF << 52)
_MANTISSA = 52
_BIAS = 1023


@njit(nogil=True)
def _count_differing(x: Floats, y: Floats, count: int) -> np.uint32:
    differing = np.uint32(0)
    for k in range(count):
        differing += np.uint32(x[k] != y[k])
    return differing


@njit(nogil=True, fastmath=REDUCTION)
def _errors(
    x: Floats, y: Floats, count: int, least: np.int64
) -> tuple[float, float, float, float, float, np.int64, np.int64]:
    """The five sums, the bits of the largest |e|, and the largest |e| in ULP as `bits(|e|) - exponent bits of a`.

    Subtracting exponent bits divides by a power of two. `least` holds the exponent bits of the smallest normal
    number: below it ULP do not shrink.
    """
    error, abs_error, squared_error, squared_a, a_error = 0.0, 0.0, 0.0, 0.0, 0.0
    largest, largest_scaled = np.int64(0), np.int64(-(1 << 62))
    for k in range(count):
        a = np.float64(x[k])
        e = np.float64(y[k]) - a
        magnitude = abs(e)
        error += e
        abs_error += magnitude
        squared_error += e * e
        squared_a += a * a
        a_error += a * e
        bits = bits_of_float64(magnitude)
        largest = max(largest, bits)
        largest_scaled = max(largest_scaled, bits - max(bits_of_float64(a) & _EXPONENT_BITS, least))
    return error, abs_error, squared_error, squared_a, a_error, largest, largest_scaled


@njit(nogil=True)
def _set_aside_non_finite(  # noqa: PLR0917 - numba has no keyword-only parameters
    x: Floats, y: Floats, count: int, first: int, sums: Sums, counts: Counts
) -> None:
    """Count NaN and infinities and put zeros on both sides of each, so that they add nothing to what follows."""
    for k in range(count):
        a, b = x[k], y[k]
        if np.isfinite(a) and np.isfinite(b):
            continue
        counts[at.NAN_A] += np.isnan(a)
        counts[at.NAN_B] += np.isnan(b)
        counts[at.INF_A] += np.isinf(a)
        counts[at.INF_B] += np.isinf(b)
        counts[at.OVERFLOWED] += np.isfinite(a) and np.isinf(b)
        if np.isnan(a) or np.isnan(b):
            if np.isnan(a) != np.isnan(b):
                counts[at.DIFFERING] += 1
                sums[at.MAX_ULP] = np.inf
        elif a != b:
            counts[at.DIFFERING] += 1
            if sums[at.MAX_ABS] < np.inf:
                sums[at.MAX_ABS], sums[at.MAX_ULP] = np.inf, np.inf
                sums[at.MAX_ABS_A], sums[at.MAX_ABS_B] = a, b
                counts[at.MAX_ABS_INDEX] = first + k
        x[k] = np.float32(0)
        y[k] = np.float32(0)


@njit(nogil=True)
def _find_largest(  # noqa: PLR0917 - numba has no keyword-only parameters
    x: Floats, y: Floats, count: int, first: int, largest: float, sums: Sums, counts: Counts
) -> None:
    """Note where the largest |e| of all tiles so far is."""
    for k in range(count):
        if abs(np.float64(y[k]) - np.float64(x[k])) == largest:
            sums[at.MAX_ABS] = largest
            sums[at.MAX_ABS_A], sums[at.MAX_ABS_B] = x[k], y[k]
            counts[at.MAX_ABS_INDEX] = first + k
            return


@njit(nogil=True)
def _count_rounding(  # noqa: PLR0917 - numba has no keyword-only parameters
    x: Floats, y: Floats, count: int, least: np.int64, mantissa_bits: int, counts: Counts
) -> None:
    """Count values cut towards zero and values flushed to zero."""
    top = np.int64(2 * _BIAS + mantissa_bits) << np.int64(_MANTISSA)
    flushed, truncated = np.int64(0), np.int64(0)
    for k in range(count):
        a = np.float64(x[k])
        per_ulp = float64_of_bits(top - max(bits_of_float64(a) & _EXPONENT_BITS, least))
        in_ulp, stored = a * per_ulp, np.float64(y[k]) * per_ulp
        nearest = np.rint(in_ulp)
        flushed += np.int64((stored == 0.0) & (nearest != 0.0))
        truncated += np.int64((stored == np.trunc(in_ulp)) & (stored != nearest))
    counts[at.FLUSHED] += flushed
    counts[at.TRUNCATED] += truncated


@njit(nogil=True)
def compare_tile(  # noqa: PLR0917 - numba has no keyword-only parameters
    x: Floats, y: Floats, count: int, first: int, ulp: Counts, sums: Sums, counts: Counts
) -> bool:
    """Add the statistics of one tile.

    Args:
        x: float32; values of a; overwritten where not finite.
        y: float32; values of b; likewise.
        count: Elements of the tile.
        first: Flat index of the first one in the tensor.
        ulp: int64 [3]; mantissa bits, least exponent and `rounds` of the target's `UlpFormat`.
        sums: float64 [9]; see `State`.
        counts: int64 [10]; see `State`.

    Returns:
        Whether all values were equal.
    """
    differing = _count_differing(x, y, count)
    if differing == 0:
        total = square_sum(x, count)
        if np.isfinite(total):
            sums[at.SQUARED_A] += total
            return True
    least = (ulp[1] + np.int64(_BIAS)) << np.int64(_MANTISSA)
    error, abs_error, squared_error, squared_a, a_error, largest, scaled = _errors(x, y, count, least)
    if not np.isfinite(squared_a + squared_error):
        _set_aside_non_finite(x, y, count, first, sums, counts)
        differing = _count_differing(x, y, count)
        error, abs_error, squared_error, squared_a, a_error, largest, scaled = _errors(x, y, count, least)
    counts[at.DIFFERING] += differing
    sums[at.ERROR] += error
    sums[at.ABS_ERROR] += abs_error
    sums[at.SQUARED_ERROR] += squared_error
    sums[at.SQUARED_A] += squared_a
    sums[at.A_ERROR] += a_error
    if differing == 0:
        return False
    if float64_of_bits(largest) > sums[at.MAX_ABS]:
        _find_largest(x, y, count, first, float64_of_bits(largest), sums, counts)
    worst = float64_of_bits(scaled + (np.int64(_BIAS + ulp[0]) << np.int64(_MANTISSA)))
    sums[at.MAX_ULP] = max(sums[at.MAX_ULP], worst)
    if ulp[2] and worst >= 0.5:  # rounding to nearest never errs by more; a cut or flushed value by at least as much
        _count_rounding(x, y, count, least, ulp[0], counts)
    return False
