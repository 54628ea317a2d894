"""Headers of GGUF files that lie."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from struct import pack

from aprtui.core.dtypes import DType
from aprtui.faults import patching
from aprtui.faults.draft import Draft, DraftTensor
from aprtui.faults.fault import fault
from aprtui.formats.container import Format
from aprtui.formats.gguf.header import DeclaredTensor, GgufHeader, read_header
from aprtui.formats.gguf.types import GGML_NUMBERS
from aprtui.formats.views.edited import FirstBytes

_ONLY = frozenset({Format.GGUF})

Choose = Callable[[GgufHeader], DeclaredTensor]


def _named(name: str) -> Choose:
    return lambda header: next(tensor for tensor in header.tensors if tensor.name == name)


def _inner_matrix(draft: Draft) -> DraftTensor:
    """A matrix with tensors before and behind it in the file."""
    inner = draft.tensors[1:-1]
    return draft.pick("matrix", "blk.*.weight", where=lambda tensor: tensor.is_matrix and tensor in inner)


def _following(draft: Draft, tensor: DraftTensor) -> DraftTensor:
    """The next tensor in the file, which is blamed where a tensor takes more or less room than it should."""
    return draft.tensors[next(i for i, item in enumerate(draft.tensors) if item is tensor) + 1]


@fault("integrity.gguf_type", "RC-33", "RC-34", "RC-53", formats=_ONLY)
def wrong_type(draft: Draft) -> None:
    """The type of a tensor is the number of another one, whose size does not fit."""
    tensor = _inner_matrix(draft)
    four_bits = tensor.dtype.info.nbytes == DType.Q4_0.info.nbytes
    other = DType.F32 if four_bits or tensor.shape[1] % 32 else DType.Q4_0
    number = GGML_NUMBERS[other]
    draft.after_writing(
        lambda path: patching.edit_gguf(path, _named(tensor.name), ggml_type=number),
        *(tensor.canonical, _following(draft, tensor).canonical),
    )


@fault("integrity.gguf_unknown_type", "RC-33", formats=_ONLY)
def unknown_type(draft: Draft) -> None:
    """The type of a tensor is a number that GGML does not have."""
    tensor = _inner_matrix(draft)
    draft.after_writing(lambda path: patching.edit_gguf(path, _named(tensor.name), ggml_type=199))


def _move(draft: Draft, by: int) -> None:
    tensor = _inner_matrix(draft)

    def edit(path: Path) -> None:
        declared = _named(tensor.name)(read_header(path))
        patching.edit_gguf(path, _named(tensor.name), offset=max(0, declared.offset + by))

    draft.after_writing(edit, tensor.canonical)


@fault("integrity.gguf_overlap", "RC-20", "RC-21", formats=_ONLY)
def overlap(draft: Draft) -> None:
    """A tensor begins inside the one before it."""
    _move(draft, -32)


@fault("integrity.gguf_hole", "RC-20", formats=_ONLY)
def hole(draft: Draft) -> None:
    """A tensor begins further back than the one before it ends."""
    _move(draft, 32)


@fault("integrity.gguf_beyond", "RC-57", formats=_ONLY)
def beyond(draft: Draft) -> None:
    """A tensor lies beyond the end of the file."""
    _move(draft, 1 << 40)


@fault("integrity.gguf_alignment", "RC-20", formats=_ONLY)
def alignment(draft: Draft) -> None:
    """Data are aligned to 32 bytes, the header says 4096."""
    key = "general.alignment"

    def edit(path: Path) -> None:
        content = patching.take(path, 0, read_header(path).data_start)
        at = content.index(key.encode()) + len(key) + 4
        patching.put(path, at, pack("<I", 4096))

    draft.header.alignment = 64
    draft.after_writing(edit)


@fault("integrity.gguf_two_tensors_at_one_offset", "RC-13", "RC-26", formats=_ONLY)
def two_at_one_offset(draft: Draft) -> None:
    """A tensor has no bytes of its own: its offset is that of the next one, as apr writes a tied head."""
    tensor = _inner_matrix(draft)
    following = _following(draft, tensor)

    def edit(path: Path) -> None:
        declared = _named(following.name)(read_header(path))
        patching.edit_gguf(path, _named(tensor.name), offset=declared.offset)

    draft.after_writing(edit, tensor.canonical)


@fault("integrity.gguf_tensor_count", "RC-57", formats=_ONLY)
def tensor_count(draft: Draft) -> None:
    """The header declares a million tensors more than there are."""
    draft.after_writing(lambda path: patching.put(path, 8, pack("<Q", len(draft.tensors) + 1_000_000)))


@fault("integrity.gguf_version", "RC-86", formats=_ONLY)
def version(draft: Draft) -> None:
    """The version is one that nobody knows."""
    draft.after_writing(lambda path: patching.put(path, 4, pack("<I", 77)))


@fault("integrity.gguf_big_endian", "S: wrong dtype read", formats=_ONLY)
def big_endian(draft: Draft) -> None:
    """The file is big-endian by its version."""
    draft.after_writing(lambda path: patching.put(path, 4, pack(">I", 3)))


@fault("integrity.gguf_same_name", "T1", formats=_ONLY, requires="two layers")
def same_name(draft: Draft) -> None:
    """Two tensors have one name."""
    tensor = draft.pick("matrix of a second layer", "blk.1.*.weight", where=lambda item: item.is_matrix)
    name = tensor.name

    def edit(path: Path) -> None:
        declared = _named(name)(read_header(path))
        patching.put(path, declared.place + 8, name.replace("blk.1.", "blk.0.").encode())

    draft.after_writing(edit, tensor.canonical.replace(".1.", ".0.", 1))


@fault("integrity.gguf_rows_of_broken_blocks", "RC-48", "RC-52", formats=_ONLY, requires="rows of whole blocks of 32")
def rows_of_broken_blocks(draft: Draft) -> None:
    """Rows do not fill the super-blocks of their type, as in a GGUF that apr exports from padded rows."""

    def fits(tensor: DraftTensor) -> bool:
        return tensor.is_matrix and tensor.shape[1] % 256 != 0

    tensor = draft.pick("matrix whose rows do not fill super-blocks", "blk.*.weight", where=fits)
    number = GGML_NUMBERS[DType.Q4_K]
    draft.after_writing(lambda path: patching.edit_gguf(path, _named(tensor.name), ggml_type=number), tensor.canonical)


@fault("integrity.gguf_apr_q8_as_q8_0", "RC-39", formats=_ONLY, requires="matrices with rows of whole blocks of 32")
def apr_q8_as_q8_0(draft: Draft) -> None:
    """A tensor labelled Q8_0 has the bytes of apr's own 8-bit type: one scale, then one byte an element."""

    def fits(tensor: DraftTensor) -> bool:
        whole = tensor.is_matrix and tensor.shape[1] % 32 == 0 and tensor.is_plain and tensor in draft.tensors[1:-1]
        return whole and -(-(tensor.view.elements + 4) // 32) != -(-tensor.view.elements * 34 // 32 // 32)

    tensor = draft.pick("plain matrix with rows of whole blocks", "blk.*.weight", where=fits)
    rows, columns = tensor.shape
    size = rows * columns + 4

    draft.put(tensor, FirstBytes(tensor.view, size), dtype=DType.I8)

    def edit(path: Path) -> None:
        declared = _named(tensor.name)(read_header(path))
        at = patching.gguf_type_at(declared)
        patching.put(path, at - 16, pack("<QQ", columns, rows))
        patching.put(path, at, pack("<I", GGML_NUMBERS[DType.Q8_0]))

    draft.after_writing(edit, tensor.canonical, _following(draft, tensor).canonical)
