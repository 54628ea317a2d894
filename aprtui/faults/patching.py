"""Edits of the bytes of a written file: single fields of headers, sections that move, ends that are cut off."""

from __future__ import annotations

import json
import mmap
import shutil
import zlib
from collections.abc import Callable
from pathlib import Path
from struct import Struct, pack
from typing import Any

from aprtui.formats.apr.footer import FOOTER_BYTES, footer_offset
from aprtui.formats.apr.header import HEADER_BYTES, AprHeader, header_checksum
from aprtui.formats.apr.header import read_header as read_apr_header
from aprtui.formats.apr.index import TensorIndex, read_index
from aprtui.formats.bytes import FileBytes
from aprtui.formats.gguf.header import DeclaredTensor, GgufHeader
from aprtui.formats.gguf.header import read_header as read_gguf_header

_PIECE = 1 << 20
_U64 = Struct("<Q")


def put(path: Path, at: int, raw: bytes) -> None:
    """Overwrite bytes."""
    with path.open("r+b") as file:
        file.seek(at)
        file.write(raw)


def replace_content(path: Path, content: bytes) -> None:
    """Let a file hold something else."""
    path.write_bytes(content)


def cut(path: Path, size: int) -> None:
    """Keep only the first bytes."""
    with path.open("r+b") as file:
        file.truncate(size)


def take(path: Path, at: int, count: int) -> bytes:
    """Bytes of a file."""
    with path.open("rb") as file:
        file.seek(at)
        return file.read(count)


def shift_back(path: Path, start: int, by: int) -> None:
    """Move everything from `start` on towards the end by some bytes and drop what no longer fits; zeros fill up."""
    with path.open("r+b") as file, mmap.mmap(file.fileno(), 0) as content:
        content.move(start + by, start, len(content) - start - by)
        content[start : start + by] = bytes(by)


def edit_safetensors(path: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Change the header of a SafeTensors file; the data stay as they are."""
    length = _U64.unpack(take(path, 0, 8))[0]
    header = json.loads(take(path, 8, length))
    change(header)
    raw = json.dumps(header, separators=(",", ":")).encode()
    raw += b" " * (-len(raw) % 8)
    edited = path.with_name("edited")
    with path.open("rb") as source, edited.open("wb") as target:
        target.write(_U64.pack(len(raw)) + raw)
        source.seek(8 + length)
        shutil.copyfileobj(source, target)
    edited.replace(path)


def gguf_type_at(tensor: DeclaredTensor) -> int:
    """Offset of a declared tensor's type in the file; its data offset follows 4 bytes later."""
    name = len(tensor.name.encode("utf-8", "surrogateescape"))
    return tensor.place + 8 + name + 4 + 8 * len(tensor.shape)


def edit_gguf(path: Path, tensor: Callable[[GgufHeader], DeclaredTensor], **fields: int) -> None:
    """Overwrite the type (`ggml_type`) or data offset (`offset`) of a declared tensor."""
    at = gguf_type_at(tensor(read_gguf_header(path)))
    if "ggml_type" in fields:
        put(path, at, pack("<I", fields["ggml_type"]))
    if "offset" in fields:
        put(path, at + 4, _U64.pack(fields["offset"]))


def apr_sections(path: Path) -> tuple[AprHeader, TensorIndex]:
    """Header and index of an APR file."""
    file = FileBytes(path)
    header = read_apr_header(file)
    return header, read_index(file, header)


def apr_record_fields(name: str, dims: int) -> tuple[int, int, int, int]:
    """Offsets of code, dims, data offset and size within an index record."""
    fields = 2 + len(name.encode())
    return fields, fields + 2, fields + 2 + 8 * dims, fields + 10 + 8 * dims


def seal_apr(path: Path) -> None:
    """Make the checksums of header and file right again."""
    put(path, 40, header_checksum(take(path, 0, HEADER_BYTES)).to_bytes(4, "little"))
    end, checksum = path.stat().st_size - FOOTER_BYTES, 0
    for at in range(0, end, _PIECE):
        checksum = zlib.crc32(take(path, at, min(_PIECE, end - at)), checksum)
    put(path, end, checksum.to_bytes(FOOTER_BYTES, "little"))


def has_footer(path: Path) -> bool:
    """Whether an APR file ends with a checksum."""
    header, index = apr_sections(path)
    return footer_offset(FileBytes(path), header, index) is not None
