"""One repository in the cache of the Hugging Face hub: its references, its snapshots, and which of them is meant.

The hub keeps `models--ORG--NAME/refs/REFERENCE` (text: a commit), `snapshots/COMMIT/` (links) and `blobs/` (files).
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from aprtui.core.errors import AprtuiError, UsageError
from aprtui.paths import huggingface_cache

PREFIX = "models--"
"""Start of the folder name of every repository with a model."""

_REPOSITORY = re.compile(r"(\b[\w\-.]{1,96}\b/)?\b[\w\-.]{1,96}\b", re.ASCII)
_COMMIT = re.compile(r"[0-9a-f]{4,40}")
_MOST_REFERENCES = 1000
_LONGEST_REFERENCE = 200


@dataclass(frozen=True, slots=True)
class Repository:
    """A repository of the cache.

    Attributes:
        folder: Its folder.
        references: Commits by branch, tag or pull request ("main", "v1.0", "refs/pr/3").
        snapshots: Folder of each snapshot by commit.
        unfinished: Number of downloads that were begun and not ended.
    """

    folder: Path
    references: dict[str, str]
    snapshots: dict[str, Path]
    unfinished: int

    @property
    def name(self) -> str:
        """Its name ("org/name"), as huggingface_hub reads it from the folder."""
        return self.folder.name.removeprefix(PREFIX).replace("--", "/")


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A snapshot, and why this one: `how` is a phrase such as "refs/main"."""

    path: Path
    commit: str
    how: str


class NoSnapshotError(AprtuiError):
    """The snapshot that is meant is not on this machine; a download brings it."""


def is_repository_name(name: str) -> bool:
    """Whether the hub would take a name ("org/name" or "name"); paths in disguise are none."""
    return bool(_REPOSITORY.fullmatch(name)) and not any(part in name for part in ("--", "..")) and name[-4:] != ".git"


def repository_folder(name: str) -> Path:
    """Where the cache keeps a repository, whether it is there or not."""
    return huggingface_cache() / f"{PREFIX}{name.replace('/', '--')}"


def is_repository(folder: Path) -> bool:
    """Whether a folder is a repository of the cache."""
    return folder.name.startswith(PREFIX) and ((folder / "snapshots").is_dir() or (folder / "refs").is_dir())


def commit_of(path: Path) -> str | None:
    """The commit of a snapshot folder, or of a file in one; None anywhere else."""
    for folder in (path, *path.parents):
        if folder.parent.name == "snapshots" and folder.parent.parent.name.startswith(PREFIX):
            return folder.name
    return None


def read_repository(folder: Path) -> Repository:
    """What a repository holds.

    Raises:
        AprtuiError: It may not be read.
    """
    try:
        snapshots = {entry.name: entry for entry in _entries(folder / "snapshots") if entry.is_dir()}
        unfinished = sum(1 for entry in _entries(folder / "blobs") if entry.suffix == ".incomplete")
        references = dict(sorted(islice(_references(folder / "refs"), _MOST_REFERENCES)))
    except OSError as error:
        raise AprtuiError(f"it cannot be read: {error.strerror}", file=folder) from None
    return Repository(folder, references, snapshots, unfinished)


def choose_snapshot(repository: Repository, revision: str | None) -> Snapshot:
    """The snapshot of a revision.

    Args:
        repository: The repository.
        revision: A branch, tag or pull request, a commit, or the first four or more digits of one. None means main,
            or the only snapshot where main was never downloaded.

    Raises:
        NoSnapshotError: It is not in the cache.
        UsageError: Several snapshots fit.
    """
    if revision is None:
        return _default(repository)
    if revision in repository.references:
        commit = repository.references[revision]
        if commit in repository.snapshots:
            return Snapshot(repository.snapshots[commit], commit, f"refs/{revision}")
        raise _absent(repository, f"refs/{revision} is commit {commit}, of which there is no snapshot")
    if revision in repository.snapshots:
        return Snapshot(repository.snapshots[revision], revision, "the commit that was asked for")
    matches = [commit for commit in repository.snapshots if _COMMIT.fullmatch(revision) and commit.startswith(revision)]
    if len(matches) > 1:
        raise _several(repository, matches, f"begin with {revision}")
    if matches:
        return Snapshot(repository.snapshots[matches[0]], matches[0], f"the only commit that begins with {revision}")
    raise _absent(repository, f"no reference and no snapshot is called {revision}")


def _default(repository: Repository) -> Snapshot:
    snapshots, main = repository.snapshots, repository.references.get("main")
    if main in snapshots:
        return Snapshot(snapshots[main], main, "refs/main")
    if main is not None:
        raise _absent(repository, f"refs/main is commit {main}, of which there is no snapshot")
    if len(snapshots) > 1:
        raise _several(repository, list(snapshots), "and no refs/main says which is meant")
    if not snapshots:
        raise _absent(repository, "it holds no snapshot")
    (commit, path), *_ = snapshots.items()
    return Snapshot(path, commit, "the only snapshot; there is no refs/main")


def _absent(repository: Repository, problem: str) -> NoSnapshotError:
    present = _described(repository, list(repository.snapshots))
    if present:
        problem += f" (here: {present})"
    if repository.unfinished:
        problem += f", unfinished downloads: {repository.unfinished}"
    return NoSnapshotError(problem, file=repository.folder)


def _several(repository: Repository, commits: list[str], why: str) -> UsageError:
    return UsageError(
        f"{len(commits)} snapshots {why}: {_described(repository, commits)}",
        file=repository.folder,
        todo="choose one with --revision",
    )


def _described(repository: Repository, commits: list[str]) -> str:
    """Commits, with the references that point to them."""
    texts = []
    for commit in sorted(commits):
        references = [name for name, target in repository.references.items() if target == commit]
        texts.append(f"{commit} ({', '.join(references)})" if references else commit)
    return ", ".join(texts[:10]) + (", …" if len(texts) > 10 else "")


def _entries(folder: Path) -> list[Path]:
    return sorted(folder.iterdir()) if folder.is_dir() else []


def _references(folder: Path) -> Iterator[tuple[str, str]]:
    """References by name; those of pull requests have slashes in theirs."""
    for root, _, files in os.walk(folder):
        for file in files:
            path = Path(root) / file
            if not path.is_file():
                continue
            with path.open("rb") as opened:
                commit = opened.read(_LONGEST_REFERENCE).decode("ascii", "replace").strip()
            yield path.relative_to(folder).as_posix(), commit
