"""Damage to a file as a whole, whatever its format: cut off, shifted, replaced."""

from __future__ import annotations

from pathlib import Path

from aprtui.faults import patching
from aprtui.faults.draft import Draft
from aprtui.faults.fault import fault
from aprtui.formats.container import Format
from aprtui.formats.gguf.header import read_header as read_gguf_header


@fault("integrity.truncated", "RC-21", "RC-57", "S: truncated tensor")
def truncated(draft: Draft) -> None:
    """The last quarter of the file is missing."""
    draft.after_writing(lambda path: patching.cut(path, path.stat().st_size * 3 // 4))


@fault("integrity.header_cut", "RC-57")
def header_cut(draft: Draft) -> None:
    """The file ends inside its header."""
    draft.after_writing(lambda path: patching.cut(path, 200))


@fault("integrity.empty", "RC-57")
def empty(draft: Draft) -> None:
    """The file is empty."""
    draft.after_writing(lambda path: patching.replace_content(path, b""))


@fault("integrity.magic", "RC-86", "RC-71")
def magic(draft: Draft) -> None:
    """The first eight bytes are not those of the format."""
    draft.after_writing(lambda path: patching.put(path, 0, b"\x00\x01\x02\x03\xff\xff\xff\xff"))


@fault("integrity.web_page", "RC-57")
def web_page(draft: Draft) -> None:
    """The file is an error page of a server."""
    draft.after_writing(lambda path: patching.replace_content(path, b"<!DOCTYPE html><html>404</html>"))


@fault("weights.data_offset", "RC-20", "S: wrong offset")
def data_offset(draft: Draft) -> None:
    """All data lie a constant number of bytes further back than the header says."""

    def shift(path: Path) -> None:
        if draft.format is Format.GGUF:
            patching.shift_back(path, read_gguf_header(path).data_start, 32)
        elif draft.format is Format.APR:
            footer = patching.has_footer(path)
            patching.shift_back(path, patching.apr_sections(path)[0].data_offset, 64)
            if footer:
                patching.seal_apr(path)
        else:
            length = int.from_bytes(patching.take(path, 0, 8), "little")
            patching.shift_back(path, 8 + length, 32)

    draft.after_writing(shift, *(tensor.canonical for tensor in draft.tensors))
