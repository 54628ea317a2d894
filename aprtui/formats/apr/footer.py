"""The end of an APR file: aprender appends a CRC-32 of all bytes before it, realizar nothing.

No reader of either checks it, so that a file damaged inside its weights opens everywhere. Checking reads the whole
file; it is left to the integrity level.
"""

from __future__ import annotations

import zlib
from pathlib import Path

from aprtui.core.findings import Finding
from aprtui.formats.apr.findings import WHOLE_FILE, fault, note
from aprtui.formats.apr.header import ALIGNMENT, AprHeader, Flag, read_header
from aprtui.formats.apr.index import TensorIndex, read_index
from aprtui.formats.bytes import FileBytes

FOOTER_BYTES = 4
_PIECE = 1 << 24


def check_footer(path: Path) -> Finding | None:
    """Hold the checksum at the end of a file against its content; None where it is right or there is none.

    Raises:
        AprtuiError: The file cannot be opened.
        FormatError: Its header cannot be used.
    """
    file = FileBytes(path)
    header = read_header(file)
    at = footer_offset(file, header, read_index(file, header))
    if at is None:
        return None
    computed = 0
    for start in range(0, at, _PIECE):
        computed = zlib.crc32(file.take(start, min(_PIECE, at - start), "file"), computed)
        file.release(start, _PIECE)
    stored = file.u32(at, "footer")
    if stored == computed:
        return None
    message = "the checksum at the end of the file is wrong: bytes have changed since it was written"
    return fault(path, WHOLE_FILE, message, expected=f"{computed:#010x}", found=f"{stored:#010x}", place=f"offset {at}")


def data_end(header: AprHeader, index: TensorIndex) -> int:
    """Offset in the file where the last tensor ends, or where data would begin."""
    ends = (header.data_offset + record.offset + record.size for record in index.records)
    return max(ends, default=header.data_offset)


def footer_offset(file: FileBytes, header: AprHeader, index: TensorIndex) -> int | None:
    """Where the footer is, None where there is none.

    Everything before it is padded to 64 bytes, so a file with a footer has 4 bytes more than a multiple of 64.
    """
    at = file.size - FOOTER_BYTES
    whole = file.size % ALIGNMENT == FOOTER_BYTES and data_end(header, index) <= at
    return at if whole else None


def end_findings(file: FileBytes, header: AprHeader, index: TensorIndex) -> list[Finding]:
    """Notes about what comes after the last tensor, and what is missing there."""
    end = data_end(header, index)
    if end > file.size:
        return []
    findings = []
    footer = footer_offset(file, header, index)
    unused = (file.size if footer is None else footer) - -(-end // ALIGNMENT) * ALIGNMENT
    if unused > 0:
        findings.append(note(file.path, WHOLE_FILE, f"{unused} bytes after the last tensor belong to none"))
    if footer is None and Flag.LAYOUT_ROW_MAJOR in header.flags:
        message = "there is no checksum at the end of the file, where aprender writes one"
        findings.append(note(file.path, WHOLE_FILE, message))
    return findings
