"""Finds model files below a folder without getting lost: bounded in depth and entries, safe from loops of links."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from aprtui.formats.bytes import is_file
from aprtui.formats.gguf.split import first_part
from aprtui.formats.huggingface import is_shard
from aprtui.formats.safetensors.reader import INDEX_SUFFIX
from aprtui.models.hub import commit_of, is_repository

_DEEPEST = 8
_MOST_ENTRIES = 20_000
_SUFFIXES = (".safetensors", ".gguf", ".apr", INDEX_SUFFIX)
# What the hub's cache keeps that is no model, or a model under a name without meaning.
_OTHER_REPOSITORIES = ("datasets--", "spaces--", "kernels--")
_OF_REPOSITORY = "snapshots"
_NAMED = 5


@dataclass(frozen=True, slots=True)
class Candidate:
    """What `open_model` may take; a folder with a `problem` holds an incomplete model."""

    path: Path
    problem: str = ""


@dataclass
class Walk:
    """A walk through folders; a folder that was seen is not entered again, whatever path leads to it.

    Attributes:
        cut_off: Why not everything was looked at; empty where it was.
        repositories: Repositories of the hub's cache that the walk came by.
        snapshots: Their snapshots.
    """

    cut_off: str = ""
    repositories: list[Path] = field(default_factory=list)
    snapshots: list[Path] = field(default_factory=list)
    _seen: set[tuple[int, int]] = field(default_factory=set)
    _left: int = _MOST_ENTRIES

    def candidates(self, root: Path) -> Iterator[Candidate]:
        """What may be a model below a folder, in order of names.

        Args:
            root: A folder; one that may not be read is passed over with a word in `cut_off`.
        """
        self.cut_off, self._left = "", _MOST_ENTRIES
        self.repositories, self.snapshots = [], []
        waiting = [(root, 0)]
        while waiting:
            folder, depth = waiting.pop()
            if not self._is_new(folder):
                continue
            files, folders = self._entries(folder)
            yield from _candidates(folder, files)
            if is_repository(folder):
                self.repositories.append(folder)
                folders = [entry for entry in folders if entry.name == _OF_REPOSITORY]
            elif commit_of(folder) == folder.name:
                self.snapshots.append(folder)
            if folders and depth == _DEEPEST:
                self.cut_off = self.cut_off or f"folders deeper than {_DEEPEST} were not looked into"
                continue
            waiting += [(entry, depth + 1) for entry in reversed(folders)]

    def _is_new(self, folder: Path) -> bool:
        try:
            status = folder.stat()
        except OSError:
            return False
        identity = (status.st_dev, status.st_ino)
        if identity in self._seen:
            return False
        self._seen.add(identity)
        return True

    def _entries(self, folder: Path) -> tuple[list[Path], list[Path]]:
        """Files (broken links among them) and folders, each sorted; hidden ones are passed over."""
        try:
            with os.scandir(folder) as scan:
                entries = [Path(entry.path) for entry in islice(scan, self._left + 1)]
        except OSError as error:
            self.cut_off = self.cut_off or f"{folder} cannot be read: {error.strerror}"
            return [], []
        if len(entries) > self._left:
            self.cut_off = f"stopped after {_MOST_ENTRIES:,} entries, in {folder}"
            entries = entries[: self._left]
        self._left -= len(entries)
        shown = sorted(entry for entry in entries if not entry.name.startswith((".", *_OTHER_REPOSITORIES)))
        folders = [entry for entry in shown if _is_folder(entry)]
        # Sets keep this linear in folders of many thousand entries.
        return sorted(set(shown) - set(folders)), folders


def _candidates(folder: Path, files: list[Path]) -> Iterator[Candidate]:
    models = [file for file in files if file.name.endswith(_SUFFIXES)]
    present = [file for file in models if is_file(file)]
    whole = [file for file in present if not is_shard(file)]
    for path in dict.fromkeys(first_part(file) if file.name.endswith(".gguf") else file for file in whole):
        yield Candidate(path)
    # The reader of an index says itself which of its shards are missing.
    indexed = any(file.name.endswith(INDEX_SUFFIX) for file in whole)
    broken = [file.name for file in models if file not in present and not (indexed and is_shard(file))]
    shards = len(present) - len(whole)
    if broken:
        names = ", ".join(broken[:_NAMED]) + (f" and {len(broken) - _NAMED} more" if len(broken) > _NAMED else "")
        yield Candidate(folder, f"incomplete: the file behind {names} is missing")
    elif shards and not indexed:
        yield Candidate(folder, f"incomplete: {shards} shards without their index")


def _is_folder(entry: Path) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False
