"""What else is called APR and is not read, each refused by its name with what to do.

Sources: aprender's `src/format/types.rs` (APRN), `src/serialization/apr` (APR1 and its compressed form), the first
weeks of `src/format/v2` (APR2), `apr trace --save-tensor` (APRT), realizar's `GgufToAprConverter` (JSON index) and its
reader of compressed files (`src/apr/mod.rs`).
"""

from __future__ import annotations

from pathlib import Path

from aprtui.core.errors import FormatError
from aprtui.formats.bytes import FileBytes
from aprtui.formats.container import Format
from aprtui.formats.detect import detect_format

MAGIC = b"APR\0"

_AGAIN = "convert the model again with a current apr"

_OTHER_MAGICS: dict[bytes, tuple[str, str]] = {
    b"APRN": ("APR version 1 (magic APRN), aprender's format of classical models", _AGAIN),
    b"APR1": ("APR of the first kind (magic APR1)", _AGAIN),
    b"APR2": ("an early draft of APR version 2 (magic APR2)", _AGAIN),
    b"APRT": ("a stage dump of apr trace (magic APRT), not a model", "name the model itself"),
}

_COMPRESSIONS = {1: "LZ4", 2: "zstd"}
_ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
# Magic, u8 compression, u32 length of the image; then the compressed image.
_OLD_IMAGE = 9


def refuse_other_kinds(file: FileBytes) -> None:
    """Raise FormatError unless the file begins as APR version 2 does."""
    magic = bytes(file.take(0, min(4, file.size), "magic"))
    if magic in _OTHER_MAGICS:
        kind, todo = _OTHER_MAGICS[magic]
        raise FormatError(f"this is {kind}; APR version 2 is read", file=file.path, place="offset 0", todo=todo)
    if magic != MAGIC:
        kind = detect_format(file.path)
        raise FormatError(f"the content is {kind.value}, not {Format.APR.value}", file=file.path, place="offset 0")
    start = bytes(file.take(0, min(_OLD_IMAGE + 4, file.size), "start of the file"))
    compression = start[4] if len(start) > 4 else 0
    # The second byte of a version 2 file is its minor version, 0; that of an old image is part of a length, and its
    # data begin as its compression's data begin.
    if compression == 1 or (compression == 2 and start[_OLD_IMAGE:] == _ZSTD_MAGIC):
        name = _COMPRESSIONS[compression]
        problem = f"this is a {name}-compressed image of APR of the first kind (APR1); APR version 2 is read"
        raise FormatError(problem, file=file.path, place="offset 4", todo=_AGAIN)


def refuse_json_index(file: FileBytes, at: int) -> None:
    """Raise FormatError where the tensor index is JSON, as a converter of realizar's wrote it."""
    start = bytes(file.take(at, min(3, file.size - at), "tensor index"))
    # As binary, these bytes would be a name of more than 8000 bytes; aprender writes at most 256.
    if start.startswith((b"[{", b'{"', b"[ ", b"[\n")):
        raise FormatError(
            "the tensor index is JSON: realizar's GgufToAprConverter packed the model into one pseudo tensor",
            file=file.path,
            place=f"offset {at}",
            todo=_AGAIN,
        )


def compressed(path: Path, name: str) -> FormatError:
    """What to raise for a container that realizar compressed as a whole."""
    problem = f"the flags say {name}, and everything after the header is compressed (a container of realizar's)"
    return FormatError(problem, file=path, place="offset 64", todo="convert the model again without compression")
