"""Which model on this machine a playbook means, and why: every place that was tried, with its outcome.

The first of these that has it: the path named on the command line, the playbook's `local_path`, the cache of the
Hugging Face hub, the folders of the settings, apr's caches.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

from aprtui.core.errors import AprtuiError
from aprtui.models.download import download_command, download_model
from aprtui.models.hub import NoSnapshotError, commit_of, is_repository, is_repository_name, repository_folder
from aprtui.models.places import Found, Nothing, at_path, exists, in_directory, in_folder, in_hub_cache, in_pacha
from aprtui.paths import apr_models_cache, apr_pull_cache, pacha_cache


class Tried(NamedTuple):
    """A place, and what came of looking there."""

    place: str
    outcome: str


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is asked for.

    Attributes:
        repo: Repository on Hugging Face ("org/name"); may be a mere label where a path is given.
        local_path: The playbook's own path, if it names one.
        named: The path named on the command line, if any.
        revision: The branch, tag or commit that was asked for, if any.
    """

    repo: str
    local_path: Path | None = None
    named: Path | None = None
    revision: str | None = None


@dataclass(frozen=True, slots=True)
class ResolvedModel:
    """The model that is meant.

    Attributes:
        path: What to open.
        how: The place it was found in, and why it is this one.
        commit: Commit of its snapshot; None where it is not known.
        tried: The places that were tried, this one last.
    """

    path: Path
    how: str
    commit: str | None
    tried: tuple[Tried, ...]


@dataclass(frozen=True, slots=True)
class Search:
    """The outcome of a search: a model, or the problem to raise and whether a download would solve it."""

    tried: tuple[Tried, ...]
    model: ResolvedModel | None = None
    problem: AprtuiError | None = None
    can_be_downloaded: bool = False


def search_model(wanted: Wanted, folders: Sequence[Path] = ()) -> Search:
    """Look in one place after another.

    Args:
        wanted: What is asked for.
        folders: Folders of models from the settings.
    """
    tried: list[Tried] = []
    damaged: list[Tried] = []
    for place, look in _places(wanted, folders):
        try:
            outcome = look()
        except AprtuiError as error:
            if isinstance(error, NoSnapshotError):
                error = AprtuiError(error.problem, file=error.file, todo=_todo(wanted))
            return Search((*tried, Tried(place, error.problem)), problem=error)
        if isinstance(outcome, Found):
            commit = f", commit {outcome.commit}" if outcome.commit else ""
            tried.append(Tried(place, f"found: {outcome.how}{commit}"))
            how = f"{place}: {outcome.how}"
            return Search(tuple(tried), ResolvedModel(outcome.path, how, outcome.commit, tuple(tried)))
        tried.append(Tried(place, outcome.why))
        if outcome.damaged:
            damaged.append(tried[-1])
    return Search(tuple(tried), problem=_absent(wanted, damaged), can_be_downloaded=is_repository_name(wanted.repo))


def resolve_model(wanted: Wanted, folders: Sequence[Path] = (), *, download: bool = False) -> ResolvedModel:
    """The model that is meant.

    Args:
        wanted: What is asked for.
        folders: Folders of models from the settings.
        download: Fetch its repository where the model is in none of the places.

    Raises:
        AprtuiError: It is not on this machine; says how to get it.
        UsageError: Several snapshots fit, or the path that was named is of another revision.
    """
    search = search_model(wanted, folders)
    if download and search.can_be_downloaded:
        download_model(wanted.repo, wanted.revision)
        search = search_model(wanted, folders)
    if search.problem is not None:
        raise search.problem
    assert search.model is not None
    return search.model


def _places(wanted: Wanted, folders: Sequence[Path]) -> Iterator[tuple[str, Callable[[], Found | Nothing]]]:
    repo, revision = wanted.repo, wanted.revision
    yield "--model", partial(_named, wanted)
    yield "local_path of the playbook", partial(_local, wanted)
    if not is_repository_name(repo):
        yield "Hugging Face", lambda: Nothing(f"{repo!r} is not the name of a repository (ORG/NAME)")
        return
    yield f"Hugging Face cache, {repository_folder(repo)}", partial(in_hub_cache, repo, revision)
    for folder in folders:
        yield f"model folder {folder}", partial(in_folder, folder, repo, revision)
    yield f"apr's cache, {pacha_cache()}", partial(in_pacha, repo, revision)
    # apr-qa's certifier writes "Qwen2.5-Coder" as "qwen2-5-coder".
    short = repo.rpartition("/")[2].lower().replace(".", "-")
    for directory in dict.fromkeys((apr_pull_cache() / repo, apr_models_cache() / repo, apr_models_cache() / short)):
        yield f"apr's cache, {directory}", partial(in_directory, directory, revision)


def _named(wanted: Wanted) -> Found | Nothing:
    return Nothing("not given") if wanted.named is None else at_path(wanted.named, wanted.revision)


def _local(wanted: Wanted) -> Found | Nothing:
    path, revision = wanted.local_path, wanted.revision
    if path is None:
        return Nothing("not given")
    if not exists(path):
        return Nothing(f"there is no {path}")
    if revision is not None and commit_of(path) is None and not is_repository(path):
        return Nothing(f"passed over: {path} has no revisions, and {revision} was asked for")
    return at_path(path, revision)


def _absent(wanted: Wanted, damaged: Sequence[Tried]) -> AprtuiError:
    if damaged:
        place, outcome = damaged[0]
        return AprtuiError(f"model {wanted.repo} cannot be used: {outcome}", file=place, todo=_todo(wanted))
    revision = f" at revision {wanted.revision}" if wanted.revision else ""
    problem = f"model {wanted.repo}{revision} is not on this machine"
    if wanted.local_path is not None and not exists(wanted.local_path):
        problem += f", and its local_path {wanted.local_path} does not exist"
    return AprtuiError(problem, todo=_todo(wanted))


def _todo(wanted: Wanted) -> str:
    if not is_repository_name(wanted.repo):
        return "name a path with --model"
    return f"name a path with --model or download it with `{download_command(wanted.repo, wanted.revision)}`"
