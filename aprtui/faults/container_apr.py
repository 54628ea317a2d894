"""Headers and indexes of APR files that lie."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from struct import pack

from aprtui.core.dtypes import DType
from aprtui.faults import patching
from aprtui.faults.draft import Draft, DraftTensor
from aprtui.faults.fault import fault
from aprtui.formats.apr.index import IndexRecord
from aprtui.formats.container import Format
from aprtui.formats.views import Reshaped

_ONLY = frozenset({Format.APR})

Change = Callable[[Path, IndexRecord, tuple[int, ...]], None]


def _matrix(draft: Draft) -> DraftTensor:
    """A matrix that lies neither first nor last: data are in the order of the names."""
    ordered = sorted(draft.tensors, key=lambda tensor: tensor.name.encode())[1:-1]
    return draft.pick("matrix", "blk.*.weight", where=lambda tensor: tensor.is_matrix and tensor in ordered)


def _edit_record(draft: Draft, tensor: DraftTensor, change: Change, *, refused: bool = False) -> None:
    """Change the index record of a tensor and make the checksums right again.

    Args:
        draft: The product.
        tensor: The tensor.
        change: Given the file, the record, and where its code, dims, data offset and size are in the file.
        refused: The whole file becomes unreadable.
    """

    def edit(path: Path) -> None:
        _, index = patching.apr_sections(path)
        record = next(record for record in index.records if record.name == tensor.name)
        fields = patching.apr_record_fields(record.name, len(record.shape))
        change(path, record, tuple(record.place + field for field in fields))
        patching.seal_apr(path)

    draft.after_writing(edit, "file" if refused else tensor.canonical)


@fault("integrity.apr_header_checksum", "RC-71", formats=_ONLY)
def header_checksum(draft: Draft) -> None:
    """The checksum of the header is zero."""
    draft.after_writing(lambda path: patching.put(path, 40, bytes(4)), "file")


@fault("integrity.apr_footer_checksum", "RC-71", formats=_ONLY)
def footer_checksum(draft: Draft) -> None:
    """A byte has changed since the checksum of the file was written."""

    def edit(path: Path) -> None:
        at = path.stat().st_size - 4
        patching.put(path, at, bytes(byte ^ 0x55 for byte in patching.take(path, at, 4)))

    draft.after_writing(edit, "file")


@fault("integrity.apr_column_major", "RC-10", "RC-71", formats=_ONLY)
def column_major(draft: Draft) -> None:
    """The flags say that data are column-major."""

    def edit(path: Path) -> None:
        patching.put(path, 6, pack("<H", 0x0800))
        patching.seal_apr(path)

    draft.after_writing(edit)


@fault("integrity.apr_legacy_magic", "RC-86", formats=_ONLY)
def legacy_magic(draft: Draft) -> None:
    """The file begins like an APR of the first kind."""
    draft.after_writing(lambda path: patching.put(path, 0, b"APR1"))


@fault("integrity.apr_version", "RC-86", formats=_ONLY)
def version(draft: Draft) -> None:
    """The version is one that nobody knows."""

    def edit(path: Path) -> None:
        patching.put(path, 4, bytes([7]))
        patching.seal_apr(path)

    draft.after_writing(edit)


@fault("integrity.apr_unsorted", "RC-71", formats=_ONLY)
def unsorted(draft: Draft) -> None:
    """The index is not in the order of the names."""

    def edit(path: Path) -> None:
        _, index = patching.apr_sections(path)
        first, second = index.records[:2]
        end = index.records[2].place
        one = patching.take(path, first.place, second.place - first.place)
        other = patching.take(path, second.place, end - second.place)
        patching.put(path, first.place, other + one)
        patching.seal_apr(path)

    draft.after_writing(edit, "file")


@fault("integrity.apr_overlap", "RC-20", "RC-21", formats=_ONLY)
def overlap(draft: Draft) -> None:
    """A tensor begins inside the one before it."""

    def change(path: Path, record: IndexRecord, fields: tuple[int, ...]) -> None:
        patching.put(path, fields[2], pack("<Q", record.offset - 64))

    _edit_record(draft, _matrix(draft), change)


@fault("integrity.apr_beyond", "RC-57", formats=_ONLY)
def beyond(draft: Draft) -> None:
    """A tensor lies beyond the end of the file."""

    def change(path: Path, _: IndexRecord, fields: tuple[int, ...]) -> None:
        patching.put(path, fields[2], pack("<Q", 1 << 40))

    _edit_record(draft, _matrix(draft), change)


@fault("integrity.apr_size", "RC-21", "RC-33", formats=_ONLY)
def size(draft: Draft) -> None:
    """The size of a tensor does not fit its type and shape."""

    def change(path: Path, record: IndexRecord, fields: tuple[int, ...]) -> None:
        patching.put(path, fields[3], pack("<Q", record.size // 2))

    _edit_record(draft, _matrix(draft), change)


@fault("integrity.apr_code", "RC-33", "RC-34", "RC-53", formats=_ONLY)
def code(draft: Draft) -> None:
    """The dtype code of a tensor does not fit its size."""

    def change(path: Path, record: IndexRecord, fields: tuple[int, ...]) -> None:
        patching.put(path, fields[0], bytes([0 if record.code else 3]))

    _edit_record(draft, _matrix(draft), change)
    draft.touch("file")


@fault("integrity.apr_unknown_code", "RC-33", formats=_ONLY)
def unknown_code(draft: Draft) -> None:
    """The dtype code of a tensor is one that nobody knows."""

    def change(path: Path, _: IndexRecord, fields: tuple[int, ...]) -> None:
        patching.put(path, fields[0], bytes([77]))

    _edit_record(draft, _matrix(draft), change, refused=True)


@fault("integrity.apr_q8_as_q8_0", "RC-38", formats=_ONLY, requires="tensors of AprQ8")
def q8_as_q8_0(draft: Draft) -> None:
    """A tensor of apr's own 8-bit type has a code that stands for other types."""
    tensor = draft.pick("tensor of AprQ8", where=lambda item: item.dtype is DType.APR_Q8 and item.is_matrix)

    def change(path: Path, _: IndexRecord, fields: tuple[int, ...]) -> None:
        patching.put(path, fields[0], bytes([8]))

    _edit_record(draft, tensor, change, refused=True)


@fault("integrity.apr_flat_blocks", "RC-48", formats=_ONLY, requires="matrices whose rows do not fill super-blocks")
def flat_blocks(draft: Draft) -> None:
    """Super-blocks run on across rows, and the size says so."""

    def fits(tensor: DraftTensor) -> bool:
        return tensor.is_matrix and tensor.shape[1] % 256 != 0 and tensor.view.elements % 256 == 0

    tensor = draft.pick("matrix whose rows do not fill super-blocks", "blk.*.weight", where=fits)
    rows, columns = tensor.shape
    flat = Reshaped(tensor.view, (tensor.view.elements // 256, 256))
    draft.put(tensor, flat, dtype=DType.Q4_K)

    def change(path: Path, _: IndexRecord, fields: tuple[int, ...]) -> None:
        patching.put(path, fields[1], pack("<QQ", rows, columns))

    _edit_record(draft, tensor, change)
