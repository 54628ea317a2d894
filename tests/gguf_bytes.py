"""Builds GGUF headers byte by byte, sound or damaged, without the code under test; and llama.cpp's opinion of them."""

import ctypes
import struct
from pathlib import Path

import xllamacpp

_LLAMA = ctypes.CDLL(str(next(Path(xllamacpp.__file__).parent.glob("xllamacpp*.so"))))


class _InitParameters(ctypes.Structure):
    _fields_ = [("no_alloc", ctypes.c_bool), ("ctx", ctypes.c_void_p)]


class _ModelParameters(ctypes.Structure):
    """Opaque; larger than `struct llama_model_params`, which is passed on the stack, so its size does not matter."""

    _fields_ = [("raw", ctypes.c_uint8 * 512)]


_LLAMA.gguf_init_from_file.restype = ctypes.c_void_p
_LLAMA.gguf_init_from_file.argtypes = [ctypes.c_char_p, _InitParameters]
_LLAMA.gguf_free.argtypes = [ctypes.c_void_p]
_LLAMA.llama_model_default_params.restype = _ModelParameters
_LLAMA.llama_model_load_from_file.restype = ctypes.c_void_p
_LLAMA.llama_model_load_from_file.argtypes = [ctypes.c_char_p, _ModelParameters]
_LLAMA.llama_model_n_params.restype = ctypes.c_uint64
_LLAMA.llama_model_n_params.argtypes = [ctypes.c_void_p]
_LLAMA.llama_model_free.argtypes = [ctypes.c_void_p]
_LOG = ctypes.CFUNCTYPE(None, ctypes.c_int, ctypes.c_char_p, ctypes.c_void_p)
_SILENT = _LOG(lambda *_: None)
_LLAMA.llama_log_set.argtypes = [_LOG, ctypes.c_void_p]
_LLAMA.llama_log_set(_SILENT, None)


def llama_accepts(path: Path) -> bool:
    """Whether ggml's own reader accepts the header (it does not look whether the data are there)."""
    context = _LLAMA.gguf_init_from_file(str(path).encode(), _InitParameters(True, None))
    if not context:
        return False
    _LLAMA.gguf_free(context)
    return True


def llama_parameters(path: Path) -> int | None:
    """Parameters of the model as llama.cpp loads it, None where it refuses."""
    model = _LLAMA.llama_model_load_from_file(str(path).encode(), _LLAMA.llama_model_default_params())
    if not model:
        return None
    count = _LLAMA.llama_model_n_params(model)
    _LLAMA.llama_model_free(model)
    return count


def string(text: bytes) -> bytes:
    return struct.pack("<Q", len(text)) + text


def key(name: bytes, value_type: int, raw: bytes) -> bytes:
    return string(name) + struct.pack("<I", value_type) + raw


def tensor(name: bytes, dims: tuple[int, ...], ggml_type: int, offset: int) -> bytes:
    return string(name) + struct.pack(f"<I{len(dims)}QIQ", len(dims), *dims, ggml_type, offset)


def gguf_file(
    keys: list[bytes] = (),
    tensors: list[bytes] = (),
    data: int = 0,
    *,
    version: int = 3,
    alignment: int = 32,
    key_count: int | None = None,
    tensor_count: int | None = None,
) -> bytes:
    counts = len(tensors) if tensor_count is None else tensor_count, len(keys) if key_count is None else key_count
    header = b"GGUF" + struct.pack("<IQQ", version, *counts) + b"".join(keys) + b"".join(tensors)
    return header + bytes(-len(header) % alignment) + bytes(range(256)) * (data // 256) + bytes(data % 256)
