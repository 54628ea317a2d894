"""Writes GGUF version 3, as llama.cpp reads it, tensor by tensor in bounded memory."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from aprtui.core.dtypes import stored_bytes
from aprtui.core.errors import AprtuiError
from aprtui.formats.gguf.types import (
    DEFAULT_ALIGNMENT,
    GGML_NUMBERS,
    LONGEST_NAME,
    MAGIC,
    MOST_DIMENSIONS,
    NUMPY_TYPES,
    GgufValue,
    ValueType,
)
from aprtui.formats.output import TensorToWrite, write_chunks, writing

_VERSION = 3
_ALIGNMENT_KEY = "general.alignment"


def write_gguf(
    path: Path,
    metadata: Sequence[GgufValue],
    tensors: Iterable[TensorToWrite],
    *,
    alignment: int = DEFAULT_ALIGNMENT,
) -> None:
    """Write a model; the file appears when it is whole.

    Args:
        path: The file to write; an existing one is replaced.
        metadata: Keys and values in order, with their stored types. `general.alignment` is written where the
            alignment is not 32, and ignored here.
        tensors: In the order of the file; chunks are asked for only when their tensor is written.
        alignment: Of tensor data in bytes, a power of two; llama.cpp maps tensors at 32 or more.

    Raises:
        AprtuiError: A tensor or value cannot be stored in GGUF, chunks do not have the right length, or the file
            cannot be written.
    """
    if alignment < DEFAULT_ALIGNMENT or alignment & (alignment - 1):
        raise AprtuiError(f"an alignment of {alignment} is not a power of two of at least 32", file=path)
    entries = [entry for entry in metadata if entry.key != _ALIGNMENT_KEY]
    if alignment != DEFAULT_ALIGNMENT:
        entries.append(GgufValue(_ALIGNMENT_KEY, alignment, ValueType.UINT32))
    kept = [TensorToWrite(*tensor) for tensor in tensors]
    sizes = [_size(path, tensor) for tensor in kept]
    _refuse_duplicates(path, [entry.key for entry in entries], "key")
    _refuse_duplicates(path, [tensor.name for tensor in kept], "tensor")
    header = _header(path, entries, kept, sizes, alignment)
    with writing(path) as file:
        file.write(header)
        file.write(bytes(-len(header) % alignment))
        for tensor, size in zip(kept, sizes, strict=True):
            write_chunks(file, path, tensor, size)
            file.write(bytes(-size % alignment))


def _header(
    path: Path, entries: Sequence[GgufValue], tensors: Sequence[TensorToWrite], sizes: Sequence[int], alignment: int
) -> bytes:
    header = bytearray(MAGIC + struct.pack("<IQQ", _VERSION, len(tensors), len(entries)))
    for entry in entries:
        header += _string(entry.key) + struct.pack("<I", entry.type) + _value(path, entry)
    offset = 0
    for tensor, size in zip(tensors, sizes, strict=True):
        dims = tensor.shape[::-1]
        header += _string(tensor.name)
        header += struct.pack(f"<I{len(dims)}QIQ", len(dims), *dims, GGML_NUMBERS[tensor.dtype], offset)
        offset += -(-size // alignment) * alignment
    return bytes(header)


def _value(path: Path, entry: GgufValue) -> bytes:
    if entry.type is not ValueType.ARRAY:
        return _string(entry.value) if entry.type is ValueType.STRING else _numbers(path, entry, entry.type)
    if entry.element is None or entry.element is ValueType.ARRAY:
        problem = "an array needs the type of its elements, and llama.cpp reads no arrays of arrays"
        raise AprtuiError(problem, file=path, place=f"key {entry.key}")
    head = struct.pack("<IQ", entry.element, len(entry.value))
    if entry.element is ValueType.STRING:
        return head + b"".join(map(_string, entry.value))
    return head + _numbers(path, entry, entry.element)


def _numbers(path: Path, entry: GgufValue, kind: ValueType) -> bytes:
    values: Any = np.asarray(entry.value)
    form = np.dtype(NUMPY_TYPES[kind])
    stored = values.astype(form)
    if values.size and form.kind in "iu" and not np.array_equal(stored, values):
        raise AprtuiError(f"the value does not fit {kind.name}", file=path, place=f"key {entry.key}")
    return bytes(stored.tobytes())


def _string(value: str) -> bytes:
    raw = value.encode("utf-8", "surrogateescape")
    return struct.pack("<Q", len(raw)) + raw


def _size(path: Path, tensor: TensorToWrite) -> int:
    """Bytes that a tensor takes; refuses what GGUF cannot store."""
    size = stored_bytes(tensor.dtype, tensor.shape)
    if tensor.dtype not in GGML_NUMBERS:
        problem = f"GGUF has no type {tensor.dtype}"
    elif len(tensor.shape) > MOST_DIMENSIONS:
        problem = f"it has {len(tensor.shape)} dimensions; GGML has at most {MOST_DIMENSIONS}"
    elif len(tensor.name.encode("utf-8", "surrogateescape")) > LONGEST_NAME:
        problem = f"the name is longer than the {LONGEST_NAME} bytes that llama.cpp reads"
    elif size is None:
        problem = f"rows of {tensor.shape[-1]} elements do not fill {tensor.dtype} blocks"
    else:
        return size
    raise AprtuiError(problem, file=path, place=f"tensor {tensor.name}")


def _refuse_duplicates(path: Path, names: Sequence[str], what: str) -> None:
    seen = set()
    for name in names:
        if name in seen:
            raise AprtuiError(f"the {what} is there more than once", file=path, place=f"{what} {name}")
        seen.add(name)
