"""Finds the files of a model from the path that a user names: a file, or a directory of one of the known shapes.

A directory may be one in Hugging Face form, a repository or snapshot of the Hugging Face cache, apr's cache (where
files share a hash in front of their names), or any directory with one model file in it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from aprtui.core.errors import AprtuiError, FormatError, UsageError
from aprtui.formats.bytes import is_file
from aprtui.formats.container import Format
from aprtui.formats.detect import detect_format
from aprtui.formats.gguf.split import first_part
from aprtui.formats.safetensors.reader import INDEX_SUFFIX, shard_names

__all__ = ["COMPANIONS", "ModelFiles", "detect_format", "find_model_files"]

COMPANIONS = (
    "config.json",
    "generation_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "chat_template.jinja",
    "tokenizer.model",
    "added_tokens.json",
    "vocab.json",
    "merges.txt",
)
TEMPLATE_FOLDER = "additional_chat_templates"
"""Where chat templates with a name stand, one NAME.jinja each (transformers' `CHAT_TEMPLATE_DIR`)."""
_SINGLE = "model.safetensors"
_INDEX = "model.safetensors.index.json"
_PICKLES = (".bin", ".pt", ".pth", ".ckpt")
_CACHE_REPOSITORY = "models--"
_SHARD = re.compile(r"(?P<model>.+)-\d{5}-of-(?P<count>\d{5})\.safetensors", re.DOTALL)


@dataclass(frozen=True, slots=True)
class ModelFiles:
    """The files of one model.

    Attributes:
        path: What the user named.
        format: Told by content.
        primary: What the reader of the format opens: the model file, a SafeTensors index, a part of a split GGUF.
        companions: Files beside the model by name, as in `COMPANIONS`; those of apr's cache without their hash. Named
            chat templates stand under "additional_chat_templates/NAME.jinja".
    """

    path: Path
    format: Format
    primary: Path
    companions: Mapping[str, Path] = field(default_factory=dict)


def find_model_files(path: Path) -> ModelFiles:
    """The files of the model at a path.

    Args:
        path: A model file, a SafeTensors index, or a directory.

    Raises:
        AprtuiError: The path does not exist or may not be read.
        FormatError: It holds no model in one of the three formats, or an incomplete one.
        UsageError: The directory holds several models.
    """
    try:
        primary = _in_directory(_snapshot(path), path) if path.is_dir() else _whole(path)
    except OSError as error:
        raise AprtuiError(f"it cannot be read: {error.strerror}", file=path) from None
    format_ = Format.SAFETENSORS if primary.name.endswith(INDEX_SUFFIX) else detect_format(primary)
    return ModelFiles(path, format_, primary, _companions(primary, format_))


def _snapshot(directory: Path) -> Path:
    """The snapshot that a repository of the Hugging Face cache stands for; any other directory is itself."""
    snapshots = directory / "snapshots"
    if not directory.name.startswith(_CACHE_REPOSITORY) or not snapshots.is_dir():
        return directory
    try:
        revision = (directory / "refs" / "main").read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        revision = ""
    found = sorted(entry for entry in snapshots.iterdir() if entry.is_dir())
    named = [entry for entry in found if entry.name == revision] or found
    if len(named) == 1:
        return named[0]
    if not named:
        raise FormatError("the cache holds no snapshot of this model", file=directory, todo="fetch the model again")
    raise _several(directory, named, "snapshots")


def _in_directory(directory: Path, named: Path) -> Path:
    """The one model in a directory; `named` is what the user named, for errors."""
    entries = sorted(directory.iterdir())
    files = {entry.name: entry for entry in entries if is_file(entry)}
    for name in (_SINGLE, _INDEX):
        if name in files:
            return files[name]
    broken = sorted(entry.name for entry in entries if entry.is_symlink() and not entry.exists())
    candidates = [
        [entry for name, entry in files.items() if name.endswith(INDEX_SUFFIX)],
        [entry for name, entry in files.items() if name.endswith(".safetensors")],
        sorted({first_part(entry) for name, entry in files.items() if name.endswith(".gguf")}),
        [entry for name, entry in files.items() if name.endswith(".apr")],
    ]
    models = next(filter(None, candidates), [])
    if any(name.endswith((".safetensors", ".gguf", ".apr", INDEX_SUFFIX)) for name in broken):
        problem = f"incomplete snapshot: {', '.join(broken)} point to files that are missing"
        raise FormatError(problem, file=named, todo="fetch the model again")
    if not models:
        raise _none(named, files)
    if len(models) == 1 and not is_shard(models[0]):
        return models[0]
    if all(is_shard(entry) for entry in models):
        problem = f"incomplete snapshot: {_INDEX} is missing beside {len(models)} shards"
        raise FormatError(problem, file=named, todo="fetch the index of the model")
    raise _several(named, sorted(models), "models")


def is_shard(path: Path) -> bool:
    """Whether a file is one of several that need an index, by its name."""
    match = _SHARD.fullmatch(path.name)
    return match is not None and int(match["count"]) > 1


def _whole(path: Path) -> Path:
    """The index of the sharded model that a shard belongs to; any other file is itself."""
    match = _SHARD.fullmatch(path.name)
    if match is None:
        return path
    index = path.with_name(f"{match['model']}{INDEX_SUFFIX}")
    try:
        return index if is_file(index) and path.name in shard_names(index) else path
    except AprtuiError:
        return path


def _companions(primary: Path, format_: Format) -> dict[str, Path]:
    """Companions of a model file.

    Those that share its hash in apr's cache go before those without one, which may be of another model. Without a
    hash, companions belong to SafeTensors only: the other formats carry their own metadata, and are judged by it.
    """
    hashed = {name: primary.with_name(f"{primary.stem}.{name}") for name in COMPANIONS}
    plain = {name: primary.with_name(name) for name in COMPANIONS}
    found = {name: path for name, path in hashed.items() if is_file(path)}
    if not found and format_ is Format.SAFETENSORS:
        found = {name: path for name, path in plain.items() if is_file(path)}
        templates = sorted((primary.parent / TEMPLATE_FOLDER).glob("*.jinja"))
        found |= {f"{TEMPLATE_FOLDER}/{path.name}": path for path in templates if is_file(path)}
    return found


def _none(directory: Path, files: Mapping[str, Path]) -> AprtuiError:
    pickles = sorted(name for name in files if name.endswith(_PICKLES))
    if pickles:
        return FormatError(
            f"the directory holds a model as pickle only ({pickles[0]}), which aprtui does not open: "
            "it can run code while it is read",
            file=directory,
            todo="load it with transformers and save it with save_pretrained(..., safe_serialization=True)",
        )
    if "config.json" in files:
        return FormatError("incomplete snapshot: model.safetensors is missing", file=directory, todo="fetch the model")
    todo = "name a model file, or a directory with one"
    return FormatError("the directory holds no model (.safetensors, .gguf or .apr)", file=directory, todo=todo)


def _several(directory: Path, found: list[Path], what: str) -> UsageError:
    names = ", ".join(entry.name for entry in found[:10]) + (", …" if len(found) > 10 else "")
    return UsageError(f"the directory holds {len(found)} {what}: {names}", file=directory, todo="name one of them")
