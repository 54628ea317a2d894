"""Reads the header of one SafeTensors file. No weight is read.

Layout: u64 little-endian length of the header; the header, a JSON object of {name: {dtype, shape, data_offsets}}
and `__metadata__` (text to text); then the data, which the tensors must fill without holes and overlaps
(safetensors/src/tensor.rs, `Metadata::validate`).
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from aprtui.core.dtypes import DType
from aprtui.core.errors import FormatError
from aprtui.core.findings import Finding
from aprtui.core.outcomes import Level
from aprtui.formats.bytes import FileBytes
from aprtui.formats.container import StoredTensor
from aprtui.formats.detect import detect_format
from aprtui.formats.safetensors.types import TYPES, packed_bytes

# MAX_HEADER_SIZE of upstream.
LONGEST_HEADER = 100_000_000
_METADATA = "__metadata__"
_LARGEST = 2**63


@dataclass(frozen=True, slots=True)
class SafetensorsHeader:
    """The header of one file.

    Attributes:
        file: The file, mapped.
        tensors: In the order of their data.
        metadata: `__metadata__`.
        findings: Integrity findings.
    """

    file: FileBytes
    tensors: tuple[StoredTensor, ...]
    metadata: dict[str, Any]
    findings: tuple[Finding, ...]


@dataclass(frozen=True, slots=True)
class _Declared:
    """One entry of the header; begin and end count from the start of the data."""

    name: str
    dtype: DType
    shape: tuple[int, ...]
    begin: int
    end: int


def read_header(path: Path) -> SafetensorsHeader:
    """The header of one file.

    Raises:
        AprtuiError: The file cannot be opened.
        FormatError: It is not SafeTensors, or its header cannot be used.
    """
    file = FileBytes(path)
    head = bytes(file.take(0, min(file.size, 9), "start of the file"))
    length = int.from_bytes(head[:8], "little")
    if len(head) < 9 or head[8:9] != b"{":
        raise FormatError(f"this is {detect_format(path)}, and SafeTensors is wanted here", file=path)
    if length > LONGEST_HEADER:
        problem = f"the header declares {length} bytes; at most {LONGEST_HEADER} are read"
        raise FormatError(problem, file=path, place="offset 0", todo="it is damaged: fetch or convert it again")
    raw = file.take(8, length, "header")
    entries, duplicates = read_json_object(path, raw)
    metadata = entries.pop(_METADATA, {})
    if not isinstance(metadata, dict):
        raise FormatError("it is not an object", file=path, place=_METADATA)
    declared = [_declared(path, name, entry) for name, entry in entries.items()]
    declared.sort(key=lambda tensor: (tensor.begin, tensor.end))
    start = 8 + length
    findings = [
        *_metadata_findings(path, metadata),
        *(_finding(path, name, "the header names this more than once; the last entry is used") for name in duplicates),
        *_place_findings(path, declared, file.size - start),
    ]
    tensors = []
    for tensor in declared:
        stored, problems = _stored(file, tensor, start)
        tensors.append(stored)
        findings += problems
    return SafetensorsHeader(file, tuple(tensors), metadata, tuple(findings))


def read_json_object(path: Path, raw: memoryview) -> tuple[dict[str, Any], list[str]]:
    """A JSON object, and the keys that it holds twice.

    Raises:
        FormatError: The bytes are not one JSON object in UTF-8.
    """
    duplicates: list[str] = []

    def pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
        known = dict(items)
        if len(known) < len(items):
            times = Counter(key for key, _ in items)
            duplicates.extend(key for key, count in times.items() if count > 1)
        return known

    def constant(name: str) -> NoReturn:
        raise ValueError(f"{name} is not JSON")

    try:
        value = json.loads(str(raw, "utf-8"), object_pairs_hook=pairs, parse_constant=constant)
    except (ValueError, RecursionError) as error:
        reason = "it is nested too deep" if isinstance(error, RecursionError) else str(error)
        problem = f"the header is not JSON: {reason}"
        raise FormatError(problem, file=path, todo="it is damaged: fetch or convert it again") from None
    if not isinstance(value, dict):
        raise FormatError("the header is not a JSON object", file=path)
    return value, duplicates


def _declared(path: Path, name: str, entry: object) -> _Declared:
    place = f"header, tensor {name}"
    if not isinstance(entry, dict):
        raise FormatError("the entry is not an object", file=path, place=place)
    shape, offsets, dtype = _counts(entry.get("shape")), _counts(entry.get("data_offsets")), entry.get("dtype")
    if shape is None:
        raise FormatError("shape is not a list of counts", file=path, place=place)
    if offsets is None or len(offsets) != 2:
        raise FormatError("data_offsets is not a pair of offsets", file=path, place=place)
    if not isinstance(dtype, str) or dtype not in TYPES:
        problem = f"dtype {dtype!r} is not one that is known"
        raise FormatError(problem, file=path, place=f"{place}, data offset {offsets[0]}", todo="store another type")
    return _Declared(name, DType(dtype), shape, *offsets)


def _counts(value: object) -> tuple[int, ...] | None:
    """A list of integers from 0 to 2^63 as a tuple, None where it is anything else."""
    if not isinstance(value, list):
        return None
    for number in value:
        # Not isinstance: bool is an int in Python, but true is no number in JSON.
        if type(number) is not int or not 0 <= number < _LARGEST:
            return None
    return tuple(value)


def _metadata_findings(path: Path, metadata: dict[str, Any]) -> list[Finding]:
    message = f"the value in {_METADATA} is not text, which safetensors refuses"
    return [_finding(path, key, message) for key, value in metadata.items() if not isinstance(value, str)]


def _place_findings(path: Path, declared: list[_Declared], room: int) -> list[Finding]:
    """Holes and overlaps of the data, whose tensors are in order, and bytes after the last one."""
    findings, expected = [], 0
    for tensor in declared:
        if tensor.begin != expected:
            kind = "overlaps the tensor before it" if tensor.begin < expected else "leaves a hole before it"
            message = f"its data_offsets {kind}, which safetensors refuses"
            found = f"data offset {tensor.begin}"
            findings.append(_finding(path, tensor.name, message, f"data offset {expected}", found))
        expected = max(expected, tensor.end)
    if expected < room:
        message = f"the last {room - expected} bytes of the file belong to no tensor, which safetensors refuses"
        findings.append(_finding(path, "file", message))
    return findings


def _stored(file: FileBytes, tensor: _Declared, start: int) -> tuple[StoredTensor, list[Finding]]:
    nbytes = max(0, tensor.end - tensor.begin)
    needed = packed_bytes(tensor.dtype, tensor.shape)
    findings, readable = [], True
    if needed is None or tensor.end - tensor.begin != needed:
        readable = needed is not None and tensor.end - tensor.begin >= needed
        message = f"its data_offsets do not fit {tensor.dtype} of shape {list(tensor.shape)}"
        expected = "whole bytes" if needed is None else f"{needed} bytes"
        findings.append(_finding(file.path, tensor.name, message, expected, f"{tensor.end - tensor.begin} bytes"))
    if start + tensor.end > file.size:
        readable = False
        message = "its data end beyond the file, which is truncated or has a damaged header"
        found = f"a file of {file.size} bytes"
        findings.append(_finding(file.path, tensor.name, message, f"data up to {start + tensor.end}", found))
    stored = StoredTensor(tensor.name, tensor.dtype, tensor.shape, file.path, start + tensor.begin, nbytes, readable)
    return stored, findings


def _finding(path: Path, subject: str, message: str, expected: str | None = None, found: str | None = None) -> Finding:
    return Finding(Level.INTEGRITY, subject, message, expected=expected, found=found, place=f"{path}, {subject}")
