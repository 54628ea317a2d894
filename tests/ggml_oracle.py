"""ggml itself, as an oracle: the encoders and decoders inside the xllamacpp package, called through ctypes."""

import ctypes
from collections.abc import Callable
from pathlib import Path

import gguf
import numpy as np
import xllamacpp
from numpy.typing import NDArray

from aprtui.core.dtypes import DType

_GGML = ctypes.CDLL(str(next(Path(xllamacpp.__file__).parent.glob("xllamacpp*.so"))))
_GGML.ggml_quantize_chunk.restype = ctypes.c_size_t
_GGML.ggml_quantize_chunk.argtypes = [
    ctypes.c_int,
    ctypes.c_void_p,
    ctypes.c_void_p,
    ctypes.c_int64,
    ctypes.c_int64,
    ctypes.c_int64,
    ctypes.c_void_p,
]


def ggml_library() -> ctypes.CDLL:
    """ggml's functions; set `argtypes` before calling one."""
    return _GGML


def ggml_encode(dtype: DType, x: NDArray[np.float32], imatrix: NDArray[np.float32] | None = None) -> NDArray[np.uint8]:
    """Flat bytes of float32 [rows, columns] in a block type, F16 or F32, made by `ggml_quantize_chunk`.

    `imatrix`: importance of each column, float32 [columns].
    """
    x = np.ascontiguousarray(x, np.float32)
    raw = np.zeros(x.size // dtype.info.block * dtype.info.nbytes, np.uint8)
    weights = None if imatrix is None else np.ascontiguousarray(imatrix, np.float32)
    size = _GGML.ggml_quantize_chunk(
        int(gguf.GGMLQuantizationType[dtype.value]),
        x.ctypes.data,
        raw.ctypes.data,
        0,
        x.shape[0],
        x.shape[1],
        None if weights is None else weights.ctypes.data,
    )
    assert size == raw.size
    return raw


def _decoder(dtype: DType) -> Callable[[int, int, int], None]:
    known = {DType.F16: "ggml_fp16_to_fp32_row", DType.BF16: "ggml_bf16_to_fp32_row"}
    value = dtype.value
    name = known.get(dtype) or f"dequantize_row_{value if value.endswith('_K') else value.lower()}"
    function = getattr(_GGML, name.replace("row_Q", "row_q"))
    function.restype = None
    function.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64]
    return function


def ggml_decode(dtype: DType, raw: NDArray[np.uint8], columns: int) -> NDArray[np.float32]:
    """float32 [rows, columns] of bytes in a block type, F16 or BF16, made by `dequantize_row_*`."""
    raw = np.ascontiguousarray(raw, np.uint8)
    values = np.zeros(raw.size // dtype.info.nbytes * dtype.info.block, np.float32)
    _decoder(dtype)(raw.ctypes.data, values.ctypes.data, values.size)
    return values.reshape(-1, columns)


def ggml_bf16(x: NDArray[np.float32]) -> NDArray[np.uint16]:
    """BF16 bits of float32 values, made by `ggml_fp32_to_bf16_row_ref`."""
    x = np.ascontiguousarray(x, np.float32)
    bits = np.zeros(x.shape, np.uint16)
    function = _GGML.ggml_fp32_to_bf16_row_ref
    function.restype = None
    function.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64]
    function(x.ctypes.data, bits.ctypes.data, x.size)
    return bits
