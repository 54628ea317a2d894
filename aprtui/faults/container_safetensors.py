"""Headers of SafeTensors files that lie."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from aprtui.faults import patching
from aprtui.faults.draft import Draft
from aprtui.faults.fault import fault
from aprtui.formats.container import Format

_ONLY = frozenset({Format.SAFETENSORS})


def _edit_entry(draft: Draft, change: Callable[[dict[str, Any]], None], *subjects: str) -> None:
    """Change the entry of a matrix that is not the first one in the file."""
    tensor = draft.pick("second matrix", where=lambda item: item.is_matrix and item is not draft.tensors[0])

    def edit(header: dict[str, Any]) -> None:
        change(header[tensor.name])

    draft.after_writing(lambda path: patching.edit_safetensors(path, edit), *(subjects or (tensor.canonical,)))


@fault("integrity.safetensors_overlap", "RC-21", formats=_ONLY)
def overlap(draft: Draft) -> None:
    """A tensor begins where another one lies."""

    def change(entry: dict[str, Any]) -> None:
        begin, end = entry["data_offsets"]
        size = end - begin
        at = begin - 64 if begin >= 64 else begin + 64
        entry["data_offsets"] = [at, at + size]

    _edit_entry(draft, change)


@fault("integrity.safetensors_size", "RC-21", "RC-33", formats=_ONLY)
def size(draft: Draft) -> None:
    """The bytes of a tensor do not fit its shape."""

    def change(entry: dict[str, Any]) -> None:
        entry["shape"] = [entry["shape"][0] + 1, *entry["shape"][1:]]

    _edit_entry(draft, change)


@fault("integrity.safetensors_dtype", "RC-33", formats=_ONLY)
def dtype(draft: Draft) -> None:
    """The type of a tensor does not fit its bytes."""

    def change(entry: dict[str, Any]) -> None:
        entry["dtype"] = "F32" if entry["dtype"] in ("BF16", "F16") else "BF16"

    _edit_entry(draft, change)


@fault("integrity.safetensors_unknown_dtype", "RC-33", formats=_ONLY)
def unknown_dtype(draft: Draft) -> None:
    """The type of a tensor is one that nobody knows."""
    _edit_entry(draft, lambda entry: entry.update(dtype="Q4_K"), "file")


@fault("integrity.safetensors_beyond", "RC-57", formats=_ONLY)
def beyond(draft: Draft) -> None:
    """A tensor ends beyond the file."""

    def change(entry: dict[str, Any]) -> None:
        begin, end = entry["data_offsets"]
        entry["data_offsets"] = [begin + (1 << 40), end + (1 << 40)]

    _edit_entry(draft, change)


@fault("integrity.safetensors_header_length", "RC-57", formats=_ONLY)
def header_length(draft: Draft) -> None:
    """The header is declared longer than the file."""
    draft.after_writing(lambda path: patching.put(path, 0, (1 << 40).to_bytes(8, "little")))


@fault("integrity.safetensors_not_json", "RC-57", formats=_ONLY)
def not_json(draft: Draft) -> None:
    """The header is not JSON."""
    draft.after_writing(lambda path: patching.put(path, 40, b"\x00\x00"))


@fault("integrity.safetensors_unused_bytes", "RC-21", formats=_ONLY)
def unused_bytes(draft: Draft) -> None:
    """The file goes on after its last tensor."""

    def append(path: Path) -> None:
        with path.open("ab") as file:
            file.write(bytes(64))

    draft.after_writing(append, "file")


@fault("integrity.shard_missing", "RC-28", formats=_ONLY, requires="several shards")
def shard_missing(draft: Draft) -> None:
    """A shard that the index names is missing."""
    files = {tensor.file for tensor in draft.tensors}
    if len(files) < 2:
        raise draft.refuse("the product is one file")
    draft.after_writing(lambda path: max(path.parent.glob("*.safetensors")).unlink())


@fault("integrity.shard_index", "RC-28", formats=_ONLY, requires="several shards")
def shard_index(draft: Draft) -> None:
    """The index names the wrong shard for every tensor of the first one."""
    files = list(dict.fromkeys(tensor.file for tensor in draft.tensors))
    if len(files) < 2:
        raise draft.refuse("the product is one file")

    def edit(path: Path) -> None:
        index = path.with_name("model.safetensors.index.json")
        text = index.read_text(encoding="utf-8")
        index.write_text(text.replace(files[0].name, files[1].name), encoding="utf-8")

    draft.after_writing(edit, *(tensor.canonical for tensor in draft.tensors if tensor.file == files[0]))
