"""What a reader of SafeTensors, GGUF or APR hands on: the tensors and metadata of a model as stored.

A container holds facts from headers only; no weight is read until somebody asks `BytesOfFile` for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from math import prod
from pathlib import Path
from typing import Any

from aprtui.core.dtypes import DType, stored_bytes
from aprtui.core.findings import Finding


class Format(StrEnum):
    """The three formats, told by content."""

    SAFETENSORS = "SafeTensors"
    GGUF = "GGUF"
    APR = "APR"


@dataclass(frozen=True, slots=True)
class StoredTensor:
    """One tensor as its file declares it.

    Attributes:
        name: Name in the file.
        dtype: Stored type.
        shape: Row-major shape (GGUF's reversed dims already turned round).
        file: File that holds the bytes.
        offset: First byte, from the start of the file.
        nbytes: Bytes stored; 0 for APR's placeholder of a tied head.
        readable: False where the declared bytes are not in the file; such a tensor has an integrity finding.
    """

    name: str
    dtype: DType
    shape: tuple[int, ...]
    file: Path
    offset: int
    nbytes: int
    readable: bool = True

    @property
    def elements(self) -> int:
        """Number of elements that the shape declares."""
        return prod(self.shape)

    @property
    def columns(self) -> int:
        """Length of a row; a vector is one row, a scalar has one column."""
        return self.shape[-1] if self.shape else 1

    @property
    def is_placeholder(self) -> bool:
        """A declared shape without bytes (APR's tied head)."""
        return self.nbytes == 0 and self.elements > 0

    @property
    def padded_rows(self) -> bool:
        """Rows are zero-padded to whole blocks (apr's K-quants of rows that do not fill super-blocks)."""
        info = self.dtype.info
        if info.flat or not self.columns % info.block:
            return False
        return self.nbytes == stored_bytes(self.dtype, self.shape, padded_rows=True)

    @property
    def runs_on(self) -> bool:
        """Blocks run on across row boundaries: apr's own types, and K-quants written as one run of super-blocks."""
        info = self.dtype.info
        if info.flat:
            return True
        flat_size = -(-self.elements // info.block) * info.nbytes
        return bool(self.columns % info.block) and self.nbytes == flat_size and not self.padded_rows

    @property
    def stored_size(self) -> int | None:
        """Bytes that the type, the shape and the way of cutting blocks take; None where they do not fit together."""
        if self.runs_on and not self.dtype.info.flat:
            return self.nbytes
        return stored_bytes(self.dtype, self.shape, padded_rows=self.padded_rows)


@dataclass(frozen=True, slots=True)
class Container:
    """A model as stored, whatever its format.

    Attributes:
        format: What the content is.
        path: The file or directory that was opened.
        files: Every file with tensor data, in order.
        tensors: In file order.
        metadata: Raw keys and values of the header (GGUF's key-values, APR's JSON, SafeTensors' `__metadata__`).
            String arrays of GGUF are lazy sequences.
        companions: Files beside SafeTensors by name: config.json, generation_config.json, tokenizer.json,
            tokenizer_config.json, chat_template.jinja, tokenizer.model, added_tokens.json, vocab.json, merges.txt,
            additional_chat_templates/NAME.jinja.
        findings: Integrity findings of the reader (checksums, overlaps, sizes that do not fit, holes).
        version: Version of the format and what is known of the writer ("GGUF v3", "APR v2, flags 0x0400, footer").
    """

    format: Format
    path: Path
    files: tuple[Path, ...]
    tensors: tuple[StoredTensor, ...]
    metadata: Mapping[str, Any]
    companions: Mapping[str, Path] = field(default_factory=dict)
    findings: tuple[Finding, ...] = ()
    version: str = ""
