"""Tells apart the kinds of YAML documents that lie in apr-qa's folders; only one of them can be run."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from aprtui.playbook.yaml_tree import Value, YamlFile, read_yaml

_PLACEHOLDER = re.compile(r"\$\{\w+\}")
_FILLED_IN = ("name", "version", "model", "test_matrix", "aprtui")
_TICKET = ("verification_gates", "regression_tests", "reproduction", "tests")
_GATEWAY = ("spec", "scenarios")


class DocumentKind(StrEnum):
    """What a document is, in words for a message."""

    PLAYBOOK = "playbook"
    TEMPLATE = "template"
    SPECIFICATION = "specification"
    VERIFICATION = "verification ticket"
    LOCK = "lock file"
    SCHEMA = "schema"
    SETTINGS = "settings beside a playbook"
    OTHER = "something else"


@dataclass(frozen=True, slots=True)
class Document:
    """A YAML document by its outside.

    Attributes:
        path: The file.
        kind: What it is.
        name: Its name; the file's where it has none.
        version: Its version as text; empty where it has none.
        model: Repository or name of the model, with its placeholders; empty where it names none.
        placeholders: Placeholders in what a run needs, in order.
    """

    path: Path
    kind: DocumentKind
    name: str
    version: str
    model: str
    placeholders: tuple[str, ...]


def read_document(path: Path) -> Document:
    """Read any document.

    Raises:
        UsageError: It is not YAML that aprtui reads (`read_yaml`).
    """
    return describe(read_yaml(path))


def describe(file: YamlFile) -> Document:
    """The outside of a parsed file."""
    model = file.at("model", "hf_repo") or file.at("model")
    return Document(
        path=file.path,
        kind=kind_of(file),
        name=_text(file.at("name")) or file.path.name,
        version=_text(file.at("version")),
        model=_text(model),
        placeholders=placeholders(file),
    )


def kind_of(file: YamlFile) -> DocumentKind:
    """The kind, told by the outermost keys; a document with a model counts as a playbook where nothing else fits."""
    keys = set(file.value)
    if keys == {"entries"}:
        return DocumentKind.LOCK
    if keys == {"aprtui"}:
        return DocumentKind.SETTINGS
    if "$schema" in keys:
        return DocumentKind.SCHEMA
    if keys.intersection(_GATEWAY):
        return DocumentKind.SPECIFICATION
    if keys.intersection(_TICKET):
        return DocumentKind.VERIFICATION
    if placeholders(file):
        return DocumentKind.TEMPLATE
    return DocumentKind.PLAYBOOK if keys & {"name", "model", "test_matrix"} else DocumentKind.OTHER


def placeholders(file: YamlFile) -> tuple[str, ...]:
    """Placeholders (`${HF_REPO}`) in what a run needs."""
    texts = [text for key in _FILLED_IN for text in _texts(file.at(key))]
    return tuple(dict.fromkeys(found for text in texts for found in _PLACEHOLDER.findall(text)))


def _texts(value: Value) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif value is not None:
        for item in value.values() if isinstance(value, dict) else value:
            yield from _texts(item)


def _text(value: Value) -> str:
    return value.strip() if isinstance(value, str) else ""
