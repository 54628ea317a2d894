"""llama.cpp's own tokenizer as an oracle: a vocabulary in a tiny GGUF, opened by the library inside xllamacpp."""

import ctypes
from collections.abc import Sequence
from pathlib import Path

import gguf
import numpy as np
import xllamacpp

_LLAMA = ctypes.CDLL(str(next(Path(xllamacpp.__file__).parent.glob("xllamacpp*.so"))))


class _Opaque(ctypes.Structure):
    """Room for any version of llama_model_params: it is returned and passed through memory, larger than it is."""

    _fields_ = (("room", ctypes.c_char * 1024),)


def _function(name, result, *arguments):
    function = getattr(_LLAMA, name)
    function.restype, function.argtypes = result, arguments
    return function


_default_params = _function("llama_model_default_params", _Opaque)
_load = _function("llama_model_load_from_file", ctypes.c_void_p, ctypes.c_char_p, _Opaque)
_vocab = _function("llama_model_get_vocab", ctypes.c_void_p, ctypes.c_void_p)
_free = _function("llama_model_free", None, ctypes.c_void_p)
_LOG = ctypes.CFUNCTYPE(None, ctypes.c_int, ctypes.c_char_p, ctypes.c_void_p)
_silence = _LOG(lambda level, text, data: None)
_function("llama_log_set", None, _LOG, ctypes.c_void_p)(_silence, None)
_tokenize = _function(
    "llama_tokenize",
    ctypes.c_int32,
    ctypes.c_void_p,
    ctypes.c_char_p,
    ctypes.c_int32,
    ctypes.c_void_p,
    ctypes.c_int32,
    ctypes.c_bool,
    ctypes.c_bool,
)


def write_vocabulary(path: Path, tokens: Sequence[str], merges: Sequence[str], pre: str, **keys: bool) -> None:
    """A llama of one layer with a byte-level BPE vocabulary; keywords are flags like `add_bos_token`."""
    width = 32
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_block_count(1)
    writer.add_context_length(64)
    writer.add_embedding_length(width)
    writer.add_feed_forward_length(width)
    writer.add_head_count(1)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(pre)
    writer.add_token_list(tokens)
    writer.add_token_types([gguf.TokenType.NORMAL] * len(tokens))
    writer.add_token_merges(merges)
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(1)
    for name, value in keys.items():
        writer.add_bool(f"tokenizer.ggml.{name}", value)
    square, row = np.zeros((width, width), np.float32), np.ones(width, np.float32)
    writer.add_tensor("token_embd.weight", np.zeros((len(tokens), width), np.float32))
    for name in ("attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down"):
        writer.add_tensor(f"blk.0.{name}.weight", square)
    for name in ("blk.0.attn_norm", "blk.0.ffn_norm", "output_norm"):
        writer.add_tensor(f"{name}.weight", row)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def llama_ids(path: Path, texts: Sequence[str], *, add_special: bool = False) -> list[list[int]]:
    """Ids of texts as llama.cpp sees them in a GGUF."""
    model = _load(str(path).encode(), _default_params())
    assert model, f"llama.cpp refuses {path}"
    vocabulary, found = _vocab(model), []
    for text in texts:
        raw = text.encode()
        room = (ctypes.c_int32 * (len(raw) + 8))()
        count = _tokenize(vocabulary, raw, len(raw), room, len(room), add_special, False)
        assert count >= 0
        found.append(list(room[:count]))
    _free(model)
    return found
