"""Opens an APR version 2 file as a container. No weight is read."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from aprtui.core.errors import FormatError
from aprtui.formats.apr.footer import end_findings, footer_offset
from aprtui.formats.apr.header import COMPRESSION, AprHeader, flag_names, header_findings, read_header
from aprtui.formats.apr.index import index_findings, read_index
from aprtui.formats.apr.metadata import AprMetadata, read_metadata
from aprtui.formats.apr.origin import Writer, guess_writer
from aprtui.formats.apr.placement import place_tensors
from aprtui.formats.apr.refusals import compressed
from aprtui.formats.bytes import FileBytes
from aprtui.formats.container import Container, Format


def read_apr(path: Path, *, companions: Mapping[str, Path] | None = None) -> Container:
    """An APR version 2 file.

    The checksum of the whole file is left to `check_footer`.

    Args:
        path: The file.
        companions: Files beside the model by name, handed on.

    Raises:
        AprtuiError: The file cannot be opened.
        FormatError: It is not APR version 2, is compressed, encrypted or column-major, its header cannot be used, or
            the type of a tensor cannot be told.
    """
    file = FileBytes(path)
    header = read_header(file)
    metadata = _metadata(file, header)
    index = read_index(file, header)
    has_footer = footer_offset(file, header, index) is not None
    writer = guess_writer(header, metadata.values, has_footer=has_footer)
    tied = metadata.values.get("tied_embeddings") is True
    tensors, placing = place_tensors(file, header, index, writer, tied=tied)
    return Container(
        format=Format.APR,
        path=path,
        files=(path,),
        tensors=tensors,
        metadata=metadata.values,
        companions=dict(companions or {}),
        findings=(
            *header_findings(file, header),
            *metadata.findings,
            *index_findings(file, header, index, metadata.values),
            *placing,
            *end_findings(file, header, index),
        ),
        version=_version(header, writer, has_footer=has_footer),
    )


def _metadata(file: FileBytes, header: AprHeader) -> AprMetadata:
    """The metadata; a compression flag is believed where they cannot be read as they are."""
    try:
        return read_metadata(file, header)
    except FormatError:
        if header.flags & COMPRESSION:
            raise compressed(file.path, " and ".join(flag_names(header.flags & COMPRESSION))) from None
        raise


def _version(header: AprHeader, writer: Writer, *, has_footer: bool) -> str:
    flags = int(header.flags) | header.unknown_flags
    names = ", ".join(flag_names(header.flags)) or "none"
    footer = "footer" if has_footer else "no footer"
    return f"APR v2, flags {flags:#06x} ({names}), {footer}, most likely by {writer.value}"
