"""Floats that were blocks of 4 bits once: whose encoder it was is not known, that it was one shows in the values.

Each run of 32 elements takes at most 16 values that are evenly spaced, and the source's value lies within one step of
each. That is what 4-bit types of GGML and apr leave, whatever encoder chose the codes; values of other origin do not.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from aprtui.diagnose.samples import Floats

_RUN = 32
_SUPER_BLOCK = 256
_LEVELS = 16
_DIVISORS = (1, 2, 3)
_BF16_BITS, _F16_BITS = 7, 10
"""Stored bits of the mantissa."""
_OFF_GRID = 1e-2
"""Of a step: the floats were computed from a scale and a minimum, and rounded."""


def lies_on_block_grid(source: Floats, target: Floats) -> NDArray[np.bool_]:
    """Which elements of a product are the source's, put on the grid of a block.

    Args:
        source: float32 [rows, columns].
        target: The product's, float32 of the same shape.

    Returns:
        bool [rows, columns]; False everywhere where rows do not consist of whole runs.
    """
    if target.shape[1] % _RUN:
        return np.zeros(target.shape, bool)
    with np.errstate(all="ignore"):
        runs = target.astype(np.float64).reshape(-1, _RUN)
        steps = _steps(runs)
        steps = np.where(_is_own_spacing(runs, steps), np.inf, steps)
        # A sub-block with one value has no step of its own: its scale was rounded to zero beside its neighbours'.
        widest = np.repeat(_widest(steps, target.shape), _RUN, axis=1).reshape(target.shape)
        near: NDArray[np.bool_] = np.abs(source.astype(np.float64) - target) <= widest
        near &= np.repeat(np.isfinite(steps), _RUN).reshape(target.shape)
    return near


def _steps(runs: NDArray[np.float64]) -> NDArray[np.float64]:
    """Distance of the levels of each run; 0 for one value alone, infinite where they are not evenly spaced."""
    ordered = np.sort(runs, axis=1)
    low = ordered[:, :1]
    gaps = np.diff(ordered, axis=1)
    span = ordered[:, -1] - ordered[:, 0]
    apart = gaps > _OFF_GRID * span[:, None] / _LEVELS
    smallest = np.where(apart, gaps, np.inf).min(axis=1)
    found = np.full(len(runs), np.inf)
    for divisor in _DIVISORS:
        step = smallest / divisor
        places = (ordered - low) / step[:, None]
        even = (np.abs(places - np.round(places)) < _OFF_GRID * divisor).all(axis=1) & (places[:, -1] < _LEVELS)
        found = np.where(even & np.isinf(found), step, found)
    return np.where(span == 0, 0.0, found)


def _is_own_spacing(runs: NDArray[np.float64], steps: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Whether the levels of a run are only the neighbouring values of BF16 or F16, where no block put them."""
    largest = np.abs(runs).max(axis=1)
    found = np.zeros(len(runs), bool)
    for bits, values in (
        (_BF16_BITS, runs.astype(np.float32).view(np.uint32) & np.uint32(0xFFFF) == 0),
        (_F16_BITS, runs == runs.astype(np.float16)),
    ):
        spacing = np.exp2(np.floor(np.log2(largest)) - bits)
        found |= values.all(axis=1) & (steps > 0) & (steps <= (1 + _OFF_GRID) * spacing)
    return found


def _widest(steps: NDArray[np.float64], shape: tuple[int, ...]) -> NDArray[np.float64]:
    """The largest step of the super-block of each run, its own where rows have none of whole super-blocks."""
    rows, columns = shape
    by_row = np.where(np.isfinite(steps), steps, 0.0).reshape(rows, columns // _RUN)
    count = _SUPER_BLOCK // _RUN
    flat = by_row.reshape(-1)
    if len(flat) % count:
        return by_row
    return np.repeat(flat.reshape(-1, count).max(axis=1), count).reshape(by_row.shape)
