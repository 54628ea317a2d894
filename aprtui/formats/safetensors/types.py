"""Element types of SafeTensors; their names are those of `DType`.

Source: safetensors/src/tensor.rs (`enum Dtype`). Types below a byte are packed over the whole tensor.
"""

from __future__ import annotations

from math import prod

from aprtui.core.dtypes import DType

TYPES: frozenset[DType] = frozenset(
    {
        DType.F64,
        DType.F32,
        DType.F16,
        DType.BF16,
        DType.F8_E4M3,
        DType.F8_E5M2,
        DType.F8_E8M0,
        DType.C64,
        DType.I64,
        DType.I32,
        DType.I16,
        DType.I8,
        DType.U64,
        DType.U32,
        DType.U16,
        DType.U8,
        DType.BOOL,
        DType.F4,
        DType.F6_E2M3,
        DType.F6_E3M2,
    }
)


def packed_bytes(dtype: DType, shape: tuple[int, ...]) -> int | None:
    """Bytes that a tensor takes, or None where its elements do not fill whole bytes (upstream refuses those)."""
    info = dtype.info
    bits = prod(shape) * info.nbytes * 8 // info.block
    return None if bits % 8 else bits // 8
