"""How ggml chooses scale, minimum and codes of a K-quant's sub-block: small searches around the plain choice.

Sums run in the order of the elements and every product keeps ggml's order, so that each float32 rounding is the same.
Source: `make_qx_quants`, `make_q3_quants` and `make_qkx2_quants` in ggml-quants.c.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from aprtui.formats.codecs.encoders.arithmetic import GROUP_MAX_EPS, clipped, compiled, extreme, nearest_int

_ZERO = np.float32(0)
_ONE = np.float32(1)
_TENTH = np.float32(0.1)


@compiled
def _fit_symmetric(x: NDArray[np.float32], half: int, inverse: np.float32) -> tuple[np.float32, np.float32]:
    """Weighted sums x*code and code*code (weights x*x) of the codes under one inverse scale."""
    sum_xc, sum_cc = _ZERO, _ZERO
    for i in range(len(x)):
        code = np.float32(clipped(nearest_int(inverse * x[i]), -half, half - 1))
        weight = x[i] * x[i]
        sum_xc += weight * x[i] * code
        sum_cc += weight * code * code
    return sum_xc, sum_cc


@compiled
def symmetric_scale(x: NDArray[np.float32], half: int, codes: NDArray[np.uint8]) -> np.float32:
    """The best of 19 scales, each refitted by least squares with weights x*x (`make_qx_quants`, rmse_type 1).

    Args:
        x: float32 [n].
        half: Codes run from -half to half - 1 and are stored with half added.
        codes: uint8 [n], written.

    Returns:
        The scale; 0 where all values are practically zero.
    """
    peak = extreme(x)
    if abs(peak) < GROUP_MAX_EPS:
        codes[:] = 0
        return _ZERO
    inverse = np.float32(-half) / peak
    sum_xc, sum_cc = _fit_symmetric(x, half, inverse)
    scale = sum_xc / sum_cc if sum_cc != _ZERO else _ZERO
    best = scale * sum_xc
    best_inverse = inverse
    for trial in range(-9, 10):
        if trial == 0:
            continue
        inverse = -(np.float32(half) + _TENTH * np.float32(trial)) / peak
        sum_xc, sum_cc = _fit_symmetric(x, half, inverse)
        if sum_cc > _ZERO and sum_xc * sum_xc > best * sum_cc:
            best_inverse = inverse
            scale = sum_xc / sum_cc
            best = scale * sum_xc
    for i in range(len(x)):
        codes[i] = half + clipped(nearest_int(best_inverse * x[i]), -half, half - 1)
    return scale


@compiled
def _improve_codes(
    x: NDArray[np.float32], half: int, codes: NDArray[np.int8], sum_xc: np.float32, sum_cc: np.float32
) -> tuple[int, np.float32, np.float32]:
    """One round over the codes: each may move to where the fit of the others puts it. Returns changes and new sums."""
    changes = 0
    for i in range(len(x)):
        weight = x[i] * x[i]
        old = np.float32(codes[i])
        rest_xc = sum_xc - weight * x[i] * old
        if rest_xc > _ZERO:
            rest_cc = sum_cc - weight * old * old
            code = clipped(nearest_int(x[i] * rest_cc / rest_xc), -half, half - 1)
            if code != codes[i]:
                new = np.float32(code)
                rest_xc += weight * x[i] * new
                rest_cc += weight * new * new
                if rest_cc > _ZERO and rest_xc * rest_xc * sum_cc > sum_xc * sum_xc * rest_cc:
                    codes[i] = code
                    sum_xc, sum_cc = rest_xc, rest_cc
                    changes += 1
    return changes, sum_xc, sum_cc


@compiled
def refined_scale(x: NDArray[np.float32], half: int, codes: NDArray[np.int8]) -> np.float32:
    """Plain codes, then up to five rounds of moving single codes (`make_q3_quants` with do_rmse).

    Args:
        x: float32 [n].
        half: Codes run from -half to half - 1 and are left with half added.
        codes: int8 [n], written.

    Returns:
        The scale; 0 where all values are practically zero, and then all codes are 0.
    """
    peak = extreme(x)
    if abs(peak) < GROUP_MAX_EPS:
        codes[:] = 0
        return _ZERO
    inverse = np.float32(-half) / peak
    for i in range(len(x)):
        codes[i] = clipped(nearest_int(inverse * x[i]), -half, half - 1)
    sum_xc, sum_cc = _fit_symmetric(x, half, inverse)
    for _ in range(5):
        changes, sum_xc, sum_cc = _improve_codes(x, half, codes, sum_xc, sum_cc)
        if changes == 0:
            break
    for i in range(len(x)):
        codes[i] += half
    return sum_xc / sum_cc if sum_cc > _ZERO else _ZERO


@compiled
def _affine_error(  # noqa: PLR0917 - numba has no keyword-only parameters
    x: NDArray[np.float32],
    weights: NDArray[np.float32],
    codes: NDArray[np.uint8],
    scale: np.float32,
    low: np.float32,
    absolute: bool,
) -> np.float32:
    """Weighted sum of absolute or squared errors of scale * code + low."""
    error = _ZERO
    for i in range(len(x)):
        difference = scale * np.float32(codes[i]) + low - x[i]
        difference = abs(difference) if absolute else difference * difference
        error += weights[i] * difference
    return error


@compiled
def _range_and_sums(
    x: NDArray[np.float32], weights: NDArray[np.float32]
) -> tuple[np.float32, np.float32, np.float32, np.float32]:
    """Minimum (at most 0), maximum, sum of weights, weighted sum of x."""
    low, high = x[0], x[0]
    sum_w = weights[0]
    sum_x = sum_w * x[0]
    for i in range(1, len(x)):
        low = x[i] if x[i] < low else low
        high = x[i] if x[i] > high else high
        sum_w += weights[i]
        sum_x += weights[i] * x[i]
    return (_ZERO if low > _ZERO else low), high, sum_w, sum_x


@compiled
def _code_and_sum(  # noqa: PLR0917 - numba has no keyword-only parameters
    x: NDArray[np.float32],
    weights: NDArray[np.float32],
    codes: NDArray[np.uint8],
    top: int,
    inverse: np.float32,
    low: np.float32,
) -> tuple[np.float32, np.float32, np.float32]:
    """Write the codes under one inverse scale; return weighted sums of code, code*code and x*code."""
    sum_c, sum_cc, sum_xc = _ZERO, _ZERO, _ZERO
    for i in range(len(x)):
        integer = clipped(nearest_int(inverse * (x[i] - low)), 0, top)
        codes[i] = integer
        code = np.float32(integer)
        weighted = weights[i] * code
        sum_c += weighted
        sum_cc += weighted * code
        sum_xc += weighted * x[i]
    return sum_c, sum_cc, sum_xc


@compiled
def affine_scale(  # noqa: PLR0917 - numba has no keyword-only parameters
    x: NDArray[np.float32],
    weights: NDArray[np.float32],
    codes: NDArray[np.uint8],
    trial: NDArray[np.uint8],
    top: int,
    first: np.float32,
    steps: int,
    absolute: bool,
) -> tuple[np.float32, np.float32]:
    """Scale and minimum: the plain choice, or the best of some refitted ones (`make_qkx2_quants`).

    Args:
        x: float32 [n].
        weights: float32 [n], what an error at each element costs.
        codes: uint8 [n], written.
        trial: uint8 [n], scratch.
        top: Largest code.
        first: The inverse scales tried are (top + first + 0.1 * step) / range.
        steps: Number of the last step, counted from 0.
        absolute: Absolute instead of squared errors decide.

    Returns:
        Scale and negated minimum (never negative): value = scale * code - minimum.
    """
    low, high, sum_w, sum_x = _range_and_sums(x, weights)
    if high == low:
        codes[:] = 0
        return _ZERO, -low
    inverse = np.float32(top) / (high - low)
    scale = _ONE / inverse
    _code_and_sum(x, weights, codes, top, inverse, low)
    best = _affine_error(x, weights, codes, scale, low, absolute)
    for step in range(steps + 1):
        inverse = (first + _TENTH * np.float32(step) + np.float32(top)) / (high - low)
        sum_c, sum_cc, sum_xc = _code_and_sum(x, weights, trial, top, inverse, low)
        determinant = sum_w * sum_cc - sum_c * sum_c
        if determinant > _ZERO:
            new_scale = (sum_w * sum_xc - sum_x * sum_c) / determinant
            new_low = (sum_cc * sum_x - sum_c * sum_xc) / determinant
            if new_low > _ZERO:
                new_low = _ZERO
                new_scale = sum_xc / sum_cc
            error = _affine_error(x, weights, trial, new_scale, new_low, absolute)
            if error < best:
                codes[:] = trial
                best, scale, low = error, new_scale, new_low
    return scale, -low
