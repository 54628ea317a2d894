"""llama.cpp's C functions, called through the library inside the xllamacpp wheel.

The wheel's Python interface gives neither token ids of a text nor logits at every position; the functions behind it do.
Parameter structures are passed as larger memory, so that their length does not matter; the few fields that are set
are found by the values that llama.cpp gives them by default (llama.h, `llama_context_params`).
"""

from __future__ import annotations

import ctypes
import os
import struct
from collections.abc import Callable
from pathlib import Path
from time import monotonic
from typing import Any

import numpy as np
import xllamacpp
from numpy.typing import NDArray

# Where an assertion fails, the lines that count are its own and not those of a debugger that is asked for the stack.
os.environ.setdefault("GGML_NO_BACKTRACE", "1")

_ROOM = 4096
_FLASH_ATTENTION_OFF = 0
_TYPE_F16, _TYPE_F32 = 1, 0
# rope scaling, pooling, attention and flash attention: all "unspecified" by default.
_UNSPECIFIED = (-1, -1, -1, -1)


class _Parameters(ctypes.Structure):
    """Room for any version of a parameter structure; it is returned and passed through memory."""

    _fields_ = (("room", ctypes.c_char * _ROOM),)


class _Batch(ctypes.Structure):
    """`llama_batch`."""

    _fields_ = (
        ("n_tokens", ctypes.c_int32),
        ("token", ctypes.POINTER(ctypes.c_int32)),
        ("embd", ctypes.c_void_p),
        ("pos", ctypes.POINTER(ctypes.c_int32)),
        ("n_seq_id", ctypes.POINTER(ctypes.c_int32)),
        ("seq_id", ctypes.POINTER(ctypes.POINTER(ctypes.c_int32))),
        ("logits", ctypes.POINTER(ctypes.c_int8)),
    )


_LIBRARY = ctypes.CDLL(str(next(Path(xllamacpp.__file__).parent.glob("xllamacpp*.so"))))


def _function(name: str, result: Any, *arguments: Any) -> Callable[..., Any]:  # noqa: ANN401 - ctypes' types
    function = getattr(_LIBRARY, name)
    function.restype, function.argtypes = result, arguments
    called: Callable[..., Any] = function
    return called


_pointer, _int = ctypes.c_void_p, ctypes.c_int32
_default_model = _function("llama_model_default_params", _Parameters)
_default_context = _function("llama_context_default_params", _Parameters)
_load = _function("llama_model_load_from_file", _pointer, ctypes.c_char_p, _Parameters)
_new_context = _function("llama_init_from_model", _pointer, _pointer, _Parameters)
_free_context = _function("llama_free", None, _pointer)
_vocab = _function("llama_model_get_vocab", _pointer, _pointer)
_n_tokens = _function("llama_vocab_n_tokens", _int, _pointer)
_is_end = _function("llama_vocab_is_eog", ctypes.c_bool, _pointer, _int)
_batch_init = _function("llama_batch_init", _Batch, _int, _int, _int)
_batch_free = _function("llama_batch_free", None, _Batch)
_decode = _function("llama_decode", _int, _pointer, _Batch)
_logits_at = _function("llama_get_logits_ith", ctypes.POINTER(ctypes.c_float), _pointer, _int)
_tokenize = _function(
    "llama_tokenize", _int, _pointer, ctypes.c_char_p, _int, _pointer, _int, ctypes.c_bool, ctypes.c_bool
)


class Refused(Exception):  # noqa: N818 - it is what llama.cpp says, not an error of ours
    """llama.cpp does not load or run a file."""


