"""Playbooks in folders, as lists show them: what loads, what does not and why."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from aprtui.core.errors import UsageError
from aprtui.paths import playbooks_folder
from aprtui.playbook.kinds import Document, DocumentKind, read_document
from aprtui.playbook.load import load_playbook
from aprtui.playbook.playbook import Playbook

_SUFFIXES = (".yaml", ".yml")
_SHOWN = (
    DocumentKind.PLAYBOOK,
    DocumentKind.TEMPLATE,
    DocumentKind.SPECIFICATION,
    DocumentKind.VERIFICATION,
)


@dataclass(frozen=True, slots=True)
class Listed:
    """A file in the list.

    Attributes:
        path: The file.
        document: Its outside; None where it is not YAML that aprtui reads.
        playbook: The playbook; None where it is something else or does not load.
        error: Why it does not load.
    """

    path: Path
    document: Document | None
    playbook: Playbook | None
    error: str = ""

    @property
    def is_other_kind(self) -> bool:
        """Whether it is known to be something else than a playbook, such as a template."""
        return self.document is not None and self.document.kind is not DocumentKind.PLAYBOOK


def default_places() -> list[Path]:
    """The folder of our own playbooks, and `playbooks` in the working directory."""
    own, here = playbooks_folder(), Path("playbooks")
    return [own] if not here.is_dir() or here.resolve() == own.resolve() else [own, here]


def list_playbooks(place: Path) -> Iterator[Listed]:
    """Playbooks, templates, specifications and tickets of a folder and those in it; or one file.

    Raises:
        UsageError: There is no such place.
    """
    if not place.exists():
        raise UsageError("there is no such file or folder", file=place)
    for entry in map(describe_file, files_in(place)):
        if place.is_file() or entry.document is None or entry.document.kind in _SHOWN:
            yield entry


def files_in(place: Path) -> list[Path]:
    """Files of a folder and those in it that may be playbooks, or settings beside one; or one file."""
    if place.is_file():
        return [place]
    return sorted(path for path in place.rglob("*") if path.suffix in _SUFFIXES and path.is_file())


def describe_file(path: Path) -> Listed:
    """A file as it stands in a list."""
    try:
        document = read_document(path)
    except UsageError as error:
        return Listed(path, None, None, error.message)
    if document.kind is not DocumentKind.PLAYBOOK:
        return Listed(path, document, None)
    try:
        return Listed(path, document, load_playbook(path))
    except UsageError as error:
        return Listed(path, document, None, error.message)
