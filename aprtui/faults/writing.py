"""Writes a draft as a product of its format, in bounded memory."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from aprtui.faults.draft import Draft, DraftTensor
from aprtui.faults.errors import NotApplicableError
from aprtui.faults.header_draft import GgufValues, plain
from aprtui.formats.apr import write_apr
from aprtui.formats.bytes import tensor_bytes
from aprtui.formats.codecs import ENCODABLE, decode_chunk, encode
from aprtui.formats.container import Format
from aprtui.formats.gguf import write_gguf
from aprtui.formats.output import Bytes, TensorToWrite
from aprtui.formats.safetensors import write_safetensors
from aprtui.formats.views import Stored

_ELEMENTS_AT_ONCE = 1 << 20
_SINGLE = "model.safetensors"
_INDEX = "model.safetensors.index.json"


def write_draft(draft: Draft, destination: Path) -> Path:
    """Write a product and damage its bytes where the draft says so.

    Args:
        draft: The product.
        destination: A directory that exists; one of SafeTensors becomes its content.

    Returns:
        What to open: the file, or the directory for SafeTensors.
    """
    if draft.format is Format.SAFETENSORS:
        written = _write_directory(draft, destination)
        opened = destination
    else:
        written = destination / f"model.{draft.format.value.lower()}"
        opened = written
        tensors = [_to_write(tensor) for tensor in draft.tensors]
        if draft.format is Format.GGUF:
            values = draft.header.main
            assert isinstance(values, GgufValues)
            write_gguf(written, values.entries, tensors, alignment=draft.header.alignment)
        else:
            placeholders = draft.placeholders | {tensor.name for tensor in draft.tensors if tensor.is_placeholder}
            kept = [item._replace(chunks=()) if item.name in placeholders else item for item in tensors]
            write_apr(written, plain(draft.header.main), kept, placeholders=placeholders)
    for edit in draft.file_edits:
        edit(written)
    return opened


def _write_directory(draft: Draft, destination: Path) -> Path:
    """A Hugging Face directory; returns its first file of tensors."""
    files = list(dict.fromkeys(tensor.file for tensor in draft.tensors))
    names = {file: _SINGLE if len(files) == 1 else file.name for file in files}
    for file in files:
        tensors = [_to_write(tensor) for tensor in draft.tensors if tensor.file == file]
        write_safetensors(destination / names[file], tensors, draft.header.attributes)
    if len(files) > 1:
        weight_map = {tensor.name: names[tensor.file] for tensor in draft.tensors}
        (destination / _INDEX).write_text(json.dumps({"metadata": {}, "weight_map": weight_map}))
    for name, document in draft.header.documents.items():
        text = json.dumps(plain(document), ensure_ascii=False, indent=1)
        (destination / name).write_text(text, encoding="utf-8")
    for name, content in draft.header.texts.items():
        (destination / name).parent.mkdir(exist_ok=True)
        (destination / name).write_bytes(content)
    return destination / names[files[0]]


def _to_write(tensor: DraftTensor) -> TensorToWrite:
    if tensor.view.dtype != tensor.dtype and tensor.dtype not in ENCODABLE:
        raise NotApplicableError(f"values cannot be encoded as {tensor.dtype}", place=f"tensor {tensor.name}")
    return TensorToWrite(tensor.name, tensor.dtype, tensor.shape, stored_chunks(tensor))


def stored_chunks(tensor: DraftTensor) -> Iterator[Bytes]:
    """The bytes of a tensor, in order."""
    view = tensor.view
    if isinstance(view, Stored) and view.dtype == tensor.dtype:
        if not view.tensor.is_placeholder:
            yield tensor_bytes(view.tensor)
        return
    rows = max(1, _ELEMENTS_AT_ONCE // max(1, view.columns))
    for start in range(0, view.rows, rows):
        chunk = view.gather(np.arange(start, min(start + rows, view.rows), dtype=np.int64))
        if chunk.dtype != tensor.dtype:
            values = decode_chunk(chunk).reshape(chunk.rows, chunk.columns).astype(np.float32)
            yield encode(tensor.dtype, values, padded_rows=True)
            continue
        if chunk.dtype.info.header and start == 0:
            yield np.float32(chunk.scale).tobytes()
        yield chunk.data
