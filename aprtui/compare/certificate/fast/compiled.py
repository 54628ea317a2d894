"""The one place where the certificate meets numba: typed decorators, and the arrays that compiled code takes."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar, cast

import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]
Flags = NDArray[np.bool_]
Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]
Work = tuple[Bytes, Floats, Floats, Floats, Floats]
"""Scratch of one block: uint8 codes [block], float32 levels [block], steps [16], offsets [16], a fit's numbers [7]."""

Function = TypeVar("Function", bound=Callable[..., object])


OPTIONS = {
    "nogil": True,
    "cache": True,
    "error_model": "numpy",  # no branch for a division by zero
    "_nrt": False,  # no reference counts: for the many small slices they cost more than the arithmetic
}
"""Nothing compiled here may allocate; callers hand in the scratch memory."""


def compiled(function: Function) -> Function:
    """Compile with IEEE arithmetic: decisions must not depend on the order of operations."""
    return cast(Function, numba.njit(**OPTIONS)(function))


def inlined(function: Function) -> Function:
    """Compile as `compiled`, into every caller: a call with arrays costs more than these functions do."""
    return cast(Function, numba.njit(**OPTIONS, forceinline=True)(function))


def _power_below(_typing_context: object, _value: object) -> tuple[object, object]:
    def generate(_context: object, builder: ir.IRBuilder, _signature: object, arguments: tuple[ir.Value]) -> ir.Value:
        bits = builder.bitcast(arguments[0], ir.IntType(64))
        exponent = builder.and_(bits, ir.Constant(ir.IntType(64), 0x7FF0000000000000))
        return builder.bitcast(exponent, ir.DoubleType())

    return types.float64(types.float64), generate


power_below = cast(Callable[[float], float], intrinsic(_power_below))
"""The largest power of two that is not above a normal float64: its exponent without its mantissa."""
