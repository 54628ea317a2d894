"""llama.cpp's own forward pass as an oracle: loads a GGUF with the library inside xllamacpp and runs token ids."""

import ctypes
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import xllamacpp

_LLAMA = ctypes.CDLL(str(next(Path(xllamacpp.__file__).parent.glob("xllamacpp*.so"))))


class _Opaque(ctypes.Structure):
    """Room for any version of a parameter structure: it is returned and passed through memory, larger than it is."""

    _fields_ = (("room", ctypes.c_char * 1024),)


class _Batch(ctypes.Structure):
    _fields_ = (("n_tokens", ctypes.c_int32), ("pointers", ctypes.c_void_p * 6))


def _function(name, result, *arguments):
    function = getattr(_LLAMA, name)
    function.restype, function.argtypes = result, arguments
    return function


_model_params = _function("llama_model_default_params", _Opaque)
_context_params = _function("llama_context_default_params", _Opaque)
_load = _function("llama_model_load_from_file", ctypes.c_void_p, ctypes.c_char_p, _Opaque)
_context = _function("llama_init_from_model", ctypes.c_void_p, ctypes.c_void_p, _Opaque)
_batch = _function("llama_batch_get_one", _Batch, ctypes.c_void_p, ctypes.c_int32)
_decode = _function("llama_decode", ctypes.c_int32, ctypes.c_void_p, _Batch)
_logits = _function("llama_get_logits_ith", ctypes.POINTER(ctypes.c_float), ctypes.c_void_p, ctypes.c_int32)
_vocab = _function("llama_model_get_vocab", ctypes.c_void_p, ctypes.c_void_p)
_n_tokens = _function("llama_vocab_n_tokens", ctypes.c_int32, ctypes.c_void_p)
_free_context = _function("llama_free", None, ctypes.c_void_p)
_free_model = _function("llama_model_free", None, ctypes.c_void_p)
_LOG = ctypes.CFUNCTYPE(None, ctypes.c_int, ctypes.c_char_p, ctypes.c_void_p)
_messages: list[str] = []
_keep = _LOG(lambda level, text, data: _messages.append(text.decode(errors="replace")))
_set_log = _function("llama_log_set", None, _LOG, ctypes.c_void_p)


def last_logits(path: Path, ids: Sequence[int]) -> np.ndarray:
    """Logits behind the last of these ids, float32 [vocabulary]; fails with llama.cpp's own words where it refuses."""
    _messages.clear()
    _set_log(_keep, None)
    model = _load(str(path).encode(), _model_params())
    assert model, "".join(_messages)[-2000:]
    context = _context(model, _context_params())
    assert context, "".join(_messages)[-2000:]
    tokens = (ctypes.c_int32 * len(ids))(*ids)
    assert _decode(context, _batch(ctypes.addressof(tokens), len(ids))) == 0, "".join(_messages)[-2000:]
    found = np.ctypeslib.as_array(_logits(context, -1), (_n_tokens(_vocab(model)),)).copy()
    _free_context(context)
    _free_model(model)
    return found
