"""The 64 bytes at the start of an APR version 2 file.

Little-endian, not naturally aligned: magic, u8 major and minor version, u16 flags, u32 number of tensors, u64 offset
and u32 size of the metadata, u64 offset of the tensor index, u64 offset of the data, u32 checksum (CRC-32 as zlib's
over bytes 0-39 and 44-63), 20 reserved bytes. Source: aprender's `format/v2` (`header_impl.rs`).
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from enum import IntFlag
from struct import Struct

from aprtui.core.errors import FormatError
from aprtui.core.findings import Finding
from aprtui.formats.apr.findings import WHOLE_FILE, fault, note
from aprtui.formats.apr.refusals import MAGIC, refuse_other_kinds
from aprtui.formats.bytes import FileBytes

HEADER_BYTES = 64
ALIGNMENT = 64
"""Of metadata, index, data and every tensor, in bytes."""

MAJOR_VERSION = 2

_FIELDS = Struct("<4sBBHIQIQQ")
_CHECKSUM_AT = 40
_RESERVED_AT = 44


class Flag(IntFlag):
    """Bits of the header's flags (aprender's `AprV2Flags`)."""

    LZ4 = 1 << 0
    ZSTD = 1 << 1
    ENCRYPTED = 1 << 2
    SIGNED = 1 << 3
    SHARDED = 1 << 4
    QUANTIZED = 1 << 5
    HAS_FILTERBANK = 1 << 6
    HAS_MODEL_CARD = 1 << 7
    STREAMING = 1 << 8
    HAS_VOCABULARY = 1 << 9
    LAYOUT_ROW_MAJOR = 1 << 10
    LAYOUT_COLUMN_MAJOR = 1 << 11


_NAMES: dict[Flag, str] = {
    Flag.LZ4: "LZ4-compressed",
    Flag.ZSTD: "zstd-compressed",
    Flag.ENCRYPTED: "encrypted",
    Flag.SIGNED: "signed",
    Flag.SHARDED: "sharded",
    Flag.QUANTIZED: "quantized",
    Flag.HAS_FILTERBANK: "filterbank",
    Flag.HAS_MODEL_CARD: "model card",
    Flag.STREAMING: "streaming",
    Flag.HAS_VOCABULARY: "vocabulary",
    Flag.LAYOUT_ROW_MAJOR: "row-major",
    Flag.LAYOUT_COLUMN_MAJOR: "column-major",
}

COMPRESSION = Flag.LZ4 | Flag.ZSTD


@dataclass(frozen=True, slots=True)
class AprHeader:
    """The header's fields; offsets count from the start of the file.

    Attributes:
        minor: Minor version.
        flags: Known bits.
        unknown_flags: Bits without a meaning.
        tensor_count: Records in the tensor index.
        metadata_offset: First byte of the metadata.
        metadata_size: Bytes of JSON, without padding.
        index_offset: First byte of the tensor index.
        data_offset: What the tensors' offsets count from.
        checksum: As stored.
        computed_checksum: What it should be.
        reserved: The last 20 bytes.
    """

    minor: int
    flags: Flag
    unknown_flags: int
    tensor_count: int
    metadata_offset: int
    metadata_size: int
    index_offset: int
    data_offset: int
    checksum: int
    computed_checksum: int
    reserved: bytes


def read_header(file: FileBytes) -> AprHeader:
    """The header of an APR version 2 file.

    Raises:
        FormatError: The file is something else that was called APR once, of another version, column-major or encrypted.
    """
    refuse_other_kinds(file)
    raw = bytes(file.take(0, HEADER_BYTES, "header"))
    _, major, minor, flags, count, metadata_at, metadata_size, index_at, data_at = _FIELDS.unpack_from(raw)
    stored, computed = int.from_bytes(raw[_CHECKSUM_AT:_RESERVED_AT], "little"), header_checksum(raw)
    if major != MAJOR_VERSION:
        state = "the header's checksum is right" if stored == computed else "the header's checksum is wrong too"
        todo = "convert the model again with an apr that writes version 2"
        problem = f"APR version {major}.{minor} is not known ({state}); version {MAJOR_VERSION} is read"
        raise FormatError(problem, file=file.path, place="offset 4", todo=todo)
    known = Flag(flags & sum(Flag))
    _refuse_flags(file, known)
    return AprHeader(
        minor=minor,
        flags=known,
        unknown_flags=flags & ~sum(Flag),
        tensor_count=count,
        metadata_offset=metadata_at,
        metadata_size=metadata_size,
        index_offset=index_at,
        data_offset=data_at,
        checksum=stored,
        computed_checksum=computed,
        reserved=raw[_RESERVED_AT:],
    )


def pack_header(*, flags: Flag, tensor_count: int, metadata_size: int, index_offset: int, data_offset: int) -> bytes:
    """A header with its checksum; the metadata follow it."""
    raw = _FIELDS.pack(
        MAGIC, MAJOR_VERSION, 0, flags, tensor_count, HEADER_BYTES, metadata_size, index_offset, data_offset
    )
    reserved = bytes(HEADER_BYTES - _RESERVED_AT)
    return raw + header_checksum(raw + bytes(4) + reserved).to_bytes(4, "little") + reserved


def header_checksum(raw: bytes) -> int:
    """CRC-32 over the header's bytes without the checksum itself."""
    return zlib.crc32(raw[_RESERVED_AT:HEADER_BYTES], zlib.crc32(raw[:_CHECKSUM_AT]))


def flag_names(flags: Flag) -> tuple[str, ...]:
    """Readable names of the bits that are set, lowest first."""
    return tuple(name for flag, name in _NAMES.items() if flag in flags)


def header_findings(file: FileBytes, header: AprHeader) -> list[Finding]:
    """What is wrong with the header taken by itself."""
    findings = []
    if header.checksum != header.computed_checksum:
        message = "the header's checksum is wrong; aprender refuses the file"
        expected, found = f"{header.computed_checksum:#010x}", f"{header.checksum:#010x}"
        findings.append(
            fault(file.path, WHOLE_FILE, message, expected=expected, found=found, place=f"offset {_CHECKSUM_AT}")
        )
    if header.minor:
        findings.append(note(file.path, WHOLE_FILE, f"the minor version is {header.minor}; only 0 is known"))
    if header.unknown_flags:
        message = f"flags {header.unknown_flags:#06x} have no known meaning"
        findings.append(note(file.path, WHOLE_FILE, message))
    if any(header.reserved):
        findings.append(note(file.path, WHOLE_FILE, "reserved bytes of the header are not zero"))
    if header.flags & COMPRESSION:
        message = f"the flags say {' and '.join(flag_names(header.flags & COMPRESSION))}, but the file is plain"
        findings.append(note(file.path, WHOLE_FILE, message))
    if Flag.SHARDED in header.flags:
        findings.append(note(file.path, WHOLE_FILE, "this is one shard of a model; its other shards are not read"))
    return findings


def _refuse_flags(file: FileBytes, flags: Flag) -> None:
    if Flag.LAYOUT_COLUMN_MAJOR in flags:
        problem = "the flags say LAYOUT_COLUMN_MAJOR, which APR forbids: shapes and data cannot be trusted"
        todo = "convert the model again with a current apr"
    elif Flag.ENCRYPTED in flags:
        problem, todo = "the flags say encrypted (AES-256-GCM)", "decrypt it with apr first"
    else:
        return
    raise FormatError(problem, file=file.path, place="offset 6", todo=todo)
