"""APR files field by field, written from the format's description alone: an oracle for the reader and the writer."""

import json
import zlib
from dataclasses import dataclass, field
from typing import Any


def number(raw: bytes, at: int, size: int) -> int:
    assert at + size <= len(raw)
    return int.from_bytes(raw[at : at + size], "little")


@dataclass
class Record:
    name: str
    code: int
    shape: tuple[int, ...]
    offset: int
    size: int


@dataclass
class Parsed:
    major: int
    minor: int
    flags: int
    tensor_count: int
    metadata_offset: int
    metadata_size: int
    index_offset: int
    data_offset: int
    header_crc: int
    reserved: bytes
    metadata: dict[str, Any]
    index_end: int
    footer_crc: int
    raw: bytes
    records: list[Record] = field(default_factory=list)

    def data(self, name: str) -> bytes:
        record = next(record for record in self.records if record.name == name)
        start = self.data_offset + record.offset
        return self.raw[start : start + record.size]


def parse(raw: bytes) -> Parsed:
    assert raw[0:4] == b"APR\0"
    metadata_offset, metadata_size = number(raw, 12, 8), number(raw, 20, 4)
    parsed = Parsed(
        major=raw[4],
        minor=raw[5],
        flags=number(raw, 6, 2),
        tensor_count=number(raw, 8, 4),
        metadata_offset=metadata_offset,
        metadata_size=metadata_size,
        index_offset=number(raw, 24, 8),
        data_offset=number(raw, 32, 8),
        header_crc=number(raw, 40, 4),
        reserved=raw[44:64],
        metadata=json.loads(raw[metadata_offset : metadata_offset + metadata_size]),
        index_end=0,
        footer_crc=number(raw, len(raw) - 4, 4),
        raw=raw,
    )
    at = parsed.index_offset
    for _ in range(parsed.tensor_count):
        length = number(raw, at, 2)
        name = raw[at + 2 : at + 2 + length].decode()
        at += 2 + length
        code, dims = raw[at], raw[at + 1]
        shape = tuple(number(raw, at + 2 + 8 * dim, 8) for dim in range(dims))
        at += 2 + 8 * dims
        parsed.records.append(Record(name, code, shape, number(raw, at, 8), number(raw, at + 8, 8)))
        at += 16
    parsed.index_end = at
    return parsed


@dataclass
class Tensor:
    """A tensor of a file made by hand; offset and size are what the index claims."""

    name: str
    code: int
    shape: tuple[int, ...]
    data: bytes
    offset: int | None = None
    size: int | None = None


def padded(raw: bytes) -> bytes:
    return raw + bytes(-len(raw) % 64)


def build(
    tensors: list[Tensor],
    *,
    metadata: bytes = b"{}",
    flags: int = 0x0400,
    footer: bool = True,
    keep_order: bool = False,
    **fields: int,
) -> bytes:
    """A file; `fields` replace header fields (magic aside) before the checksum is taken."""
    ordered = (
        tensors if keep_order else sorted(tensors, key=lambda tensor: tensor.name.encode("utf-8", "surrogateescape"))
    )
    index, data = b"", b""
    for tensor in ordered:
        name = tensor.name.encode("utf-8", "surrogateescape")
        numbers = (
            *tensor.shape,
            len(data) if tensor.offset is None else tensor.offset,
            len(tensor.data) if tensor.size is None else tensor.size,
        )
        index += len(name).to_bytes(2, "little") + name + bytes([tensor.code, len(tensor.shape)])
        index += b"".join(value.to_bytes(8, "little") for value in numbers)
        data += padded(tensor.data)
    index_offset = 64 + len(padded(metadata))
    known = {
        "major": 2,
        "minor": 0,
        "flags": flags,
        "tensor_count": len(ordered),
        "metadata_offset": 64,
        "metadata_size": len(metadata),
        "index_offset": index_offset,
        "data_offset": index_offset + len(padded(index)),
    }
    assert not fields.keys() - known.keys()
    known |= fields
    sizes = (1, 1, 2, 4, 8, 4, 8, 8)
    head = b"APR\0" + b"".join(
        value.to_bytes(size, "little") for value, size in zip(known.values(), sizes, strict=True)
    )
    assert len(head) == 40
    crc = zlib.crc32(head + bytes(20))
    raw = head + crc.to_bytes(4, "little") + bytes(20) + padded(metadata) + padded(index) + data
    return raw + zlib.crc32(raw).to_bytes(4, "little") if footer else raw
