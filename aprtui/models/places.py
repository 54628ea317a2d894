"""The places a model may lie in, each looked into by itself: what was found there, or in one phrase why nothing was."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from aprtui.core.errors import AprtuiError, UsageError
from aprtui.formats.model import open_model
from aprtui.models.hub import (
    PREFIX,
    NoSnapshotError,
    choose_snapshot,
    commit_of,
    is_repository,
    read_repository,
    repository_folder,
)
from aprtui.models.pacha import files_of, pulled_files

# apr-qa keeps each format of a model in a folder of its own; the model as published is SafeTensors.
_FORMAT_FOLDERS = ("safetensors", "gguf", "apr")


@dataclass(frozen=True, slots=True)
class Found:
    """A model: its path, why this one in a phrase, and its commit where that is known."""

    path: Path
    how: str
    commit: str | None = None


@dataclass(frozen=True, slots=True)
class Nothing:
    """Why a place has no model to offer; `damaged` where a download would mend what is there."""

    why: str
    damaged: bool = False


def at_path(path: Path, revision: str | None) -> Found:
    """The model at a path that somebody named: a file, a directory, a repository or snapshot of the hub's cache.

    Raises:
        AprtuiError: There is none, or its repository has no such snapshot.
        UsageError: It is not of the revision that was asked for, or has none.
    """
    if not exists(path):
        raise AprtuiError("there is no such model", file=path)
    if is_repository(path):
        snapshot = choose_snapshot(read_repository(path), revision)
        return Found(snapshot.path, snapshot.how, snapshot.commit)
    commit = commit_of(path)
    if revision is not None and (commit is None or not commit.startswith(revision)):
        is_what = "no snapshot of the Hugging Face cache" if commit is None else f"the snapshot of commit {commit}"
        raise UsageError(f"revision {revision} was asked for, but this is {is_what}", file=path)
    if path.is_dir() and (folder := _format_folder(path)) is not None:
        return Found(folder, f"the folder {folder.name} in it", commit)
    return Found(path, "the path itself", commit)


def in_hub_cache(repo: str, revision: str | None) -> Found | Nothing:
    """The snapshot of a repository in the cache of the Hugging Face hub.

    Raises:
        UsageError: Several snapshots fit.
    """
    folder = repository_folder(repo)
    if not folder.is_dir():
        return Nothing("never downloaded: there is no such folder")
    try:
        snapshot = choose_snapshot(read_repository(folder), revision)
    except NoSnapshotError as error:
        return Nothing(error.problem)
    problem = problem_of(snapshot.path)
    if problem is not None:
        return Nothing(f"{snapshot.how} is commit {snapshot.commit}, but {problem}", damaged=True)
    return Found(snapshot.path, snapshot.how, snapshot.commit)


def in_folder(folder: Path, repo: str, revision: str | None) -> Found | Nothing:
    """A repository in a folder of models: as ORG/NAME, as NAME, or as the hub's cache lays it out."""
    hub = folder / f"{PREFIX}{repo.replace('/', '--')}"
    if is_repository(hub):
        try:
            return at_path(hub, revision)
        except NoSnapshotError as error:
            return Nothing(error.problem)
    for name in dict.fromkeys((repo, repo.rpartition("/")[2])):
        if exists(folder / name):
            return in_directory(folder / name, revision)
    return Nothing(f"holds neither {repo} nor {repo.rpartition('/')[2]}" if folder.is_dir() else "no such folder")


def in_directory(directory: Path, revision: str | None) -> Found | Nothing:
    """The model in a directory that is called after it, or in a folder of one format below."""
    if not directory.is_dir():
        return Nothing("there is no such folder")
    if revision is not None:
        return Nothing("passed over: revisions are not known there")
    folder = _format_folder(directory)
    if folder is not None:
        return Found(folder, f"the folder {folder.name} of {directory.name}")
    problem = problem_of(directory)
    return Found(directory, f"the folder {directory.name}") if problem is None else Nothing(problem)


def in_pacha(repo: str, revision: str | None) -> Found | Nothing:
    """The file that `apr pull` fetched from a repository."""
    try:
        pulled = pulled_files()
    except AprtuiError as error:
        return Nothing(error.problem)
    files = files_of(repo, pulled)
    if not files:
        others = files_of(f"{repo}-GGUF", pulled)
        also = f"; it has {', '.join(sorted(others))} of {repo}-GGUF, which is another repository" if others else ""
        return Nothing(f"the manifest names no file of this repository{also}")
    if revision is not None:
        return Nothing("passed over: revisions are not known there")
    published = {name: path for name, path in files.items() if name.endswith(".safetensors")} or files
    if len(published) > 1:
        return Nothing(f"several files: {', '.join(sorted(published))}; name one with --model")
    ((name, path),) = published.items()
    problem = problem_of(path) if exists(path) else f"{path} is gone"
    return Found(path, f"{name} in the manifest") if problem is None else Nothing(f"{name}: {problem}")


def exists(path: Path) -> bool:
    """Whether anything is at a path; False for names that the system does not take."""
    try:
        path.stat()
    except (OSError, ValueError):
        return False
    return True


def problem_of(path: Path) -> str | None:
    """Why the model at a path cannot be opened; None where it can be."""
    try:
        open_model(path)
    except AprtuiError as error:
        return error.problem
    return None


def _format_folder(directory: Path) -> Path | None:
    """The first folder per format with a model in it, where the directory holds no model itself."""
    folders = [directory / name for name in _FORMAT_FOLDERS if (directory / name).is_dir()]
    if not folders or problem_of(directory) is None:
        return None
    return next((folder for folder in folders if problem_of(folder) is None), None)
