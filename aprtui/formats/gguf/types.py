"""Numbers of the GGUF format: value types of metadata, and GGML's tensor types as `DType`.

Sources: ggml/include/gguf.h (`enum gguf_type`), ggml/include/ggml.h (`enum ggml_type`) of llama.cpp.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Any, NamedTuple

from aprtui.core.dtypes import DType

MAGIC = b"GGUF"
DEFAULT_ALIGNMENT = 32
LONGEST_NAME = 63  # GGML_MAX_NAME less the closing zero
MOST_DIMENSIONS = 4  # GGML_MAX_DIMS


class ValueType(IntEnum):
    """Type of a metadata value (`enum gguf_type`)."""

    UINT8 = 0
    INT8 = 1
    UINT16 = 2
    INT16 = 3
    UINT32 = 4
    INT32 = 5
    FLOAT32 = 6
    BOOL = 7
    STRING = 8
    ARRAY = 9
    UINT64 = 10
    INT64 = 11
    FLOAT64 = 12


# Little-endian numpy types of the values with a fixed size; a bool is a byte that is zero or not.
NUMPY_TYPES: dict[ValueType, str] = {
    ValueType.UINT8: "<u1",
    ValueType.INT8: "<i1",
    ValueType.UINT16: "<u2",
    ValueType.INT16: "<i2",
    ValueType.UINT32: "<u4",
    ValueType.INT32: "<i4",
    ValueType.FLOAT32: "<f4",
    ValueType.BOOL: "<u1",
    ValueType.UINT64: "<u8",
    ValueType.INT64: "<i8",
    ValueType.FLOAT64: "<f8",
}


class GgufValue(NamedTuple):
    """One key of the metadata with its value.

    Attributes:
        key: The key.
        value: int, float, bool, str; for an array a numpy array, or a sequence of str, or a list of sequences.
        type: Stored type.
        element: Stored type of an array's elements.
    """

    key: str
    value: Any
    type: ValueType
    element: ValueType | None = None


GGML_TYPES: dict[int, DType] = {
    0: DType.F32,
    1: DType.F16,
    2: DType.Q4_0,
    3: DType.Q4_1,
    6: DType.Q5_0,
    7: DType.Q5_1,
    8: DType.Q8_0,
    9: DType.Q8_1,
    10: DType.Q2_K,
    11: DType.Q3_K,
    12: DType.Q4_K,
    13: DType.Q5_K,
    14: DType.Q6_K,
    15: DType.Q8_K,
    16: DType.IQ2_XXS,
    17: DType.IQ2_XS,
    18: DType.IQ3_XXS,
    19: DType.IQ1_S,
    20: DType.IQ4_NL,
    21: DType.IQ3_S,
    22: DType.IQ2_S,
    23: DType.IQ4_XS,
    24: DType.I8,
    25: DType.I16,
    26: DType.I32,
    27: DType.I64,
    28: DType.F64,
    29: DType.IQ1_M,
    30: DType.BF16,
    34: DType.TQ1_0,
    35: DType.TQ2_0,
    39: DType.MXFP4,
    40: DType.NVFP4,
}

GGML_NUMBERS: dict[DType, int] = {dtype: number for number, dtype in GGML_TYPES.items()}

# Why a number that llama.cpp knows, or knew, is not read.
REFUSED_TYPES: dict[int, str] = {
    4: "Q4_2, removed from GGML in 2023",
    5: "Q4_3, removed from GGML in 2023",
    31: "Q4_0_4_4, removed from GGML in 2024: llama.cpp repacks Q4_0 when it loads a model",
    32: "Q4_0_4_8, removed from GGML in 2024: llama.cpp repacks Q4_0 when it loads a model",
    33: "Q4_0_8_8, removed from GGML in 2024: llama.cpp repacks Q4_0 when it loads a model",
    36: "IQ4_NL_4_4, removed from GGML in 2024: llama.cpp repacks IQ4_NL when it loads a model",
    37: "IQ4_NL_4_8, removed from GGML in 2024: llama.cpp repacks IQ4_NL when it loads a model",
    38: "IQ4_NL_8_8, removed from GGML in 2024: llama.cpp repacks IQ4_NL when it loads a model",
    41: "Q1_0, which has no reference decoder in the gguf package",
}
