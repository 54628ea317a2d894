"""Every model on this machine, told from headers: format, architecture, size, types, and what it lacks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from aprtui.core.errors import AprtuiError
from aprtui.formats.container import Format
from aprtui.formats.model import Model, open_model
from aprtui.models.hub import Repository, commit_of, read_repository
from aprtui.models.pacha import pulled_files
from aprtui.models.walk import Candidate, Walk
from aprtui.paths import apr_models_cache, apr_pull_cache, huggingface_cache, pacha_cache

_TOKENIZERS = {"tokenizer.json", "tokenizer.model", "vocab.json"}


@dataclass(frozen=True, slots=True)
class Place:
    """A folder that models are looked for in, and what it is."""

    name: str
    path: Path


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """What the headers of a model say.

    Attributes:
        format: Told by content.
        architecture: "unknown" where the model names none.
        parameters: Elements of all tensors that are stored.
        nbytes: Bytes of the tensors.
        tensors: Number of tensors by type, the most frequent first.
        lacks: What files of its format usually come with and this one does not.
    """

    format: Format
    architecture: str
    parameters: int
    nbytes: int
    tensors: Mapping[str, int]
    lacks: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ListedModel:
    """A model, or what is left of one.

    Attributes:
        path: What to open.
        facts: None where it cannot be opened.
        problem: Why it cannot be opened; empty where it can.
        name: What its cache calls it ("org/name", a name of apr's manifest); empty outside caches.
        commit: Commit of its snapshot.
        references: Branches, tags and pull requests that point to this commit.
    """

    path: Path
    facts: ModelFacts | None = None
    problem: str = ""
    name: str = ""
    commit: str | None = None
    references: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Listing:
    """The models of one place; `note` says why not everything in it was looked at, empty where it was."""

    place: Place
    models: tuple[ListedModel, ...]
    note: str = ""


def model_places(folders: Sequence[Path] = (), origin: str = "") -> tuple[Place, ...]:
    """The caches of this machine, then folders of the settings.

    Args:
        folders: The folders.
        origin: Where they were set.
    """
    caches = (
        Place("Hugging Face cache", huggingface_cache()),
        Place("apr's cache of single files", pacha_cache()),
        Place("apr's cache of sharded models", apr_pull_cache()),
        Place("apr-qa's cache", apr_models_cache()),
    )
    return (*caches, *(Place(f"model folder ({origin})", folder) for folder in folders))


def list_models(places: Sequence[Place]) -> Iterator[Listing]:
    """Open the headers of every model, place by place; what lies in two places is listed in the first."""
    walk = Walk()
    for place in places:
        if not place.path.is_dir():
            yield Listing(place, (), "there is no such folder")
            continue
        models = [_listed(candidate) for candidate in walk.candidates(place.path)]
        models += [_without_model(folder) for folder in walk.snapshots if not _is_above_any(folder, models)]
        named = _NamedByCaches(walk.repositories)
        models += [_unfinished(repository) for repository in named.repositories.values() if not repository.snapshots]
        yield Listing(place, tuple(named.with_name(model) for model in models), walk.cut_off)


def _listed(candidate: Candidate) -> ListedModel:
    if candidate.problem:
        return ListedModel(candidate.path, problem=candidate.problem)
    try:
        return ListedModel(candidate.path, _facts(open_model(candidate.path)))
    except AprtuiError as error:
        return ListedModel(candidate.path, problem=error.problem)
    except Exception as error:
        # One hostile header must not hide the other models.
        return ListedModel(candidate.path, problem=f"aprtui failed: {type(error).__name__}: {error}")


def _facts(model: Model) -> ModelFacts:
    stored = [tensor for tensor in model.tensors.values() if not tensor.is_placeholder]
    lacks = []
    if model.format is Format.SAFETENSORS:
        companions = set(model.container.companions)
        lacks += [] if "config.json" in companions else ["config.json"]
        lacks += [] if companions & _TOKENIZERS else ["tokenizer"]
    lacks += [f"data of {tensor.name}" for tensor in stored if not tensor.readable][:1]
    return ModelFacts(
        format=model.format,
        architecture=model.architecture,
        parameters=sum(tensor.elements for tensor in stored),
        nbytes=sum(tensor.nbytes for tensor in stored),
        tensors=dict(Counter(tensor.dtype.value for tensor in stored).most_common()),
        lacks=tuple(lacks),
    )


def _without_model(snapshot: Path) -> ListedModel:
    """A snapshot in which no file looks like a model; says what it holds instead."""
    try:
        open_model(snapshot)
    except AprtuiError as error:
        return ListedModel(snapshot, problem=error.problem)
    return ListedModel(snapshot, problem="no model was found in it")


def _is_above_any(folder: Path, models: Sequence[ListedModel]) -> bool:
    return any(model.path == folder or folder in model.path.parents for model in models)


def _unfinished(repository: Repository) -> ListedModel:
    downloads = f", unfinished downloads: {repository.unfinished}" if repository.unfinished else ""
    return ListedModel(repository.folder, problem=f"it holds no snapshot{downloads}", name=repository.name)


class _NamedByCaches:
    """What the caches call their files.

    Args:
        repositories: Repositories of the hub's cache, by folder.
    """

    def __init__(self, repositories: Sequence[Path]) -> None:
        self.repositories: dict[Path, Repository] = {}
        for folder in repositories:
            with suppress(AprtuiError):
                self.repositories[folder] = read_repository(folder)
        self._pulled: dict[Path, str] = {}
        with suppress(AprtuiError):
            self._pulled = {path: name for name, path in pulled_files().items()}

    def with_name(self, model: ListedModel) -> ListedModel:
        """The model with its name, commit and references, where a cache knows them."""
        commit = commit_of(model.path)
        known = self.repositories
        repository = next((known[folder] for folder in model.path.parents if folder in known), None)
        if commit is None or repository is None:
            return replace(model, name=model.name or self._pulled.get(model.path, ""))
        references = tuple(name for name, target in repository.references.items() if target == commit)
        return replace(model, name=repository.name, commit=commit, references=references)
