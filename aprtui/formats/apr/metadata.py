"""The metadata of an APR file: one JSON object, in which a key may stand twice.

Several writers of aprender serialise a key that their struct leaves null once more with its value, so readers keep
the last value that is not null (aprender's ALB-107).
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from typing import Any

from aprtui.core.errors import FormatError
from aprtui.core.findings import Finding
from aprtui.formats.apr.findings import WHOLE_FILE, note
from aprtui.formats.apr.header import AprHeader
from aprtui.formats.bytes import FileBytes

LARGEST_METADATA = 64 << 20
"""Bytes of JSON that are read. aprender declares 16 MiB and does not hold to it: vocabulary, merges and scores of
262 000 tokens take about 25 MB."""

_NAMED = 5


@dataclass(frozen=True, slots=True)
class AprMetadata:
    """Metadata of one file.

    Attributes:
        values: By key, the last one that is not null.
        findings: Keys that stand twice, and numbers that JSON does not have.
    """

    values: dict[str, Any]
    findings: tuple[Finding, ...]


def read_metadata(file: FileBytes, header: AprHeader) -> AprMetadata:
    """The metadata; NaN and infinities are tolerated.

    Raises:
        FormatError: They do not lie within the file, are too large, or are not one JSON object.
    """
    place = f"offset {header.metadata_offset}"
    file.check(header.metadata_offset, header.metadata_size, "metadata")
    if header.metadata_size > LARGEST_METADATA:
        problem = f"the metadata have {header.metadata_size} bytes; at most {LARGEST_METADATA} are read"
        raise FormatError(problem, file=file.path, place=place)
    repeated: Counter[str] = Counter()
    constants: Counter[str] = Counter()

    def pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
        kept: dict[str, Any] = {}
        for key, value in items:
            if key in kept:
                repeated[key] += 1
            if value is not None or key not in kept:
                kept[key] = value
        return kept

    def constant(name: str) -> float:
        constants[name] += 1
        return float(name)

    raw = file.take(header.metadata_offset, header.metadata_size, "metadata")
    try:
        values = json.loads(str(raw, "utf-8"), object_pairs_hook=pairs, parse_constant=constant)
    except (ValueError, RecursionError) as error:
        reason = "it is nested too deep" if isinstance(error, RecursionError) else str(error)
        problem = f"the metadata are not JSON: {reason}"
        todo = "the file is damaged: fetch or convert it again"
        raise FormatError(problem, file=file.path, place=place, todo=todo) from None
    if not isinstance(values, dict):
        raise FormatError("the metadata are not a JSON object", file=file.path, place=place)
    return AprMetadata(values, tuple(_findings(file, repeated, constants)))


def _findings(file: FileBytes, repeated: Counter[str], constants: Counter[str]) -> list[Finding]:
    findings = []
    if repeated:
        message = f"the metadata name {_some(repeated)} more than once; the last value that is not null counts"
        findings.append(note(file.path, WHOLE_FILE, message))
    if constants:
        message = f"the metadata hold {_some(constants)}, which JSON does not have"
        findings.append(note(file.path, WHOLE_FILE, message))
    return findings


def _some(names: Counter[str]) -> str:
    shown = ", ".join(list(names)[:_NAMED])
    return f"{shown} and {len(names) - _NAMED} more" if len(names) > _NAMED else shown