class LlamaModel:
    """A GGUF in llama.cpp; its memory goes with the process.

    Args:
        path: The file; a split one by its first part.

    Raises:
        Refused: llama.cpp does not load it; the reason is among the lines that it printed.
    """

    def __init__(self, path: str) -> None:
        self._model = _load(os.fsencode(path), _default_model())
        if not self._model:
            raise Refused("llama.cpp does not load the file")
        self._vocabulary = _vocab(self._model)
        self.tokens: int = _n_tokens(self._vocabulary)

    def ids(self, text: str, *, add_special: bool) -> list[int]:
        """Ids of a text; special tokens in it count as such."""
        raw = text.encode("utf-8", "surrogateescape")
        room = (ctypes.c_int32 * (len(raw) + 16))()
        count = _tokenize(self._vocabulary, raw, len(raw), room, len(room), add_special, True)
        if count < 0:
            raise Refused(f"llama_tokenize wants room for {-count} tokens")
        return list(room[:count])

    def logits(self, ids: list[int], *, exact: bool) -> NDArray[np.float32]:
        """Logits behind every id: float32 [ids, tokens].

        Args:
            ids: Token ids of one sequence.
            exact: Keys and values in float32, flash attention off; else llama.cpp's defaults.
        """
        context = self._context(len(ids), exact=exact)
        batch = _sequence(ids, 0, every=True)
        try:
            if _decode(context, batch):
                raise Refused(f"llama_decode fails on {len(ids)} tokens")
            rows = [
                np.ctypeslib.as_array(_logits_at(context, index), (self.tokens,)).copy() for index in range(len(ids))
            ]
        finally:
            _batch_free(batch)
            _free_context(context)
        return np.stack(rows) if rows else np.empty((0, self.tokens), np.float32)

    def generate(self, ids: list[int], most: int, *, exact: bool) -> list[tuple[int, float, float]]:
        """Greedy continuation, which ends with its end: each id, the margin of its logit over the second best, when.

        Times are seconds of a clock that only runs forward.
        """
        context = self._context(len(ids) + most, exact=exact)
        found: list[tuple[int, float, float]] = []
        step, position = list(ids), 0
        try:
            while len(found) < most:
                batch = _sequence(step, position, every=False)
                failed = _decode(context, batch)
                _batch_free(batch)
                if failed:
                    raise Refused(f"llama_decode fails at position {position}")
                position += len(step)
                logits = np.ctypeslib.as_array(_logits_at(context, -1), (self.tokens,))
                second, best = np.partition(logits, -2)[-2:]
                chosen = int(np.argmax(logits))
                found.append((chosen, float(best - second), monotonic()))
                if _is_end(self._vocabulary, chosen):
                    break
                step = [chosen]
        finally:
            _free_context(context)
        return found

    def _context(self, tokens: int, *, exact: bool) -> Any:  # noqa: ANN401 - an opaque pointer
        context = _new_context(self._model, _context_parameters(max(512, tokens), exact=exact))
        if not context:
            raise Refused(f"llama.cpp gives no context of {tokens} tokens")
        return context


def _sequence(ids: list[int], first: int, *, every: bool) -> _Batch:
    """A batch of consecutive ids; logits are asked for at every position or at the last."""
    batch: _Batch = _batch_init(len(ids), 0, 1)
    for index, number in enumerate(ids):
        batch.token[index] = number
        batch.pos[index] = first + index
        batch.n_seq_id[index] = 1
        batch.seq_id[index][0] = 0
        batch.logits[index] = int(every or index == len(ids) - 1)
    batch.n_tokens = len(ids)
    return batch


def _context_parameters(tokens: int, *, exact: bool) -> _Parameters:
    """Default parameters with a context of this many tokens.

    Raises:
        Refused: The defaults are not those that the fields are found by.
    """
    parameters: _Parameters = _default_context()
    raw = bytearray(ctypes.string_at(ctypes.addressof(parameters), _ROOM))
    fields = list(struct.unpack(f"<{_ROOM // 4}i", raw))
    if fields[:3] != [512, 2048, 512]:
        raise Refused("this build of llama.cpp has context parameters that aprtui does not know")
    fields[0] = fields[1] = tokens
    fields[2] = min(tokens, 512)
    if exact:
        at = next((index for index in range(4, 24) if tuple(fields[index : index + 4]) == _UNSPECIFIED), None)
        types = next(
            (index for index in range((at or 0) + 4, 48) if fields[index : index + 2] == [_TYPE_F16, _TYPE_F16]), None
        )
        if at is None or types is None:
            raise Refused("this build of llama.cpp has context parameters that aprtui does not know")
        fields[at + 3] = _FLASH_ATTENTION_OFF
        fields[types] = fields[types + 1] = _TYPE_F32
    ctypes.memmove(ctypes.addressof(parameters), struct.pack(f"<{len(fields)}i", *fields), _ROOM)
    return parameters
