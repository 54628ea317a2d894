"""Tells the format of a file by its first bytes, and says of anything else what it looks like.

Extensions lie: apr 0.2.11 writes SafeTensors into files named `.apr`.
"""

from __future__ import annotations

from pathlib import Path

from aprtui.core.errors import FormatError
from aprtui.formats.bytes import FileBytes
from aprtui.formats.container import Format

_SHOWN = 512

# APR\0 is the current format; the others were APR once, and its reader refuses them by name.
_MAGICS: dict[bytes, Format] = {
    b"GGUF": Format.GGUF,
    b"APR\0": Format.APR,
    b"APRN": Format.APR,
    b"APR1": Format.APR,
    b"APR2": Format.APR,
}

_FETCH = "fetch the file itself"
_AS_SAFETENSORS = (
    "aprtui opens no pickle, which can run code: load it with transformers and save it with "
    "save_pretrained(..., safe_serialization=True)"
)

# First bytes, lower case, of files that stand where a model is expected; what they are; what to do.
_LOOKALIKES: tuple[tuple[bytes, str, str], ...] = (
    (b"version https://git-lfs", "a git-lfs pointer, not the model itself", "run git lfs pull"),
    (b"pk\x03\x04", "a zip archive, most likely a PyTorch checkpoint (pickle)", _AS_SAFETENSORS),
    (b"\x80\x02", "a Python pickle, most likely a PyTorch checkpoint", _AS_SAFETENSORS),
    (b"\x80\x03", "a Python pickle, most likely a PyTorch checkpoint", _AS_SAFETENSORS),
    (b"\x80\x04", "a Python pickle, most likely a PyTorch checkpoint", _AS_SAFETENSORS),
    (b"\x80\x05", "a Python pickle, most likely a PyTorch checkpoint", _AS_SAFETENSORS),
    (b"<!doctype", "a web page, most likely an error page of the server", _FETCH),
    (b"<html", "a web page, most likely an error page of the server", _FETCH),
    (b"<?xml", "XML, most likely an error page of the server", _FETCH),
    (b"\x1f\x8b", "gzip-compressed", "decompress it with gunzip"),
    (b"\x28\xb5\x2f\xfd", "zstd-compressed", "decompress it with zstd -d"),
    (b"\xfd7zxz", "xz-compressed", "decompress it with xz -d"),
    (b"{", "JSON", "name the model file or its directory"),
    (b"[", "JSON", "name the model file or its directory"),
    (b"\x89hdf", "HDF5, most likely a Keras model", "convert it to SafeTensors"),
    (b"lmgg", "a GGML file from before GGUF", "convert the model again with a newer converter"),
    (b"fmgg", "a GGML file from before GGUF", "convert the model again with a newer converter"),
    (b"tjgg", "a GGML file from before GGUF", "convert the model again with a newer converter"),
)


def detect_format(path: Path) -> Format:
    """The format of a file, told by its content.

    Raises:
        AprtuiError: The file cannot be opened.
        FormatError: It is none of the three formats.
    """
    file = FileBytes(path)
    head = bytes(file.take(0, min(file.size, _SHOWN), "start of the file"))
    known = _MAGICS.get(head[:4])
    if known is not None:
        return known
    # Nothing but a header length stands before the brace; a length beyond the file is judged by the reader.
    if head[8:9] == b"{" and int.from_bytes(head[:8], "little") <= file.size - 8:
        return Format.SAFETENSORS
    raise _not_a_model(path, head)


def _not_a_model(path: Path, head: bytes) -> FormatError:
    """What to raise for a file that is none of the three formats, from its first bytes."""
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower() or head
    for magic, kind, todo in _LOOKALIKES:
        if start.startswith(magic):
            return FormatError(f"this is no model file: it is {kind}", file=path, todo=todo)
    if head and not any(head):
        kind = "the file begins with zeros: most likely a download that was cut off"
    elif head[8:9] == b"{":
        length = int.from_bytes(head[:8], "little")
        kind = f"it begins like SafeTensors, but its header of {length} bytes ends beyond the file: it is truncated"
    else:
        kind = f"it begins with {head[:8].hex(' ')}"
    return FormatError(
        f"this is not SafeTensors, GGUF or APR: {kind}", file=path, place="offset 0", todo="check what was fetched"
    )
