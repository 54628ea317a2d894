"""A GGUF's vocabulary alone, in a model small enough to load at once: what llama.cpp's tokenizer is asked with."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from aprtui.core.dtypes import DType
from aprtui.core.errors import AprtuiError
from aprtui.formats.gguf import GgufValue, ValueType, write_gguf
from aprtui.formats.gguf.header import read_header
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


def llama_cpp_ids(keys: Sequence[GgufValue], texts: Sequence[str]) -> list[list[int]]:
    """Ids that llama.cpp gives texts under the tokenizer keys of a GGUF.

    Args:
        keys: What `llama_cpp_keys` finds in the file.
        texts: The texts.

    Raises:
        LlamaRefusedError: llama.cpp refuses the vocabulary, or the keys cannot be written again.
        LlamaTimeoutError: It took too long.
    """
    tokens = next(len(key.value) for key in keys if key.key == "tokenizer.ggml.tokens")
    with tempfile.TemporaryDirectory(prefix="aprtui-vocabulary-") as folder:
        path = Path(folder) / "vocabulary.gguf"
        try:
            write_gguf(path, [*_keys(), *keys], _tensors(tokens))
        except AprtuiError as error:
            raise LlamaRefusedError(f"its keys cannot be written again: {error.problem}") from None
        return llama_ids(path, texts, add_special=True)


def llama_cpp_keys(path: Path) -> list[GgufValue]:
    """The keys of a GGUF that llama.cpp's tokenizer follows, with the types that they are stored under.

    llama.cpp takes each under one type only. It knows some models by their name, too (`llama_vocab::impl::load`,
    phi-3's right-stripped tokens).
    """
    values = {value.key: value for value in read_header(path).values}
    return [
        value
        for key, value in values.items()
        if key.startswith("tokenizer.ggml.") or (key == "general.name" and value.type is ValueType.STRING)
    ]


def _keys() -> Iterator[GgufValue]:
    yield GgufValue("general.architecture", "llama", ValueType.STRING)
    for name, number in _KEYS.items():
        yield GgufValue(f"llama.{name}", number, ValueType.UINT32)
    yield GgufValue("llama.attention.layer_norm_rms_epsilon", 1e-5, ValueType.FLOAT32)


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
