"""Clause a, first part: is every code the nearest level under one given scale?

Blocks that fail here may still be nearest under another scale that rounds to the stored one; see intervals.py.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aprtui.compare.certificate.blocks import Blocks
from aprtui.compare.certificate.types import CertificateType, Norm

LEVEL_ALLOWANCE = np.float32(2.0**-21)
"""float32 arithmetic of x / t: three roundings of at most half an ULP of the largest level."""

OFFSET_ALLOWANCE = np.float32(2.0**-22)
"""float32 arithmetic of (x + o) / t, per step of |o / t|."""

WEIGHT_FLOOR = 1e-30
"""Keeps weighted means of all-zero sub-blocks defined."""


@dataclass(frozen=True, slots=True, eq=False)
class CodeFit:
    """How codes fit a scale.

    Attributes:
        steps: float32 [n]; steps by which the worst element lies outside its code's cell, 0 if none does.
        error: float32 [n, sub_blocks, sub_block]; (x + offset) / step - level, x + offset where the step is zero.
        clipped: int64 [n]; elements beyond the last level by more than half a step.
    """

    steps: NDArray[np.float32]
    error: NDArray[np.float32]
    clipped: NDArray[np.int64]


def fit_codes(blocks: Blocks, step: NDArray[np.float32], offset: NDArray[np.float32]) -> CodeFit:
    """Measure codes against a step and an offset; a step of zero decides nothing.

    Args:
        blocks: The blocks.
        step: float32 [n, sub_blocks].
        offset: float32 [n, sub_blocks], subtracted from the codes' values.
    """
    kind = blocks.kind
    live = step != 0
    inverse = np.where(live, 1 / step, np.float32(0))
    shifted = blocks.source + offset[:, :, None] if not kind.symmetric else blocks.source
    position = shifted * inverse[:, :, None]
    codes = blocks.parts.codes.reshape(position.shape)
    level = np.take(kind.layout.levels, codes)
    if kind.uneven:
        lower, upper = kind.code_cells
        outside = np.maximum(np.take(lower, codes) - position, position - np.take(upper, codes)).max(2)
    else:  # levels one step apart; a value beyond the last level belongs to it
        outside = np.abs(np.clip(position, kind.lowest, kind.highest) - level).max(2) - np.float32(0.5)
    allowed = allowance(kind, offset, inverse)
    steps = np.where(live & ~(outside <= allowed), outside, np.float32(0)).max(1)
    beyond = (position < kind.lowest - 0.5) | (position > kind.highest + 0.5)
    error = position - level
    if not live.all():
        error = np.where(live[:, :, None], error, shifted)
    return CodeFit(steps, error, beyond.sum((1, 2)))


def allowance(kind: CertificateType, offset: NDArray[np.float32], inverse: NDArray[np.float32]) -> NDArray[np.float32]:
    """Steps that float32 arithmetic may cost, [n, sub_blocks]."""
    return np.asarray(LEVEL_ALLOWANCE * np.float32(kind.largest) + OFFSET_ALLOWANCE * np.abs(offset * inverse))


def sub_block_errors(blocks: Blocks, fit: CodeFit, norm: Norm) -> NDArray[np.float64]:
    """Error of each sub-block under the stored scale, in units of the source.

    Args:
        blocks: The blocks.
        fit: Of the stored step and offset.
        norm: How elements are weighted.

    Returns:
        float64 [n, sub_blocks].
    """
    unit = np.where(blocks.step != 0, np.abs(blocks.step), np.float32(1)).astype(np.float64)
    elements = blocks.source.shape[2]
    error = fit.error.astype(np.float64)
    square = np.einsum("bsn,bsn->bs", error, error)
    if norm is Norm.RMS:
        return np.asarray(unit * np.sqrt(square / elements))
    size = np.abs(blocks.source).astype(np.float64)
    total = size.sum(2)
    if norm is Norm.MEAN_ABSOLUTE:
        np.abs(error, out=error)
        weighted = np.einsum("bsn,bsn->bs", size, error) + WEIGHT_FLOOR * error.sum(2)
        return np.asarray(unit * weighted / (total + elements * WEIGHT_FLOOR))
    floor = np.sqrt(np.einsum("bsn,bsn->bs", size, size) / elements) + WEIGHT_FLOOR
    weighted = np.einsum("bsn,bsn->bs", size, error * error) + floor * square
    return np.asarray(unit * np.sqrt(weighted / (total + elements * floor)))
