"""A GGUF's vocabulary alone, in a model small enough to load at once: what llama.cpp's tokenizer is asked with."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from aprtui.core.dtypes import DType
from aprtui.core.errors import AprtuiError
from aprtui.formats.gguf import GgufValue, ValueType, write_gguf
from aprtui.formats.output import TensorToWrite
from aprtui.inference.llama import LlamaRefusedError, llama_ids

_WIDTH = 32
_KEYS = {
    "block_count": 1,
    "context_length": 64,
    "embedding_length": _WIDTH,
    "feed_forward_length": _WIDTH,
    "attention.head_count": 1,
}
_MATRICES = ("attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down")
_ARRAYS = {"f": ValueType.FLOAT32, "i": ValueType.INT32, "u": ValueType.UINT32, "b": ValueType.BOOL}
_BYTES = {"precompiled_charsmap": ValueType.UINT8}


def llama_cpp_ids(metadata: Mapping[str, Any], texts: Sequence[str]) -> list[list[int]]:
    """Ids that llama.cpp gives texts under the tokenizer keys of a GGUF.

    Args:
        metadata: The file's keys and values.
        texts: The texts.

    Raises:
        LlamaRefusedError: llama.cpp refuses the vocabulary, or the keys cannot be written again.
    """
    with tempfile.TemporaryDirectory(prefix="aprtui-vocabulary-") as folder:
        path = Path(folder) / "vocabulary.gguf"
        try:
            write_gguf(path, list(_keys(metadata)), _tensors(len(metadata["tokenizer.ggml.tokens"])))
        except AprtuiError as error:
            raise LlamaRefusedError(f"its keys cannot be written again: {error.problem}") from None
        return llama_ids(path, texts, add_special=True)


def llama_cpp_keys(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """The keys of a GGUF that llama.cpp's tokenizer follows.

    It knows some models by their name, too (`llama_vocab::impl::load`, phi-3's right-stripped tokens).
    """
    return {
        key: value
        for key, value in metadata.items()
        if key.startswith("tokenizer.ggml.") or (key == "general.name" and isinstance(value, str))
    }


def _keys(metadata: Mapping[str, Any]) -> Iterator[GgufValue]:
    yield GgufValue("general.architecture", "llama", ValueType.STRING)
    for name, number in _KEYS.items():
        yield GgufValue(f"llama.{name}", number, ValueType.UINT32)
    yield GgufValue("llama.attention.layer_norm_rms_epsilon", 1e-5, ValueType.FLOAT32)
    for key, value in llama_cpp_keys(metadata).items():
        yield _typed(key, value)


def _typed(key: str, value: object) -> GgufValue:
    if isinstance(value, bool):
        return GgufValue(key, value, ValueType.BOOL)
    if isinstance(value, int):
        return GgufValue(key, value, ValueType.UINT32 if value >= 0 else ValueType.INT32)
    if isinstance(value, float):
        return GgufValue(key, value, ValueType.FLOAT32)
    if isinstance(value, str):
        return GgufValue(key, value, ValueType.STRING)
    if isinstance(value, np.ndarray):
        element = _BYTES.get(key.rpartition(".")[2], _ARRAYS.get(value.dtype.kind, ValueType.INT32))
        return GgufValue(key, value, ValueType.ARRAY, element)
    return GgufValue(key, value, ValueType.ARRAY, ValueType.STRING)


def _tensors(tokens: int) -> list[TensorToWrite]:
    """A llama of one layer, all zeros; the embedding in the smallest type that any build can load."""
    zeros = np.zeros
    embedding = zeros(tokens * DType.Q4_0.info.nbytes, np.uint8)
    row = np.ones(_WIDTH, "<f4").view(np.uint8)
    square = zeros(4 * _WIDTH * _WIDTH, np.uint8)
    found = [TensorToWrite("token_embd.weight", DType.Q4_0, (tokens, _WIDTH), iter([embedding]))]
    for name in _MATRICES:
        found.append(TensorToWrite(f"blk.0.{name}.weight", DType.F32, (_WIDTH, _WIDTH), iter([square])))
    for name in ("blk.0.attn_norm", "blk.0.ffn_norm", "output_norm"):
        found.append(TensorToWrite(f"{name}.weight", DType.F32, (_WIDTH,), iter([row])))
    return found
