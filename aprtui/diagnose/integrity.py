"""Causes that one file shows by itself, from what its reader found and from its bytes."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

from aprtui.core.dtypes import DType, stored_bytes
from aprtui.core.findings import Finding, LevelResult
from aprtui.core.outcomes import Level
from aprtui.diagnose.found import Found, failing, found_at
from aprtui.formats.container import Format, StoredTensor
from aprtui.formats.metadata.keys import KEYS
from aprtui.formats.model import Model

_KEYS = frozenset(key.name for key in KEYS)

_BY_MESSAGE = (
    ("infinite values of", "integrity.not_finite"),
    ("checksum", "integrity.checksum"),
    ("has no bytes of its own", "integrity.shared_offset"),
    ("do not fill", "integrity.broken_rows"),
    ("flat super-blocks", "integrity.broken_rows"),
    ("two tensors have this name", "integrity.repeated_name"),
    ("not sorted", "integrity.unsorted"),
    ("more than once", "integrity.repeated_name"),
    ("does not fit", "integrity.type"),
    ("do not fit", "integrity.type"),
    ("end beyond the file", "integrity.offsets"),
    ("overlap", "integrity.offsets"),
    ("hole before it", "integrity.offsets"),
    ("belong to no tensor", "integrity.offsets"),
    ("shard", "integrity.shards"),
    ("index", "integrity.shards"),
)
"""Words of the readers' own messages, the most telling first."""

_UNREADABLE = (
    ("incomplete snapshot", "integrity.shards"),
    ("is empty", "integrity.truncated"),
    ("but the file ends", "integrity.truncated"),
    ("has room for", "integrity.truncated"),
    ("web page", "integrity.not_a_model"),
    ("no model file", "integrity.not_a_model"),
    ("it begins like", "integrity.header"),
    ("not SafeTensors, GGUF or APR", "integrity.not_a_model"),
    ("is not known; versions", "integrity.version"),
    ("big-endian", "integrity.byte_order"),
    ("COLUMN_MAJOR", "integrity.column_major"),
    ("of the first kind", "integrity.version"),
    ("APR version", "integrity.version"),
    ("draft of APR", "integrity.version"),
    ("GGML type", "integrity.unknown_type"),
    ("not one that is known", "integrity.unknown_type"),
    ("is not known", "integrity.unknown_type"),
    ("dtype", "integrity.type"),
    ("header", "integrity.header"),
)

_PLACES = ("integrity.type", "integrity.offsets")
_COUNT_AT = 8


def diagnose_integrity(target: Model, result: LevelResult | None) -> list[Found]:
    """Causes of what failed at the integrity level of the product; keys are judged with the metadata."""
    left = {name: findings for name, findings in failing(result).items() if name not in _KEYS}
    ours = {
        name: [item for item in findings if not (item.place or "").startswith("A")] for name, findings in left.items()
    }
    by_code: dict[str, list[Finding]] = {}
    displaced = _rooms_of_other_types(target)
    for findings in ours.values():
        for finding in findings:
            code = _code(finding)
            if code == "integrity.offsets" and finding.subject in displaced:
                code = "integrity.type"
            by_code.setdefault(code, []).append(finding)
    for code in ("integrity.type", "integrity.broken_rows"):
        # A size that does not fit moves everything behind it.
        if code in by_code:
            by_code[code] += _take(by_code, "integrity.offsets", ("overlap", "hole before it"))
    beyond = {item.subject for item in by_code.get("integrity.offsets", []) if "end beyond" in item.message}
    if beyond and _is_the_end(target, beyond, by_code["integrity.offsets"]):
        by_code["integrity.truncated"] = by_code.pop("integrity.offsets")
    if by_code.keys() & {*_PLACES, "integrity.truncated"}:
        # The checksum at the end covers what is wrong already.
        for code in (*_PLACES, "integrity.truncated"):
            if code in by_code:
                by_code[code] += _take(by_code, "integrity.checksum", ("at the end of the file",))
    more = {"integrity.type": displaced} if "integrity.type" in by_code else {}
    return [_found(code, findings, more.get(code, frozenset())) for code, findings in by_code.items()]


