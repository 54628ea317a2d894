"""GGUF: metadata as typed key-values, tensors as GGML blocks, in one file or split into parts."""

from aprtui.formats.gguf.reader import read_gguf
from aprtui.formats.gguf.types import GgufValue, ValueType
from aprtui.formats.gguf.writer import write_gguf

__all__ = ["GgufValue", "ValueType", "read_gguf", "write_gguf"]
