"""Loops over the elements of a sub-block that are left to them: uneven levels, and the worst element of a block.

The clauses' arithmetic is that of the numpy reference, operation by operation. Where a loop runs over sixteen
elements, half or all of a sub-block, that was measured to give vector code where a variable length does not.
"""

from __future__ import annotations

import numpy as np

from aprtui.compare.certificate.fast.compiled import Bytes, Floats, compiled, inlined

RUN = 16
"""Elements per loop."""

_HALF = np.float32(0.5)
_I = np.int32


@inlined
def outside_uneven(x: Floats, code: Bytes, fit: Floats, lower: Floats, upper: Floats) -> tuple[np.int32, np.int32]:
    """How many of 16 elements lie outside their code's cell, and beyond the last level; levels are not one step apart.

    Args:
        x: float32 [16].
        code: uint8 [16].
        fit: As in `vectors.cells_16`.
        lower: float32 [codes]; lower edges of the codes' cells.
        upper: float32 [codes]; upper edges.
    """
    inverse, allowed, bottom, top = fit[0], fit[2], fit[5], fit[6]
    outside, clipped = _I(0), _I(0)
    for j in range(RUN):
        z = x[j] * inverse
        c = code[j]
        outside += _I((lower[c] - z > allowed) | (z - upper[c] > allowed))
        clipped += _I(z < bottom) + _I(z > top)
    return outside, clipped


@compiled
def worst_even(x: Floats, level: Floats, fit: Floats) -> np.float32:
    """Steps by which the worst of the elements lies outside its code's cell; 0 within the allowance.

    Args:
        x: float32 [elements].
        level: float32 [elements].
        fit: As in `vectors.cells_16`.
    """
    worst = np.float32(0)
    for j in range(len(x)):
        z = (x[j] + fit[1]) * fit[0]
        inner = min(max(z, fit[3]), fit[4])
        worst = max(worst, abs(inner - level[j]) - _HALF)
    return worst if worst > fit[2] else np.float32(0)


@compiled
def worst_uneven(x: Floats, code: Bytes, fit: Floats, lower: Floats, upper: Floats) -> np.float32:
    """As `worst_even`, for levels that are not one step apart."""
    worst = np.float32(0)
    for j in range(len(x)):
        z = x[j] * fit[0]
        worst = max(worst, lower[code[j]] - z, z - upper[code[j]])
    return worst if worst > fit[2] else np.float32(0)
