"""Clause a, second part: is there *some* admissible scale under which every code of a block is nearest?

Encoders may take their codes before the scale is rounded to f16 (IQ4, apr's Q4_K), or, with an importance matrix,
from a trial scale whose fit is stored afterwards (Q4_0, Q4_1, Q5_0, Q5_1). Each code allows an interval of scales;
the intersection over a block must not be empty, so no code may choose a scale of its own.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from aprtui.compare.certificate.blocks import Blocks, f16_cell
from aprtui.compare.certificate.types import TRIAL_STEP, CertificateType

ARITHMETIC = 2.0**-22
"""Relative slack for the encoder's float32 arithmetic."""

TOUCHING = 1 + 2.0**-20
"""Intervals that touch within float32 arithmetic intersect."""

BATCH = 512
"""Blocks whose pairs of limits are compared at once: 33 x 33 of them per block."""


def scale_before_rounding(blocks: Blocks) -> NDArray[np.bool_]:
    """Whether one scale in the f16 rounding cell of the stored one makes every code nearest, bool [n].

    The rounding of an offset that sub-mins multiply is allowed for as slack of half an ULP.
    """
    parts = blocks.parts
    multiple = np.where(parts.scale < 0, -1.0, 1.0)[:, None] * parts.sub_scales.astype(np.float64)
    source = blocks.source.astype(np.float64)
    offset = (parts.offset.astype(np.float64)[:, None] * parts.sub_mins)[:, :, None]
    slack = ARITHMETIC * (np.abs(source) + np.abs(offset))
    if not blocks.kind.symmetric:
        low, high = f16_cell(parts.offset)
        slack = slack + (parts.sub_mins * (high - low)[:, None] / 2)[:, :, None]
    return _scale_exists(blocks, source + offset, slack, multiple, f16_cell(parts.scale))


def trial_scale(blocks: Blocks) -> NDArray[np.bool_]:
    """Whether one trial scale of ggml's search with weights makes every code nearest, bool [n].

    Symmetric legacy types only: ggml tries max|x| / (n - s) for s in [-0.9, 0.9], n the plain levels, with the sign
    opposite to the extreme value; if both extremes tie, the first of them decided, so both signs are tried.
    """
    high, low = blocks.high[:, 0].astype(np.float64), blocks.low[:, 0].astype(np.float64)
    plain, levels = np.maximum(high, -low), blocks.kind.plain_levels
    limits = plain / (levels + TRIAL_STEP), plain / (levels - TRIAL_STEP)
    source = blocks.source.astype(np.float64)
    slack = ARITHMETIC * np.abs(source)
    sign = np.where(high >= -low, -1.0, 1.0)[:, None]
    fits = _scale_exists(blocks, source, slack, sign, limits)
    tie = high == -low
    if tie.any():
        fits |= tie & _scale_exists(blocks, source, slack, -sign, limits)
    return fits


def _scale_exists(
    blocks: Blocks,
    value: NDArray[np.float64],
    slack: NDArray[np.float64],
    multiple: NDArray[np.float64],
    limits: tuple[NDArray[np.float64], NDArray[np.float64]],
) -> NDArray[np.bool_]:
    """Is there a size D within the limits with every value in its code's cell under the step D * multiple, bool [n]?

    Args:
        blocks: The codes.
        value: float64 [n, sub_blocks, sub_block]; source plus offset.
        slack: What each value may be off.
        multiple: float64 [n, sub_blocks]; steps of each sub-block per D, with sign.
        limits: float64 [n] each; smallest and largest D.
    """
    value = value * np.sign(multiple)[:, :, None]
    codes = blocks.parts.codes.reshape(value.shape)
    lower, upper = (
        np.take(edge.astype(np.float64), codes) * np.abs(multiple)[:, :, None] for edge in blocks.kind.code_cells
    )
    from_lower, from_upper = (value + slack) / lower, (value - slack) / upper
    at_most = np.minimum(np.where(lower > 0, from_lower, np.inf), np.where(upper < 0, from_upper, np.inf))
    at_least = np.maximum(np.where(lower < 0, from_lower, -np.inf), np.where(upper > 0, from_upper, -np.inf))
    smallest = np.maximum(at_least.max((1, 2)), limits[0])
    largest = np.minimum(at_most.min((1, 2)), limits[1])
    return np.asarray(smallest <= largest * TOUCHING)


def trial_line(blocks: Blocks) -> NDArray[np.bool_]:
    """Whether one step and offset of ggml's search with weights make every code nearest, bool [n].

    Legacy types with an offset only: ggml tries steps whose top lies within 0.9 level of the largest value, and
    moves the offset freely.
    """
    source = blocks.source[:, 0].astype(np.float64)
    high = blocks.high[:, 0].astype(np.float64)
    starts = range(0, len(source), BATCH)
    pieces = [
        _line_exists(blocks.kind, source[i : i + BATCH], blocks.parts.codes[i : i + BATCH], high[i : i + BATCH])
        for i in starts
    ]
    return np.concatenate(pieces) if pieces else np.zeros(0, np.bool_)


def _line_exists(
    kind: CertificateType, source: NDArray[np.float64], codes: NDArray[np.uint8], high: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """Is there a line (t, o) with o + (q - 1/2) t <= x <= o + (q + 1/2) t for every code q, and its top near `high`?

    Every pair of a lower limit a - b t <= o and an upper limit o <= c - f t bounds t.
    """
    top = len(kind.layout.levels) - 1
    code = codes.astype(np.float64)
    slack = 2 * ARITHMETIC * np.abs(source).max(1, keepdims=True)
    column = np.ones((len(source), 1))
    extreme = high[:, None]
    a = np.concatenate([np.where(code < top, source - slack, -np.inf), extreme - slack], 1)
    b = np.concatenate([code + 0.5, (top + TRIAL_STEP) * column], 1)
    c = np.concatenate([np.where(code > 0, source + slack, np.inf), extreme + slack], 1)
    f = np.concatenate([code - 0.5, (top - TRIAL_STEP) * column], 1)
    gap = a[:, :, None] - c[:, None, :]
    slope = b[:, :, None] - f[:, None, :]
    step = gap / slope  # gap <= slope * t
    at_least = np.where(slope > 0, step, -np.inf).max((1, 2))
    at_most = np.where(slope < 0, step, np.inf).min((1, 2))
    contradiction = ((slope == 0) & (gap > 0)).any((1, 2))
    return np.asarray(~contradiction & (np.maximum(at_least, 0) <= at_most * TOUCHING))
