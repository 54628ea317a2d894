"""The two encodings of apr's own: AprQ4 (blocks of 32 under an f16 scale) and AprQ8 (one f32 scale for a tensor).

The encoders are byte-identical to apr 0.72.3. Source: aprender's `AprV2Writer::add_q4_tensor` and `add_q8_tensor`.
Codes are taken with the scale before it is rounded to f16, ties away from zero. apr 0.2.11 takes the same codes but
cuts AprQ4's scale towards zero where 0.72.3 rounds it to the nearest; its AprQ8 is the same.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_BLOCK = 32
_BLOCK_BYTES = 18


def encode_apr_q4(values: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Blocks of a run of values, which need not know of rows.

    A block is an f16 scale max|x| / 7 (1 where all values are zero) and 16 bytes; byte k holds code 2k in its low and
    code 2k + 1 in its high nibble, each round(x / scale) + 8. What a last block lacks stays zero bits.

    Args:
        values: float32 of any shape, finite; the last block may be incomplete.

    Returns:
        uint8 [blocks, 18].
    """
    flat = values.reshape(-1)
    missing = -flat.size % _BLOCK
    x = np.pad(flat, (0, missing)).reshape(-1, _BLOCK)
    scale = _scale(np.abs(x).max(axis=1, initial=0), np.float32(7))
    codes = (_rounded(x, scale[:, None], -8, 7) + np.float32(8)).astype(np.uint8)
    if missing:
        codes[-1, _BLOCK - missing :] = 0
    blocks = np.empty((len(x), _BLOCK_BYTES), np.uint8)
    with np.errstate(over="ignore", under="ignore"):
        blocks[:, :2] = scale.astype("<f2")[:, None].view(np.uint8)
    blocks[:, 2:] = codes[:, 0::2] | codes[:, 1::2] << 4
    return blocks


def decode_apr_q4(blocks: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Values scale * (code - 8) as stored.

    apr's own reader takes sub-normal scales for zero (aprender GH-186); what is stored counts here.

    Args:
        blocks: uint8 [n, 18].

    Returns:
        float32 [n, 32].
    """
    codes = np.empty((len(blocks), _BLOCK), np.float32)
    codes[:, 0::2] = blocks[:, 2:] & 15
    codes[:, 1::2] = blocks[:, 2:] >> 4
    codes -= 8
    codes *= np.ascontiguousarray(blocks[:, :2]).view("<f2").astype(np.float32)
    return codes


def apr_q8_scale(max_abs: float | np.float32) -> np.float32:
    """The scale of a tensor whose largest magnitude is `max_abs`: max|x| / 127, or 1 where all values are zero."""
    return np.float32(_scale(np.array([max_abs], np.float32), np.float32(127))[0])


def apr_q8_codes(values: NDArray[np.float32], scale: np.float32) -> NDArray[np.int8]:
    """Codes round(x / scale) of finite values, int8, shape kept; a tensor may be given in pieces."""
    return _rounded(values, np.asarray(scale, np.float32), -127, 127).astype(np.int8)


def decode_apr_q8(codes: NDArray[np.int8], scale: np.float32) -> NDArray[np.float32]:
    """Values scale * code, float32, shape kept."""
    return codes.astype(np.float32) * np.float32(scale)


def _scale(max_abs: NDArray[np.float32], levels: np.float32) -> NDArray[np.float32]:
    with np.errstate(under="ignore"):
        return np.where(max_abs == 0, np.float32(1), max_abs / levels)


def _rounded(values: NDArray[np.float32], scale: NDArray[np.float32], low: int, high: int) -> NDArray[np.float32]:
    """The nearest step of each value, ties away from zero as Rust's `f32::round`, within [low, high]."""
    with np.errstate(divide="ignore", invalid="ignore", over="ignore", under="ignore"):
        steps = values / scale
    # A magnitude near the smallest float has a scale of zero; Rust clamps the infinity and turns 0 / 0 into 0.
    if not scale.all():
        steps[np.isnan(steps)] = 0
    np.clip(steps, low, high, out=steps)
    whole: NDArray[np.float32] = np.trunc(steps)
    whole += np.copysign((np.abs(steps - whole) >= 0.5).astype(np.float32), steps)
    return whole
