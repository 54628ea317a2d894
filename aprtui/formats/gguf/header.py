"""Reads the header of one GGUF file: metadata and what it declares of each tensor. No weight is read.

Layout (GGUF specification, versions 2 and 3, little-endian): magic, u32 version, u64 number of tensors, u64 number
of keys; the keys; per tensor its name, u32 number of dims, u64 dims with the row length first, u32 GGML type, u64
offset from the start of the data; then the data, aligned.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path
from struct import Struct

from aprtui.core.dtypes import DType
from aprtui.core.errors import FormatError
from aprtui.core.findings import Finding
from aprtui.core.outcomes import Level, Severity
from aprtui.formats.bytes import FileBytes
from aprtui.formats.gguf.strings import LENGTH, text
from aprtui.formats.gguf.types import (
    DEFAULT_ALIGNMENT,
    GGML_TYPES,
    LONGEST_NAME,
    MAGIC,
    MOST_DIMENSIONS,
    REFUSED_TYPES,
    GgufValue,
    ValueType,
)
from aprtui.formats.gguf.values import ValueReader

_U32 = Struct("<I")
_TYPE_AND_OFFSET = Struct("<IQ")
_DIMENSIONS = tuple(Struct(f"<{count}Q") for count in range(MOST_DIMENSIONS + 1))
# The smallest key (empty string, type, one byte) and tensor (empty name, no dims), to hold counts against the file.
_LEAST_KEY, _LEAST_TENSOR = 13, 24
# Ten times what the largest published models have; keeps a hostile count from becoming objects.
_MOST_KEYS, _MOST_TENSORS = 100_000, 1_000_000
_LONGEST_READ_NAME = 65535
_LARGEST_DIMENSION = 2**63 - 1


@dataclass(frozen=True, slots=True)
class DeclaredTensor:
    """What a header says of one tensor.

    Attributes:
        name: Name as stored.
        dtype: Stored type.
        shape: Row-major shape.
        offset: Of its data, from the start of the data section.
        place: Offset of this declaration in the file.
    """

    name: str
    dtype: DType
    shape: tuple[int, ...]
    offset: int
    place: int


@dataclass(frozen=True, slots=True)
class GgufHeader:
    """The header of one GGUF file.

    Attributes:
        file: The file, mapped.
        version: 2 or 3.
        values: Metadata in file order; a key may be there twice.
        alignment: Of tensor data, in bytes.
        tensors: Declarations in file order.
        data_start: Offset of the data section in the file.
        findings: What is wrong with metadata and declarations taken by themselves.
    """

    file: FileBytes
    version: int
    values: tuple[GgufValue, ...]
    alignment: int
    tensors: tuple[DeclaredTensor, ...]
    data_start: int
    findings: tuple[Finding, ...]

    def integer(self, key: str) -> int | None:
        """The last value of a key, None where the key is missing or its value is not an integer."""
        value = next((entry.value for entry in reversed(self.values) if entry.key == key), None)
        return value if isinstance(value, int) else None


def read_header(path: Path) -> GgufHeader:
    """The header of one file, which may be a part of a split model.

    Raises:
        AprtuiError: The file cannot be opened.
        FormatError: It is not GGUF, of another version, or its header is damaged.
    """
    file = FileBytes(path)
    version = _version(file)
    tensor_count = file.u64(8, "number of tensors")
    key_count = file.u64(16, "number of keys")
    _hold(file, key_count, _LEAST_KEY, _MOST_KEYS, "keys")
    _hold(file, tensor_count, _LEAST_TENSOR, _MOST_TENSORS, "tensors")
    reader = ValueReader(file, 24)
    values = tuple(reader.pair(number) for number in range(key_count))
    tensors, end = _tensors(file, reader.at, tensor_count)
    findings = [*_key_findings(path, values), *_name_findings(path, tensors)]
    alignment = _alignment(path, values, findings)
    data_start = -(-end // alignment) * alignment
    return GgufHeader(file, version, values, alignment, tensors, data_start, tuple(findings))


def _version(file: FileBytes) -> int:
    if bytes(file.take(0, 4, "magic")) != MAGIC:
        raise FormatError("this is not a GGUF file", file=file.path, place="offset 0")
    version = file.u32(4, "version")
    if version in (2, 3):
        return version
    if version & 0xFFFF == 0 and version:
        problem = f"this GGUF file is big-endian (version {version:#010x}); only little-endian files are read"
        todo = "convert it with gguf-convert-endian of the gguf package"
    elif version == 1:
        problem = "this is GGUF version 1, which llama.cpp does not read either; versions 2 and 3 are read"
        todo = "convert the model again with a newer converter"
    else:
        problem, todo = f"GGUF version {version} is not known; versions 2 and 3 are read", "check the file"
    raise FormatError(problem, file=file.path, place="offset 4", todo=todo)


def _hold(file: FileBytes, count: int, least: int, most: int, what: str) -> None:
    """Refuse a count that the file has no room for."""
    if count > min(file.size // least, most):
        raise FormatError(
            f"the header declares {count} {what}; a file of {file.size} bytes has room for {file.size // least}, "
            f"and at most {most} are read",
            file=file.path,
            place="offset 8" if what == "tensors" else "offset 16",
            todo="it is damaged: fetch or convert it again",
        )


def _tensors(file: FileBytes, at: int, count: int) -> tuple[tuple[DeclaredTensor, ...], int]:
    """Declarations of the tensors, and the offset behind them."""
    view = file.take(0, file.size, "header")
    tensors = []
    for number in range(count):
        try:
            tensor, at = _tensor(file.path, view, at, number)
        except struct.error:
            raise FormatError(
                f"the file ends at {file.size}, in the declaration of tensor {number} of {count}",
                file=file.path,
                place=f"offset {at}",
                todo="it is truncated: fetch or convert it again",
            ) from None
        tensors.append(tensor)
    return tuple(tensors), at


def _tensor(path: Path, view: memoryview, place: int, number: int) -> tuple[DeclaredTensor, int]:
    length: int = LENGTH.unpack_from(view, place)[0]
    if length > _LONGEST_READ_NAME:
        problem = f"the name of tensor {number} has {length} bytes; at most {_LONGEST_READ_NAME} are read"
        raise FormatError(problem, file=path, place=f"offset {place}", todo="the file is damaged")
    at = place + 8 + length
    dimensions: int = _U32.unpack_from(view, at)[0]
    name = text(view[place + 8 : at])
    if dimensions > MOST_DIMENSIONS:
        problem = f"tensor {name!r} has {dimensions} dimensions; GGML has at most {MOST_DIMENSIONS}"
        raise FormatError(problem, file=path, place=f"offset {at}", todo="the file is damaged")
    form = _DIMENSIONS[dimensions]
    shape: tuple[int, ...] = form.unpack_from(view, at + 4)[::-1]
    if max(shape, default=0) > _LARGEST_DIMENSION:
        problem = f"tensor {name!r} has a dimension of {max(shape)}; GGML counts in 64 bits with sign"
        raise FormatError(problem, file=path, place=f"offset {at + 4}", todo="the file is damaged")
    at += 4 + form.size
    ggml_type, offset = _TYPE_AND_OFFSET.unpack_from(view, at)
    dtype = GGML_TYPES.get(ggml_type)
    if dtype is None:
        known = REFUSED_TYPES.get(ggml_type, "which is not known")
        problem = f"tensor {name!r} has GGML type {ggml_type} ({known})"
        raise FormatError(problem, file=path, place=f"offset {at}", todo="quantise the model to another type")
    return DeclaredTensor(name, dtype, shape, offset, place), at + _TYPE_AND_OFFSET.size


def _key_findings(path: Path, values: tuple[GgufValue, ...]) -> list[Finding]:
    findings, seen = [], set()
    for entry in values:
        if not entry.key:
            findings.append(_finding(path, "file", "a metadata key is empty, which llama.cpp refuses"))
        if entry.key in seen:
            message = "the key is there more than once, which llama.cpp refuses; the last value is used"
            findings.append(_finding(path, entry.key, message))
        if entry.element is ValueType.ARRAY:
            findings.append(_finding(path, entry.key, "the value is an array of arrays, which llama.cpp refuses"))
        seen.add(entry.key)
    return findings


def _name_findings(path: Path, tensors: tuple[DeclaredTensor, ...]) -> list[Finding]:
    findings, seen = [], set()
    for tensor in tensors:
        if tensor.name in seen:
            message = "two tensors have this name, which llama.cpp refuses"
            findings.append(_finding(path, tensor.name, message, at=tensor.place))
        if len(tensor.name.encode("utf-8", "surrogateescape")) > LONGEST_NAME:
            message = f"the name is longer than the {LONGEST_NAME} bytes that llama.cpp reads"
            findings.append(_finding(path, tensor.name, message, Severity.NOTE, at=tensor.place))
        seen.add(tensor.name)
    return findings


def _alignment(path: Path, values: tuple[GgufValue, ...], findings: list[Finding]) -> int:
    """The alignment to read with; what is wrong with the declared one is added to the findings."""
    key = "general.alignment"
    entry = next((entry for entry in reversed(values) if entry.key == key), None)
    if entry is None:
        return DEFAULT_ALIGNMENT
    declared = entry.value
    if entry.type is not ValueType.UINT32:
        findings.append(_finding(path, key, f"the value has type {entry.type.name}, not UINT32: llama.cpp refuses"))
        if not isinstance(declared, int) or isinstance(declared, bool):
            return DEFAULT_ALIGNMENT
    if declared < 1 or declared & (declared - 1):
        findings.append(_finding(path, key, f"{declared} is not a power of two, which llama.cpp refuses"))
        return declared if declared > 0 else DEFAULT_ALIGNMENT
    if declared < DEFAULT_ALIGNMENT:
        message = f"tensors aligned to {declared} bytes make llama.cpp abort, which maps them at {DEFAULT_ALIGNMENT}"
        findings.append(_finding(path, key, message, Severity.NOTE))
    return int(declared)


def _finding(
    path: Path, subject: str, message: str, severity: Severity = Severity.FAILURE, at: int | None = None
) -> Finding:
    place = str(path) if at is None else f"{path}, offset {at}"
    return Finding(Level.INTEGRITY, subject, message, severity, place=place)
