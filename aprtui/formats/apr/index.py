"""The tensor index: records of varying length back to back, sorted by the bytes of the names.

A record: u16 length of the name, name in UTF-8, u8 dtype code, u8 number of dims, u64 dims (rows first), u64 offset
from the start of the data section, u64 size in bytes. Source: aprender's `format/v2` (`tensor_index_impl.rs`).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from itertools import pairwise
from math import prod
from typing import Any

from aprtui.core.errors import FormatError
from aprtui.core.findings import Finding
from aprtui.formats.apr.findings import WHOLE_FILE, fault, note
from aprtui.formats.apr.header import HEADER_BYTES, AprHeader
from aprtui.formats.apr.refusals import refuse_json_index
from aprtui.formats.bytes import FileBytes

LONGEST_NAME = 256
MOST_DIMENSIONS = 8
"""Bytes and dims that aprender's writers hold to."""

_LEAST_RECORD = 20
# Ten times what the largest published models have; keeps a hostile count from becoming objects.
_MOST_TENSORS = 1_000_000
_MOST_ELEMENTS = 1 << 63
_DAMAGED = "the file is damaged: fetch or convert it again"


@dataclass(frozen=True, slots=True)
class IndexRecord:
    """What the index says of one tensor.

    Attributes:
        name: Name as stored; bytes that are not UTF-8 are surrogates.
        code: Dtype code.
        shape: Row-major shape.
        offset: Of its data, from the start of the data section.
        size: Bytes of its data.
        place: Offset of the record in the file.
    """

    name: str
    code: int
    shape: tuple[int, ...]
    offset: int
    size: int
    place: int

    @property
    def elements(self) -> int:
        """Number of elements that the shape declares."""
        return prod(self.shape)

    @property
    def raw_name(self) -> bytes:
        """The bytes of the name."""
        return self.name.encode("utf-8", "surrogateescape")


@dataclass(frozen=True, slots=True)
class TensorIndex:
    """All records in the order of the index, and the offset where the index ends."""

    records: tuple[IndexRecord, ...]
    end: int


def read_index(file: FileBytes, header: AprHeader) -> TensorIndex:
    """The tensor index.

    Raises:
        FormatError: It does not lie within the file, is JSON, or declares names or shapes that no writer writes.
    """
    at, count = header.index_offset, header.tensor_count
    file.check(at, 0, "tensor index")
    if count:
        refuse_json_index(file, at)
    file.check(at, count * _LEAST_RECORD, f"tensor index of {count} tensors")
    if count > _MOST_TENSORS:
        problem = f"the header declares {count} tensors; at most {_MOST_TENSORS} are read"
        raise FormatError(problem, file=file.path, place="offset 8")
    records = []
    for number in range(count):
        record, at = _read_record(file, at, number)
        records.append(record)
    return TensorIndex(tuple(records), at)


def pack_record(name: bytes, code: int, shape: tuple[int, ...], offset: int, size: int) -> bytes:
    """One record as bytes."""
    dims = len(shape)
    return struct.pack(f"<H{len(name)}sBB{dims}QQQ", len(name), name, code, dims, *shape, offset, size)


def _read_record(file: FileBytes, at: int, number: int) -> tuple[IndexRecord, int]:
    what = f"index record {number}"
    length = file.u16(at, what)
    if length > LONGEST_NAME:
        problem = f"the name has {length} bytes; aprender writes at most {LONGEST_NAME}"
        raise FormatError(problem, file=file.path, place=f"{what}, offset {at}", todo=_DAMAGED)
    raw = file.take(at + 2, length, what)
    name = str(raw, "utf-8", "surrogateescape")
    fields = at + 2 + length
    code, dims = file.u8(fields, what), file.u8(fields + 1, what)
    place = f"tensor {name}, offset {at}"
    if dims > MOST_DIMENSIONS:
        problem = f"the index declares {dims} dimensions; aprender writes at most {MOST_DIMENSIONS}"
        raise FormatError(problem, file=file.path, place=place, todo=_DAMAGED)
    numbers = struct.unpack(f"<{dims + 2}Q", file.take(fields + 2, 8 * dims + 16, what))
    *shape, offset, size = numbers
    if prod(dim for dim in shape if dim) >= _MOST_ELEMENTS:
        problem = f"the shape {shape} has more elements than any file can hold"
        raise FormatError(problem, file=file.path, place=place, todo=_DAMAGED)
    return IndexRecord(name, code, tuple(shape), offset, size, at), fields + 2 + 8 * dims + 16


def index_findings(file: FileBytes, header: AprHeader, index: TensorIndex, metadata: dict[str, Any]) -> list[Finding]:
    """What is wrong with the index, taken by itself and against the header and the metadata."""
    return [
        *_section_findings(file, header, index),
        *_order_findings(file, index.records),
        *_name_findings(file, index.records),
        *_shape_findings(file, index.records, metadata),
    ]


def _section_findings(file: FileBytes, header: AprHeader, index: TensorIndex) -> list[Finding]:
    sections = (
        ("metadata section", header.metadata_offset, header.metadata_offset + header.metadata_size),
        ("tensor index", header.index_offset, index.end),
        ("data section", header.data_offset, header.data_offset),
    )
    findings, before, end = [], "header", HEADER_BYTES
    for name, start, stop in sections:
        if start < end:
            message = f"the {name} overlaps the {before}"
            expected, found = f"offset {end} or later", f"offset {start}"
            findings.append(fault(file.path, WHOLE_FILE, message, expected=expected, found=found))
        before, end = name, max(end, stop)
    if header.data_offset > file.size:
        message = "the data section begins beyond the end of the file"
        expected, found = f"at most {file.size}", f"offset {header.data_offset}"
        findings.append(fault(file.path, WHOLE_FILE, message, expected=expected, found=found))
    return findings


def _order_findings(file: FileBytes, records: tuple[IndexRecord, ...]) -> list[Finding]:
    """One finding for the whole index: one record out of place is enough for aprender."""
    for before, record in pairwise(records):
        if record.raw_name < before.raw_name:
            message = "the tensor index is not sorted by name; aprender refuses the file"
            found = f"{record.name} after {before.name}"
            place = f"offset {record.place}"
            return [fault(file.path, WHOLE_FILE, message, expected="ascending names", found=found, place=place)]
    return []


def _name_findings(file: FileBytes, records: tuple[IndexRecord, ...]) -> list[Finding]:
    findings, seen = [], set()
    for record in records:
        place = f"offset {record.place}"
        if record.name in seen:
            message = "the index names this tensor more than once"
            findings.append(fault(file.path, record.name, message, place=place))
        seen.add(record.name)
        if not record.name.isascii() and any("\udc80" <= letter <= "\udcff" for letter in record.name):
            message = "the tensor's name is not UTF-8; aprender refuses the file"
            findings.append(fault(file.path, record.name, message, place=place))
    return findings


def _shape_findings(file: FileBytes, records: tuple[IndexRecord, ...], metadata: dict[str, Any]) -> list[Finding]:
    """The copy of the shapes in the metadata, which converters have forgotten to change; the index counts."""
    copies = metadata.get("tensor_shapes")
    if not isinstance(copies, dict):
        return []
    return [
        note(file.path, record.name, f"metadata say shape {copies[record.name]}, the index says {list(record.shape)}")
        for record in records
        if record.name in copies and copies[record.name] != list(record.shape)
    ]
