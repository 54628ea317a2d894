"""The parts of a GGUF model that was split into several files (llama-gguf-split)."""

from __future__ import annotations

import re
from pathlib import Path

from aprtui.core.errors import FormatError
from aprtui.core.findings import Finding
from aprtui.core.outcomes import Level
from aprtui.formats.bytes import is_file
from aprtui.formats.gguf.header import GgufHeader, read_header

_NAME = re.compile(r"(?P<prefix>.+)-(?P<number>\d{5})-of-(?P<count>\d{5})\.gguf", re.DOTALL)


def first_part(path: Path) -> Path:
    """The file that stands for a whole split model: its first part by name, or the path itself."""
    match = _NAME.fullmatch(path.name)
    return path.with_name(f"{match['prefix']}-00001-of-{match['count']}.gguf") if match else path


def read_parts(path: Path) -> tuple[GgufHeader, ...]:
    """Headers of all parts of the model that a file belongs to, in order; one header where it is not split.

    Raises:
        AprtuiError: A file cannot be opened.
        FormatError: A header is damaged, or parts are missing.
    """
    header = read_header(path)
    count = header.integer("split.count")
    if count is None or count <= 1:
        return (header,)
    match = _NAME.fullmatch(path.name)
    if match is None or int(match["count"]) != count:
        raise FormatError(
            f"this is one part of a model split into {count} files, but its name does not say which",
            file=path,
            todo=f"name the parts NAME-00001-of-{count:05}.gguf and so on, beside each other",
        )
    parts = [path.with_name(f"{match['prefix']}-{number:05}-of-{match['count']}.gguf") for number in _numbers(count)]
    missing = [part.name for part in parts if not is_file(part)]
    if missing:
        named = ", ".join(missing[:5]) + (f" and {len(missing) - 5} more" if len(missing) > 5 else "")
        problem = f"{len(missing)} of the model's {count} parts are missing: {named}"
        raise FormatError(problem, file=path.parent, todo="fetch them into the same directory")
    return tuple(header if part.name == path.name else read_header(part) for part in parts)


def split_findings(headers: tuple[GgufHeader, ...]) -> list[Finding]:
    """What is wrong with the parts taken together."""
    if len(headers) == 1:
        return []
    findings = []
    for number, header in enumerate(headers):
        for key, expected in (("split.no", number), ("split.count", len(headers))):
            if header.integer(key) != expected:
                message = f"the part's {key} does not fit its name"
                findings.append(_finding(key, message, str(expected), str(header.integer(key)), str(header.file.path)))
    declared = headers[0].integer("split.tensors.count")
    total = sum(len(header.tensors) for header in headers)
    if declared is not None and declared != total:
        message = "the parts together do not hold the declared number of tensors"
        place = str(headers[0].file.path)
        findings.append(_finding("split.tensors.count", message, str(declared), str(total), place))
    return findings + _in_two_parts(headers)


def _in_two_parts(headers: tuple[GgufHeader, ...]) -> list[Finding]:
    findings: list[Finding] = []
    home: dict[str, Path] = {}
    for header in headers:
        path = header.file.path
        names = {tensor.name for tensor in header.tensors}
        for name in sorted(names & home.keys()):
            message = "two parts hold a tensor of this name, which llama.cpp refuses"
            findings.append(_finding(name, message, f"in {home[name].name} only", f"also in {path.name}", str(path)))
        home.update(dict.fromkeys(names, path))
    return findings


def _numbers(count: int) -> range:
    return range(1, count + 1)


def _finding(subject: str, message: str, expected: str, found: str, place: str) -> Finding:
    return Finding(Level.INTEGRITY, subject, message, expected=expected, found=found, place=place)
