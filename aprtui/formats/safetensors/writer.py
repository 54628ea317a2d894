"""Writes SafeTensors, tensor by tensor in bounded memory."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from aprtui.core.errors import AprtuiError
from aprtui.formats.output import TensorToWrite, write_chunks, writing
from aprtui.formats.safetensors.header import LONGEST_HEADER
from aprtui.formats.safetensors.types import TYPES, packed_bytes


def write_safetensors(path: Path, tensors: Iterable[TensorToWrite], metadata: Mapping[str, str] | None = None) -> None:
    """Write one file; it appears when it is whole.

    Wider types come first, as upstream writes them, so that every tensor is aligned to its elements.

    Args:
        path: The file to write; an existing one is replaced.
        tensors: Chunks are asked for only when their tensor is written.
        metadata: `__metadata__`; text only.

    Raises:
        AprtuiError: A tensor cannot be stored in SafeTensors, chunks do not have the right length, or the file
            cannot be written.
    """
    kept = sorted((TensorToWrite(*tensor) for tensor in tensors), key=lambda tensor: -tensor.dtype.info.nbytes)
    sizes = [_size(path, tensor) for tensor in kept]
    header: dict[str, Any] = {"__metadata__": dict(metadata)} if metadata else {}
    offset = 0
    for tensor, size in zip(kept, sizes, strict=True):
        if tensor.name in header or tensor.name == "__metadata__":
            raise AprtuiError("the name is there more than once or reserved", file=path, place=f"tensor {tensor.name}")
        entry = {"dtype": tensor.dtype.value, "shape": list(tensor.shape), "data_offsets": [offset, offset + size]}
        header[tensor.name] = entry
        offset += size
    raw = json.dumps(header, separators=(",", ":")).encode()
    raw += b" " * (-len(raw) % 8)
    if len(raw) > LONGEST_HEADER:
        raise AprtuiError(f"the header would have {len(raw)} bytes; at most {LONGEST_HEADER} are read", file=path)
    with writing(path) as file:
        file.write(len(raw).to_bytes(8, "little") + raw)
        for tensor, size in zip(kept, sizes, strict=True):
            write_chunks(file, path, tensor, size)


def _size(path: Path, tensor: TensorToWrite) -> int:
    size = packed_bytes(tensor.dtype, tensor.shape) if tensor.dtype in TYPES else None
    if size is None:
        problem = f"SafeTensors cannot store {tensor.dtype} of shape {list(tensor.shape)}"
        raise AprtuiError(problem, file=path, place=f"tensor {tensor.name}")
    return size
