"""Where the tensors of an APR file lie: sizes against types, overlaps, ends beyond the file, alignment.

Data may lie in any order: aprender's streaming writer keeps that of its input.
"""

from __future__ import annotations

from aprtui.core.dtypes import DType, stored_bytes
from aprtui.core.findings import Finding
from aprtui.formats.apr.dtype_codes import (
    decide_type,
    fitting_sizes,
    flat_bytes,
    meant_by_writer,
    padded_bytes,
)
from aprtui.formats.apr.findings import WHOLE_FILE, fault, note
from aprtui.formats.apr.header import ALIGNMENT, AprHeader
from aprtui.formats.apr.index import IndexRecord, TensorIndex
from aprtui.formats.apr.origin import Writer
from aprtui.formats.bytes import FileBytes
from aprtui.formats.container import StoredTensor

_HEADS = ("lm_head.weight", "output.weight")
_EMBEDDINGS = ("embed_tokens.weight", "token_embd.weight", "wte.weight")


def place_tensors(
    file: FileBytes, header: AprHeader, index: TensorIndex, writer: Writer, *, tied: bool
) -> tuple[tuple[StoredTensor, ...], list[Finding]]:
    """The tensors in the order of their data, and what is wrong with their places.

    Args:
        file: The file.
        header: Its header.
        index: Its tensor index.
        writer: Who wrote it, which decides between types of equal size.
        tied: The metadata say that the head is tied to the embedding.

    Raises:
        FormatError: The type of a tensor is unknown or undecidable.
    """
    heads = _tied_heads(index) if tied else frozenset()
    tensors, findings = [], []
    for record in sorted(index.records, key=lambda record: (record.offset, record.size)):
        dtype = decide_type(file.path, record, writer)
        misfit, readable = (None, True) if record in heads else _misfit(file, record, dtype)
        start = header.data_offset + record.offset
        beyond = _beyond(file, record, start)
        findings += [found for found in (misfit, beyond, _foreign(file, record, dtype, writer)) if found]
        readable = readable and beyond is None
        tensors.append(StoredTensor(record.name, dtype, record.shape, file.path, start, record.size, readable))
    return tuple(tensors), [*findings, *_overlaps(file, tensors), *_unaligned(file, tensors)]


def _tied_heads(index: TensorIndex) -> frozenset[IndexRecord]:
    """Heads that apr stores with their shape but without bytes, because the embedding has them."""
    embeddings = {
        record.shape
        for record in index.records
        if record.name.endswith(_EMBEDDINGS) and record.size and record.elements
    }
    return frozenset(
        record
        for record in index.records
        if record.name in _HEADS and not record.size and record.elements and record.shape in embeddings
    )


def _misfit(file: FileBytes, record: IndexRecord, dtype: DType) -> tuple[Finding | None, bool]:
    """What is wrong with the size for its type and shape, and whether the data can be read all the same."""
    shape = list(record.shape)
    place = f"tensor {record.name}, offset {record.place}"
    sizes = fitting_sizes(dtype, record.shape)
    if record.size not in sizes:
        message = f"its size does not fit {dtype} of shape {shape}"
        expected = " or ".join(f"{size} bytes" for size in sorted(sizes)) or "rows of whole blocks"
        least = stored_bytes(dtype, record.shape)
        found = f"{record.size} bytes"
        finding = fault(file.path, record.name, message, expected=expected, found=found, place=place)
        return finding, least is not None and record.size > least
    if dtype.info.block == 256 and record.size != padded_bytes(dtype, record.shape):
        message = f"flat super-blocks across rows: rows of {record.shape[-1]} elements do not start blocks of their own"
        expected = f"{padded_bytes(dtype, record.shape)} bytes, each row padded"
        found = f"{flat_bytes(dtype, record.shape)} bytes"
        return fault(file.path, record.name, message, expected=expected, found=found, place=place), True
    return None, True


def _beyond(file: FileBytes, record: IndexRecord, start: int) -> Finding | None:
    end = start + record.size
    if end <= file.size:
        return None
    message = "its data end beyond the file, which is truncated or has a damaged index"
    expected, found = f"data up to {end}", f"a file of {file.size} bytes"
    place = f"tensor {record.name}, offset {record.place}"
    return fault(file.path, record.name, message, expected=expected, found=found, place=place)


def _foreign(file: FileBytes, record: IndexRecord, dtype: DType, writer: Writer) -> Finding | None:
    """A note where the size shows another type than the one that the file's own writer reads."""
    meant = meant_by_writer(record, writer)
    if meant is None or meant is dtype:
        return None
    message = f"the size shows {dtype}, but aprender takes dtype code {record.code} for {meant}"
    return note(file.path, record.name, message)


def _overlaps(file: FileBytes, tensors: list[StoredTensor]) -> list[Finding]:
    """Tensors that begin before one that lies in front of them ends; `tensors` are in the order of their data."""
    findings = []
    furthest: StoredTensor | None = None
    for tensor in tensors:
        if not tensor.nbytes:
            continue
        if furthest is not None and tensor.offset < furthest.offset + furthest.nbytes:
            message = f"its data overlap those of {furthest.name}"
            expected, found = f"offset {furthest.offset + furthest.nbytes} or later", f"offset {tensor.offset}"
            place = f"tensor {tensor.name}"
            findings.append(fault(file.path, tensor.name, message, expected=expected, found=found, place=place))
        if furthest is None or tensor.offset + tensor.nbytes > furthest.offset + furthest.nbytes:
            furthest = tensor
    return findings


def _unaligned(file: FileBytes, tensors: list[StoredTensor]) -> list[Finding]:
    loose = [tensor.name for tensor in tensors if tensor.offset % ALIGNMENT]
    if not loose:
        return []
    message = f"{len(loose)} tensors do not start at a multiple of {ALIGNMENT} bytes, among them {loose[0]}"
    return [note(file.path, WHOLE_FILE, message)]
