"""Opens a SafeTensors model, one file or the shards of an index, as a container."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from aprtui.core.errors import FormatError
from aprtui.core.findings import Finding
from aprtui.core.outcomes import Level, Severity
from aprtui.formats.bytes import FileBytes, is_file
from aprtui.formats.container import Container, Format
from aprtui.formats.safetensors.header import LONGEST_HEADER, SafetensorsHeader, read_header, read_json_object

INDEX_SUFFIX = ".safetensors.index.json"


def read_safetensors(path: Path, *, companions: Mapping[str, Path] | None = None) -> Container:
    """A SafeTensors model.

    Args:
        path: A SafeTensors file, or the `*.safetensors.index.json` of a sharded model.
        companions: Files beside the model by name (config.json, tokenizer.json, …), handed on.

    Raises:
        AprtuiError: A file cannot be opened.
        FormatError: A header cannot be used, or shards are missing.
    """
    if path.name.endswith(INDEX_SUFFIX):
        headers, findings = _shards(path)
    else:
        headers, findings = (read_header(path),), []
    metadata: dict[str, Any] = {}
    for header in headers:
        metadata = {**header.metadata, **metadata}
    return Container(
        format=Format.SAFETENSORS,
        path=path,
        files=tuple(header.file.path for header in headers),
        tensors=tuple(tensor for header in headers for tensor in header.tensors),
        metadata=metadata,
        companions=dict(companions or {}),
        findings=(*(finding for header in headers for finding in header.findings), *findings),
        version=f"SafeTensors, {len(headers)} shards" if len(headers) > 1 else "SafeTensors",
    )


def shard_names(index: Path) -> tuple[str, ...]:
    """Names of the shards that an index lists, sorted.

    Raises:
        AprtuiError: The index cannot be opened.
        FormatError: It is not an index.
    """
    return tuple(sorted(set(_weight_map(index)[0].values())))


def _shards(index: Path) -> tuple[tuple[SafetensorsHeader, ...], list[Finding]]:
    weight_map, duplicates = _weight_map(index)
    names = sorted(set(weight_map.values()))
    missing = [name for name in names if not is_file(index.with_name(name))]
    if missing:
        named = ", ".join(missing[:5]) + (f" and {len(missing) - 5} more" if len(missing) > 5 else "")
        problem = f"incomplete snapshot: {len(missing)} of {len(names)} shards are missing: {named}"
        raise FormatError(problem, file=index, todo="fetch the model again")
    headers = tuple(read_header(index.with_name(name)) for name in names)
    message = "the index names this more than once; the last entry is used"
    repeated = [Finding(Level.INTEGRITY, name, message, place=str(index)) for name in duplicates]
    return headers, repeated + _index_findings(index, weight_map, headers)


def _weight_map(index: Path) -> tuple[dict[str, str], list[str]]:
    """Shard of each tensor, and the tensors named twice."""
    file = FileBytes(index)
    if file.size > LONGEST_HEADER:
        raise FormatError(f"the index has {file.size} bytes; at most {LONGEST_HEADER} are read", file=index)
    content, duplicates = read_json_object(index, file.take(0, file.size, "index"))
    weight_map = content.get("weight_map")
    if not isinstance(weight_map, dict) or not weight_map:
        raise FormatError("the index has no weight_map", file=index, todo="fetch the model again")
    for name, shard in weight_map.items():
        # A shard lies beside its index: a path would let a downloaded index open any file of the machine.
        if (
            not isinstance(shard, str)
            or not shard
            or Path(shard).name != shard
            or shard == ".."
            or set("\0\\") & set(shard)
        ):
            raise FormatError(f"{shard!r} is not the name of a shard", file=index, place=f"tensor {name}")
    return weight_map, duplicates


def _index_findings(
    index: Path, weight_map: Mapping[str, str], headers: tuple[SafetensorsHeader, ...]
) -> list[Finding]:
    """Where the index and the shards disagree."""
    findings = []
    homes: dict[str, list[str]] = {}
    for header in headers:
        for tensor in header.tensors:
            homes.setdefault(tensor.name, []).append(header.file.path.name)
    for name, shards in homes.items():
        if len(shards) > 1:
            message, expected = "more than one shard holds this tensor", weight_map.get(name, "one shard")
            findings.append(_finding(index, name, message, expected, ", ".join(shards)))
        elif name not in weight_map:
            findings.append(_finding(index, name, "the index does not name this tensor", "no such tensor", shards[0]))
    for name, shard in weight_map.items():
        if shard not in homes.get(name, []):
            found = ", ".join(homes.get(name, [])) or "in no shard"
            findings.append(_finding(index, name, "it is not in the shard that the index names", shard, found))
    return findings


def _finding(index: Path, subject: str, message: str, expected: str, found: str) -> Finding:
    return Finding(Level.INTEGRITY, subject, message, Severity.FAILURE, expected, found, str(index))
