"""`aprtui init MODEL`: a playbook for a model, with the numbers that the model states itself."""

from __future__ import annotations

import os
import re
from pathlib import Path

import click

from aprtui.core.errors import AprtuiError, UsageError
from aprtui.core.safe_text import safe_text
from aprtui.formats.model import Model, open_model
from aprtui.models import Wanted, resolve_model
from aprtui.models.hub import is_repository_name, repository_folder
from aprtui.playbook.draft import Draft, size_category
from aprtui.settings import load_settings

_EXPECTED = {
    "expected_hidden_dim": "hidden_size",
    "expected_num_layers": "num_hidden_layers",
    "expected_num_heads": "num_attention_heads",
    "expected_num_kv_heads": "num_key_value_heads",
    "expected_vocab_size": "vocab_size",
    "expected_intermediate_dim": "intermediate_size",
}
_CACHED = re.compile(r"models--(?P<organisation>[\w.-]+?)--(?P<name>[\w.-]+)")
_SUFFIX = ".playbook.yaml"


@click.command(name="init")
@click.argument("model")
@click.option("-o", "--output", type=click.Path(path_type=Path), help=f"File to write.  [default: NAME{_SUFFIX}]")
def command(model: str, output: Path | None) -> int:
    """Write a playbook for MODEL: a file or directory, or a repository (org/name) on this machine.

    A file that is already there is never overwritten.

    Exit codes: 0 written, 2 the file exists, 3 the model is not here or cannot be read, or the file not be written.
    """
    path, repository = find(model)
    opened = open_model(path)
    name = _name(repository or _own_name(path))
    file = output or Path(f"{name}{_SUFFIX}")
    write_new(file, draft(opened, name, repository, file).text())
    click.echo(f"wrote {safe_text(file)}")
    click.echo(f"run it: aprtui run {safe_text(file)} --converter builtin")
    return 0


def find(model: str) -> tuple[Path, str | None]:
    """The model, and its repository where the Hugging Face cache says so.

    Raises:
        AprtuiError: It is not on this machine.
    """
    path = Path(model)
    if path.exists():
        match = next(filter(None, map(_CACHED.fullmatch, reversed(path.absolute().parts))), None)
        return path, f"{match['organisation']}/{match['name']}" if match else None
    if not is_repository_name(model):
        raise AprtuiError("no model here, and this is not the name of a repository (ORG/NAME)", file=model)
    return resolve_model(Wanted(model), load_settings().model_folders).path, model


def draft(model: Model, name: str, repository: str | None, file: Path) -> Draft:
    """The playbook of a model.

    Args:
        model: The model.
        name: Name of the playbook.
        repository: Repository of the model, if it is known.
        file: Where the playbook will lie; a model outside the cache is named from there.
    """
    parameters = sum(tensor.elements for tensor in model.tensors.values() if not tensor.is_placeholder)
    in_cache = repository is not None and repository_folder(repository).is_dir()
    numbers = {key: model.config.values.get(canonical) for key, canonical in _EXPECTED.items()}
    return Draft(
        name=name,
        comment=(f"Written by aprtui init from a model in {model.format.value}.",),
        description=f"Conversions of {repository or name} between SafeTensors, GGUF and APR",
        hf_repo=repository or f"local/{name}",
        local_path=None if in_cache else _local_path(model.path, file),
        size_category=size_category(parameters),
        family=model.architecture,
        expected={key: number for key, number in numbers.items() if type(number) is int},
    )


def write_new(file: Path, text: str) -> None:
    """Write a file that does not exist yet.

    Raises:
        UsageError: It exists.
        AprtuiError: It cannot be written.
    """
    try:
        with file.open("x", encoding="utf-8") as out:
            out.write(text)
    except FileExistsError:
        raise UsageError("it exists, and is not overwritten", file=file, todo="name another file with -o") from None
    except OSError as error:
        raise AprtuiError(f"cannot be written: {error.strerror}", file=file) from None


def _own_name(path: Path) -> str:
    absolute = path.absolute()
    return absolute.name if absolute.is_dir() else absolute.stem


def _name(text: str) -> str:
    """A playbook's name: lower case, digits, dots and hyphens."""
    return re.sub(r"[^a-z0-9.]+", "-", text.rpartition("/")[2].lower()).strip("-.")[:100] or "model"


def _local_path(model: Path, file: Path) -> str:
    """From the playbook to the model: relative where the model lies in the playbook's folder or one above it."""
    folder, target = file.absolute().parent, model.absolute()
    same_drive = folder.anchor == target.anchor
    near = same_drive and len(Path(os.path.commonpath([folder, target])).parts) > 1
    return Path(os.path.relpath(target, folder)).as_posix() if near else str(target)
