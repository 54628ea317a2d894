"""`aprtui models`: the models on this machine, and with `--why` how a playbook or a repository comes to its model."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from aprtui.cli import options
from aprtui.cli.output import show
from aprtui.core.errors import UsageError
from aprtui.core.outcomes import ExitCode
from aprtui.core.safe_text import safe_text
from aprtui.models import ListedModel, Listing, Search, Wanted, list_models, model_places, search_model
from aprtui.models.hub import is_repository_name
from aprtui.playbook import load_playbook
from aprtui.settings import Settings, load_settings

_LONGEST = 2000


@click.command(name="models")
@click.argument("folders", metavar="[FOLDER]...", nargs=-1, type=click.Path(path_type=Path))
@click.option("--why", metavar="PLAYBOOK|REPO", help="Say which model a playbook or a repository (ORG/NAME) means.")
@options.named_model
@options.revision
@options.output_format
def command(
    folders: tuple[Path, ...], why: str | None, model: Path | None, revision: str | None, output_format: str
) -> int:
    """List the models on this machine: caches of Hugging Face and apr, and FOLDERs (else those of the settings).

    With --why, say how a playbook's hf_repo, its local_path and --model resolve, and every place that was tried.

    Exit codes: 0 listed or found, 2 wrong settings or playbook, or several snapshots fit, 3 the model is not here.
    """
    for folder in folders:
        if not folder.is_dir():
            raise UsageError("there is no such folder", file=folder)
    settings = load_settings(folders)
    if why is not None:
        return _explain(_wanted(why, model, revision), settings, output_format)
    if model is not None or revision is not None:
        raise UsageError("--model and --revision go with --why", todo="name a playbook or a repository with --why")
    listings = list_models(model_places(settings.model_folders, settings.origin))
    if output_format == "json":
        show(json.dumps([listing_to_json(listing) for listing in listings], indent=2))
    else:
        for listing in listings:
            show("\n".join(listing_lines(listing)))
    return int(ExitCode.PASSED)


def listing_lines(listing: Listing) -> Iterator[str]:
    """One place: each model with its path, so that it can be copied, and its facts below."""
    yield f"{safe_text(listing.place.name)}: {safe_text(listing.place.path)}"
    for model in listing.models:
        yield from _model_lines(model)
    if listing.note:
        yield f"  {safe_text(listing.note, _LONGEST)}"
    elif not listing.models:
        yield "  no models"


def _model_lines(model: ListedModel) -> Iterator[str]:
    path, facts = safe_text(model.path, _LONGEST), model.facts
    if facts is None:
        yield f"  {path}: {safe_text(model.problem, _LONGEST)}"
        return
    yield f"  {path}"
    if model.name:
        references = f" ({', '.join(model.references)})" if model.references else ""
        commit = f" at {model.commit}{references}" if model.commit else ""
        yield f"      {safe_text(model.name + commit)}"
    types = ", ".join(f"{dtype} ({count})" for dtype, count in facts.tensors.items())
    size = f"{facts.parameters:,} parameters, {facts.nbytes:,} bytes"
    yield f"      {facts.format}, {safe_text(facts.architecture)}, {size}, {types}"
    if facts.lacks:
        yield f"      lacks: {safe_text(', '.join(facts.lacks))}"


def search_lines(wanted: Wanted, search: Search) -> Iterator[str]:
    """Every place that was tried, and what it comes to."""
    revision = f" at revision {wanted.revision}" if wanted.revision else ""
    yield safe_text(f"looking for {wanted.repo}{revision}")
    for place, outcome in search.tried:
        yield f"  {safe_text(place, _LONGEST)}: {safe_text(outcome, _LONGEST)}"
    if search.problem is not None:
        yield safe_text(search.problem.message, _LONGEST)
    if search.model is not None:
        yield f"model: {safe_text(search.model.path, _LONGEST)}"
        yield f"commit: {safe_text(search.model.commit or 'not known')}"


def listing_to_json(listing: Listing) -> dict[str, Any]:
    """One place as JSON values."""
    return {
        "place": listing.place.name,
        "path": str(listing.place.path),
        "note": listing.note,
        "models": [_model_to_json(model) for model in listing.models],
    }


def _model_to_json(model: ListedModel) -> dict[str, Any]:
    facts = model.facts
    known = None
    if facts is not None:
        known = {
            "format": facts.format.value,
            "architecture": facts.architecture,
            "parameters": facts.parameters,
            "bytes": facts.nbytes,
            "tensors_by_type": dict(facts.tensors),
            "lacks": list(facts.lacks),
        }
    return {
        "path": str(model.path),
        "name": model.name,
        "commit": model.commit,
        "references": list(model.references),
        "problem": model.problem,
        "facts": known,
    }


def search_to_json(wanted: Wanted, search: Search) -> dict[str, Any]:
    """The explanation as JSON values."""
    model, problem = search.model, search.problem
    return {
        "repository": wanted.repo,
        "revision": wanted.revision,
        "tried": [{"place": place, "outcome": outcome} for place, outcome in search.tried],
        "model": None if model is None else {"path": str(model.path), "how": model.how, "commit": model.commit},
        "problem": None if problem is None else problem.message,
    }


def _wanted(why: str, model: Path | None, revision: str | None) -> Wanted:
    """What a playbook or a repository asks for; what exists as a file is a playbook."""
    path = Path(why)
    if path.is_file() or path.suffix in {".yaml", ".yml"} or not is_repository_name(why):
        playbook = load_playbook(path).model
        return Wanted(playbook.hf_repo, playbook.local_path, model, revision)
    return Wanted(why, named=model, revision=revision)


def _explain(wanted: Wanted, settings: Settings, output_format: str) -> int:
    search = search_model(wanted, settings.model_folders)
    if output_format == "json":
        show(json.dumps(search_to_json(wanted, search), indent=2))
    else:
        show("\n".join(search_lines(wanted, search)))
    return int(ExitCode.PASSED if search.problem is None else search.problem.exit_code)
