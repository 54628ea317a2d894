"""Opens a GGUF model, split or not, as a container."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from aprtui.formats.container import Container, Format, StoredTensor
from aprtui.formats.gguf.layout import place_tensors
from aprtui.formats.gguf.split import read_parts, split_findings


def read_gguf(path: Path, *, companions: Mapping[str, Path] | None = None) -> Container:
    """A GGUF model of version 2 or 3; any part of a split model opens all of it.

    Metadata values are int, float, bool or str; arrays of numbers are read-only numpy arrays, arrays of strings are
    `LazyStrings`. Bytes that are not UTF-8 are surrogates in names and strings. Metadata of a split model are those
    of its first part, as in llama.cpp.

    Args:
        path: A GGUF file.
        companions: Files beside the model by name, handed on.

    Raises:
        AprtuiError: A file cannot be opened.
        FormatError: A header cannot be read, or parts of a split model are missing.
    """
    headers = read_parts(path)
    findings = [finding for header in headers for finding in header.findings]
    tensors: list[StoredTensor] = []
    for header in headers:
        placed, problems = place_tensors(header)
        tensors += placed
        findings += problems
    first = headers[0]
    parts = f", {len(headers)} parts" if len(headers) > 1 else ""
    return Container(
        format=Format.GGUF,
        path=path,
        files=tuple(header.file.path for header in headers),
        tensors=tuple(tensors),
        metadata={entry.key: entry.value for entry in first.values},
        companions=dict(companions or {}),
        findings=(*findings, *split_findings(headers)),
        version=f"GGUF v{first.version}{parts}",
    )
