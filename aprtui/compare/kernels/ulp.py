"""Units in the last place: the spacing of a type's numbers at a value, sub-normals included.

One definition for the reference and the compiled kernel: ulp(a) = 2^(max(exponent of a, least exponent) - mantissa
bits). Beyond the type's largest number the spacing goes on growing as if there were more exponents.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aprtui.core.dtypes import DType


@dataclass(frozen=True, slots=True)
class UlpFormat:
    """Where a type's numbers lie.

    Attributes:
        mantissa_bits: Stored bits of the mantissa.
        least_exponent: Exponent of the smallest normal number; sub-normals have its spacing.
        rounds: b was rounded to this type, so "flushed" and "truncated" have a meaning. Not so where b holds blocks
            or integers, whose errors are merely counted in ULP of F32.
    """

    mantissa_bits: int
    least_exponent: int
    rounds: bool = True


_FLOATS = {
    DType.F64: UlpFormat(52, -1022),
    DType.F32: UlpFormat(23, -126),
    DType.BF16: UlpFormat(7, -126),
    DType.F16: UlpFormat(10, -14),
    DType.F8_E4M3: UlpFormat(3, -6),
    DType.F8_E5M2: UlpFormat(2, -14),
}


def ulp_format(dtype: DType) -> UlpFormat:
    """The format whose ULP measure errors of a target of this type: its own if it is a float, else that of F32."""
    return _FLOATS.get(dtype, UlpFormat(23, -126, rounds=False))


def ulp(a: NDArray[np.float64], form: UlpFormat) -> NDArray[np.float64]:
    """Spacing of the format's numbers at each value.

    Args:
        a: float64 of any shape; finite.
        form: The format.

    Returns:
        float64 of the same shape; powers of two.
    """
    exponent = np.frexp(a)[1] - 1
    exponent = np.where(a == 0, form.least_exponent, np.maximum(exponent, form.least_exponent))
    spacing: NDArray[np.float64] = np.ldexp(1.0, exponent - form.mantissa_bits)
    return spacing
