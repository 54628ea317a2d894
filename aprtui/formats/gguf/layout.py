"""Where the tensors of a GGUF file lie, and whether llama.cpp would accept that.

llama.cpp demands that every tensor starts where the one before it in the file ends, rounded up to the alignment
(gguf.cpp, "tensor has offset …, expected …"). One fault is blamed on one tensor here, not on all that follow.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

from aprtui.core.dtypes import stored_bytes
from aprtui.core.findings import Finding
from aprtui.core.outcomes import Level, Severity
from aprtui.formats.container import StoredTensor
from aprtui.formats.gguf.header import DeclaredTensor, GgufHeader


@dataclass(frozen=True, slots=True)
class _Extent:
    """Bytes of one tensor.

    Attributes:
        tensor: Its declaration.
        nbytes: Bytes that type and shape take, rows padded to whole blocks where they do not fill them.
        room: Bytes to the next tensor that starts elsewhere, or to the end of the file.
        whole_rows: The rows fill whole blocks, as GGML demands.
    """

    tensor: DeclaredTensor
    nbytes: int
    room: int
    whole_rows: bool


def place_tensors(header: GgufHeader) -> tuple[tuple[StoredTensor, ...], list[Finding]]:
    """The tensors of one file with their place in it, in file order, and what is wrong with the places."""
    extents = _extents(header)
    findings = []
    guests = _without_room(extents, header.alignment)
    for index, owner in guests.items():
        findings.append(_shared(header, extents[index].tensor, extents[owner].tensor))
    findings += _out_of_place(header, [extent for index, extent in enumerate(extents) if index not in guests])
    tensors = []
    for extent in extents:
        stored, problems = _stored(header, extent)
        tensors.append(stored)
        findings += problems
    return tuple(tensors), findings + _unused_end(header, extents)


def _extents(header: GgufHeader) -> list[_Extent]:
    # A header without data that starts beyond the file has room for nothing.
    data = max(0, header.file.size - header.data_start)
    starts = sorted({tensor.offset for tensor in header.tensors})
    ends = dict(zip(starts, [*starts[1:], max(data, starts[-1])], strict=True)) if starts else {}
    extents = []
    for tensor in header.tensors:
        nbytes = stored_bytes(tensor.dtype, tensor.shape)
        padded = stored_bytes(tensor.dtype, tensor.shape, padded_rows=True) if nbytes is None else nbytes
        assert padded is not None
        extents.append(_Extent(tensor, padded, ends[tensor.offset] - tensor.offset, nbytes is not None))
    return extents


def _without_room(extents: list[_Extent], alignment: int) -> dict[int, int]:
    """Tensors that start where another one lies, each with the tensor whose bytes these are.

    Of several tensors at one offset, the bytes belong to the one that fills the room up to the next offset; where
    that does not decide, to the last.
    """
    at_offset: defaultdict[int, list[int]] = defaultdict(list)
    for index, extent in enumerate(extents):
        if extent.nbytes:
            at_offset[extent.tensor.offset].append(index)
    guests = {}
    for members in at_offset.values():
        if len(members) == 1:
            continue
        fitting = [index for index in members if _fills(extents[index], alignment)]
        owner = (fitting or members)[-1]
        guests.update({index: owner for index in members if index != owner})
    return guests


def _fills(extent: _Extent, alignment: int) -> bool:
    return _padded(extent.nbytes, alignment) == _padded(extent.room, alignment)


def _out_of_place(header: GgufHeader, extents: list[_Extent]) -> list[Finding]:
    """Tensors that do not start where the one before them ends.

    After a tensor out of place, the next one may follow it, or lie where it should have lain.
    """
    findings = []
    expected, also_expected = 0, 0
    for extent in extents:
        tensor, size = extent.tensor, _padded(extent.nbytes, header.alignment)
        if not extent.whole_rows and not _fills(extent, header.alignment):
            size = _padded(extent.room, header.alignment)
        if tensor.offset == also_expected:
            expected = also_expected
        elif tensor.offset != expected:
            problem = "overlaps the tensor before it" if tensor.offset < expected else "leaves a hole before it"
            message = f"its offset {problem}, which llama.cpp refuses"
            findings.append(_finding(header, tensor, message, f"offset {expected}", f"offset {tensor.offset}"))
        expected, also_expected = expected + size, _padded(tensor.offset + size, header.alignment)
    return findings


def _stored(header: GgufHeader, extent: _Extent) -> tuple[StoredTensor, list[Finding]]:
    tensor = extent.tensor
    start, nbytes, readable = header.data_start + tensor.offset, extent.nbytes, True
    findings = []
    if not extent.whole_rows:
        info, columns = tensor.dtype.info, tensor.shape[-1] if tensor.shape else 1
        readable = _fills(extent, header.alignment)
        nbytes = nbytes if readable else extent.room
        message = (
            f"rows of {columns} elements do not fill {tensor.dtype} blocks of {info.block}, which llama.cpp refuses; "
        )
        message += "it is read as rows padded to whole blocks" if readable else "its bytes cannot be told apart"
        findings.append(_finding(header, tensor, message, f"a multiple of {info.block}", f"{columns}"))
    if start + nbytes > header.file.size:
        readable = False
        message = "its data end beyond the file, which is truncated or has a damaged header"
        end = f"data up to {start + nbytes}"
        findings.append(_finding(header, tensor, message, end, f"a file of {header.file.size} bytes"))
    stored = StoredTensor(tensor.name, tensor.dtype, tensor.shape, header.file.path, start, nbytes, readable)
    return stored, findings


def _shared(header: GgufHeader, tensor: DeclaredTensor, owner: DeclaredTensor) -> Finding:
    message = f"it has no bytes of its own: the data at its offset are those of {owner.name}; llama.cpp refuses"
    expected = "an offset where its own data start"
    return _finding(header, tensor, message, expected, f"offset {tensor.offset}, that of {owner.name}")


def _unused_end(header: GgufHeader, extents: list[_Extent]) -> list[Finding]:
    """A note where the file goes on after the last tensor."""
    if not extents:
        return []
    end = header.data_start + max(extent.tensor.offset + extent.nbytes for extent in extents)
    unused = header.file.size - _padded(end, header.alignment)
    if unused <= 0 or not all(extent.whole_rows for extent in extents):
        return []
    message = f"the last {unused} bytes of the file belong to no tensor"
    return [Finding(Level.INTEGRITY, "file", message, Severity.NOTE, place=str(header.file.path))]


def _finding(header: GgufHeader, tensor: DeclaredTensor, message: str, expected: str, found: str) -> Finding:
    place = f"{header.file.path}, tensor {tensor.name}, offset {header.data_start + tensor.offset}"
    return Finding(Level.INTEGRITY, tensor.name, message, expected=expected, found=found, place=place)


def _padded(size: int, alignment: int) -> int:
    return -(-size // alignment) * alignment
