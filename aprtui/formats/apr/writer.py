"""Writes APR version 2 as aprender does, tensor by tensor in bounded memory.

Index and data are in the order of the names, everything starts at a multiple of 64 bytes, and the CRC-32 of all bytes
closes the file. Source: aprender's `AprV2Writer::write`.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from aprtui.core.errors import AprtuiError
from aprtui.formats.apr.dtype_codes import CODES, padded_bytes
from aprtui.formats.apr.footer import FOOTER_BYTES
from aprtui.formats.apr.header import ALIGNMENT, HEADER_BYTES, Flag, pack_header
from aprtui.formats.apr.index import LONGEST_NAME, MOST_DIMENSIONS, pack_record
from aprtui.formats.apr.metadata import LARGEST_METADATA
from aprtui.formats.output import Bytes, TensorToWrite, write_chunks, writing


def write_apr(
    path: Path,
    metadata: Mapping[str, Any],
    tensors: Iterable[TensorToWrite],
    *,
    placeholders: Collection[str] = (),
) -> None:
    """Write a model; the file appears when it is whole.

    Args:
        path: The file to write; an existing one is replaced.
        metadata: Keys and JSON values in order.
        tensors: In any order; chunks are asked for only when their tensor is written. Rows of K-quants that do not
            fill super-blocks are padded.
        placeholders: Names of tensors that keep their shape but no bytes (a tied head); they give no chunks.

    Raises:
        AprtuiError: A tensor or value cannot be stored in APR, chunks do not have the right length, or the file
            cannot be written.
    """
    kept = sorted((TensorToWrite(*tensor) for tensor in tensors), key=lambda tensor: _raw_name(path, tensor.name))
    _refuse(path, kept)
    sizes = [0 if tensor.name in placeholders else padded_bytes(tensor.dtype, tensor.shape) for tensor in kept]
    json_bytes = _json(path, metadata)
    raw = _padded(json_bytes)
    index = _padded(_index(kept, sizes))
    index_offset = HEADER_BYTES + len(raw)
    header = pack_header(
        flags=Flag.LAYOUT_ROW_MAJOR,
        tensor_count=len(kept),
        metadata_size=len(json_bytes),
        index_offset=index_offset,
        data_offset=index_offset + len(index),
    )
    with writing(path) as file:
        output = _Checksummed(file)
        output.write(header + raw + index)
        for tensor, size in zip(kept, sizes, strict=True):
            write_chunks(file, path, tensor._replace(chunks=output.watch(tensor.chunks)), size)
            output.write(bytes(-size % ALIGNMENT))
        file.write(output.checksum.to_bytes(FOOTER_BYTES, "little"))


class _Checksummed:
    """A file with the CRC-32 of all that was written to it.

    Args:
        file: The file.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.checksum = 0

    def write(self, data: bytes) -> None:
        """Write and count."""
        self.checksum = zlib.crc32(data, self.checksum)
        self._file.write(data)

    def watch(self, chunks: Iterable[Bytes]) -> Iterator[Bytes]:
        """Count chunks that somebody else writes."""
        for chunk in chunks:
            raw = np.ascontiguousarray(chunk).data if isinstance(chunk, np.ndarray) else chunk
            self.checksum = zlib.crc32(raw, self.checksum)
            yield raw


def _json(path: Path, metadata: Mapping[str, Any]) -> bytes:
    try:
        raw = json.dumps(dict(metadata), ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise AprtuiError(f"the metadata cannot be stored as JSON: {error}", file=path) from None
    if len(raw) > LARGEST_METADATA:
        raise AprtuiError(f"the metadata have {len(raw)} bytes; at most {LARGEST_METADATA} are read", file=path)
    return raw


def _index(tensors: list[TensorToWrite], sizes: list[int]) -> bytes:
    index, offset = bytearray(), 0
    for tensor, size in zip(tensors, sizes, strict=True):
        index += pack_record(tensor.name.encode(), CODES[tensor.dtype], tensor.shape, offset, size)
        offset += -(-size // ALIGNMENT) * ALIGNMENT
    return bytes(index)


def _padded(raw: bytes) -> bytes:
    return raw + bytes(-len(raw) % ALIGNMENT)


def _refuse(path: Path, tensors: list[TensorToWrite]) -> None:
    """Raise AprtuiError for the first tensor that APR cannot store; tensors are in the order of their names."""
    before = None
    for tensor in tensors:
        if tensor.dtype not in CODES:
            problem = f"APR has no type {tensor.dtype}"
        elif len(tensor.shape) > MOST_DIMENSIONS:
            problem = f"it has {len(tensor.shape)} dimensions; APR has at most {MOST_DIMENSIONS}"
        elif len(tensor.name.encode()) > LONGEST_NAME:
            problem = f"the name is longer than {LONGEST_NAME} bytes, and aprender would cut it"
        elif tensor.name == before:
            problem = "the tensor is there more than once"
        else:
            before = tensor.name
            continue
        raise AprtuiError(problem, file=path, place=f"tensor {tensor.name}")


def _raw_name(path: Path, name: str) -> bytes:
    try:
        return name.encode()
    except UnicodeEncodeError:
        raise AprtuiError("the name is not text that UTF-8 can hold", file=path, place=f"tensor {name!r}") from None