def _take(by_code: dict[str, list[Finding]], code: str, words: tuple[str, ...]) -> list[Finding]:
    """Take the findings of a code whose message has one of these words."""
    taken = [finding for finding in by_code.get(code, []) if any(word in finding.message for word in words)]
    left = [finding for finding in by_code.get(code, []) if finding not in taken]
    if left:
        by_code[code] = left
    else:
        by_code.pop(code, None)
    return taken


def _rooms_of_other_types(target: Model) -> frozenset[str]:
    """Tensors of a GGUF behind one that has exactly the room of another type, and that one."""
    if target.format is not Format.GGUF:
        return frozenset()
    found: set[str] = set()
    alignment = _alignment(target)
    ordered = sorted(target.tensors.items(), key=lambda item: item[1].offset)
    for (name, tensor), (behind, following) in pairwise(ordered):
        room = following.offset - tensor.offset
        if room in (0, _padded(tensor.nbytes, alignment)):
            continue
        sizes = {stored_bytes(dtype, tensor.shape) for dtype in DType if dtype is not tensor.dtype}
        if room in {_padded(size, alignment) for size in sizes if size is not None}:
            found |= {name, behind}
    return frozenset(found)


def _alignment(target: Model) -> int:
    value = target.container.metadata.get("general.alignment", 32)
    return value if isinstance(value, int) and value > 0 else 32


def _padded(size: int, alignment: int) -> int:
    return -(-size // alignment) * alignment


def _code(finding: Finding) -> str:
    return next((code for words, code in _BY_MESSAGE if words in finding.message), "integrity.header")


def _found(code: str, findings: list[Finding], more: frozenset[str]) -> Found:
    members = tuple(dict.fromkeys((*(finding.subject for finding in findings), *sorted(more))))
    # Infinite weights are read, and their tensor is searched like every other one.
    levels = () if code == "integrity.not_finite" else (Level.WEIGHTS, Level.STRUCTURE)
    also = tuple((level, name) for name in members for level in levels)
    return found_at(Level.INTEGRITY, code, members, f"{findings[0].subject}: {findings[0].message}", *also)


def _is_the_end(target: Model, beyond: set[str], findings: list[Finding]) -> bool:
    """Whether the tensors beyond the end of the file are those that should lie there, each behind the other."""
    ordered = sorted(target.tensors.items(), key=lambda item: item[1].offset)
    names = [name for name, _ in ordered]
    tail = names[len(names) - len(beyond) :]
    if set(tail) != beyond or any("end beyond" not in finding.message for finding in findings):
        return False
    return all(_follows(a, b) for a, b in pairwise(ordered) if b[0] in beyond)


def _follows(before: tuple[str, StoredTensor], behind: tuple[str, StoredTensor]) -> bool:
    return 0 <= behind[1].offset - (before[1].offset + before[1].nbytes) < 1 << 16


def diagnose_unreadable(path: Path, finding: Finding) -> Iterator[Found]:
    """The cause of a product that cannot be opened."""
    code = next((code for words, code in _UNREADABLE if words in finding.message), "integrity.header")
    if code == "integrity.truncated" and _counts_too_much(path):
        code = "integrity.header"
    if code == "integrity.header" and _header_is_cut(path):
        code = "integrity.truncated"
    yield found_at(Level.INTEGRITY, code, ("file",), finding.message)


def _counts_too_much(path: Path) -> bool:
    """A GGUF whose tensors alone would need more room than the file has, though the file is no stump."""
    size = path.stat().st_size if path.is_file() else 0
    return size > 1 << 12 and _first(path, 4) == b"GGUF"


def _header_is_cut(path: Path) -> bool:
    """A SafeTensors header that goes on beyond the end, in a file too short to hold any model."""
    files = sorted(path.glob("*.safetensors")) if path.is_dir() else [path]
    if not files or not files[0].is_file():
        return False
    size = files[0].stat().st_size
    head = _first(files[0], 16)
    length = int.from_bytes(head[:_COUNT_AT], "little")
    return head[_COUNT_AT : _COUNT_AT + 1] == b"{" and size - 8 < length < 1 << 30


def _first(path: Path, count: int) -> bytes:
    with path.open("rb") as file:
        return file.read(count)
