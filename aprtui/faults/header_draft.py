"""Raw metadata of a product as plain mappings that faults can edit, whatever the format.

GGUF and APR have one document, under the empty name; a Hugging Face directory has one per JSON file.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from aprtui.formats.container import Container, Format
from aprtui.formats.gguf import GgufValue, ValueType
from aprtui.formats.gguf.header import read_header

RawValue = Any
"""A stored value: whatever JSON or GGUF can hold."""

Document = MutableMapping[str, RawValue]


class GgufValues(MutableMapping[str, RawValue]):
    """Keys and values of a GGUF; a changed value keeps its stored type, a new one gets the type that llama.cpp uses.

    Args:
        entries: As read from the file.
    """

    def __init__(self, entries: Sequence[GgufValue]) -> None:
        self._entries = {entry.key: entry for entry in entries}

    def __getitem__(self, key: str) -> RawValue:
        value = self._entries[key].value
        if isinstance(value, np.ndarray):
            return value.tolist()
        return value if isinstance(value, bool | int | float | str) else list(value)

    def __setitem__(self, key: str, value: RawValue) -> None:
        known = self._entries.get(key)
        if known is not None:
            self._entries[key] = known._replace(value=value)
        else:
            self._entries[key] = GgufValue(key, value, *_type_of(value))

    def __delitem__(self, key: str) -> None:
        del self._entries[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def entries(self) -> list[GgufValue]:
        """For the writer."""
        return list(self._entries.values())


def _type_of(value: RawValue) -> tuple[ValueType, ValueType | None]:
    if isinstance(value, list):
        return ValueType.ARRAY, _type_of(value[0])[0]
    kinds = {bool: ValueType.BOOL, int: ValueType.UINT32, float: ValueType.FLOAT32, str: ValueType.STRING}
    return kinds[type(value)], None


@dataclass
class HeaderDraft:
    """Everything of a product that is not a tensor.

    Attributes:
        documents: Editable mappings by file name; the header of GGUF and APR under "".
        texts: Companions that are not JSON, by name, as bytes.
        alignment: Of GGUF's tensor data.
        attributes: `__metadata__` of SafeTensors.
    """

    documents: dict[str, Document]
    texts: dict[str, bytes] = field(default_factory=dict)
    alignment: int = 32
    attributes: dict[str, str] = field(default_factory=dict)

    @property
    def main(self) -> Document:
        """What says most about the model: config.json, or the header of GGUF and APR."""
        return self.documents.setdefault("config.json" if "" not in self.documents else "", {})


def read_header_draft(container: Container) -> HeaderDraft:
    """The raw metadata of an opened container, copied."""
    if container.format is Format.GGUF:
        header = read_header(container.files[0])
        return HeaderDraft({"": GgufValues(header.values)}, alignment=header.alignment)
    if container.format is Format.APR:
        return HeaderDraft({"": copy.deepcopy(dict(container.metadata))})
    documents: dict[str, Document] = {}
    texts: dict[str, bytes] = {}
    for name, path in container.companions.items():
        content = path.read_bytes()
        parsed = json.loads(content) if name.endswith(".json") else None
        if isinstance(parsed, dict):
            documents[name] = parsed
        else:
            texts[name] = content
    attributes = {key: str(value) for key, value in container.metadata.items()}
    return HeaderDraft(documents, texts, attributes=attributes)


def plain(document: Mapping[str, Any]) -> dict[str, Any]:
    """A document without numpy values, for JSON."""
    return {key: value.tolist() if isinstance(value, np.ndarray) else value for key, value in document.items()}
