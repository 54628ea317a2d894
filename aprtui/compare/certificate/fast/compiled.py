"""The one place where the certificate meets numba: typed decorators, and the arrays that compiled code takes."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar, cast

import numba
import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]
Ints = NDArray[np.int32]
Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]
Work = tuple[Bytes, Floats, Floats, Floats, Floats]
"""Scratch of one block: codes, levels, step and offset of each sub-block, and what a fit needs."""

Function = TypeVar("Function", bound=Callable[..., object])


def compiled(function: Function) -> Function:
    """Compile with IEEE arithmetic: decisions must not depend on the order of operations."""
    return cast(Function, numba.njit(nogil=True, cache=True)(function))


def compiled_sums(function: Function) -> Function:
    """Compile sums in any order: of float64 terms, far more exact than any bound they are held against."""
    return cast(Function, numba.njit(nogil=True, cache=True, fastmath={"reassoc"})(function))
