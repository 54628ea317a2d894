"""Writes a whole product: tensors, metadata and tokenizer in the target's own terms."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from math import prod
from pathlib import Path
from typing import Any

from aprtui.convert.builtin.apr_metadata import apr_metadata
from aprtui.convert.builtin.config_json import config_json, generation_config_json
from aprtui.convert.builtin.facts import ModelFacts, model_facts
from aprtui.convert.builtin.gguf_metadata import gguf_metadata
from aprtui.convert.builtin.tensors import ProductTensor, product_tensors
from aprtui.convert.builtin.tokenizer_json import cannot_rebuild, tokenizer_config_json, tokenizer_json
from aprtui.core.dtypes import DType
from aprtui.core.errors import AprtuiError
from aprtui.formats.apr import write_apr
from aprtui.formats.container import Format
from aprtui.formats.gguf import write_gguf
from aprtui.formats.layout.plan import head_name
from aprtui.formats.model import Model
from aprtui.formats.output import Bytes, TensorToWrite
from aprtui.formats.output_types import OutputTypes
from aprtui.formats.safetensors import write_safetensors

_WEIGHTS = "model.safetensors"

Progress = Callable[[int, int, str], None]


def write_product(
    source: Model, target: Format, path: Path, asked_for: OutputTypes, progress: Progress | None = None
) -> tuple[str, ...]:
    """Convert an opened model.

    Args:
        source: The model.
        target: Format of the product.
        path: The file to write; for SafeTensors the directory, which is made where it does not exist.
        asked_for: The output type.
        progress: Told while tensors are written: elements so far, elements in all, name.

    Returns:
        What the product lacks that the source has, each with the reason.

    Raises:
        AprtuiError: The model cannot be converted, or the product cannot be written.
    """
    return write_tensors(
        source, target, path, product_tensors(source, target, asked_for), asked_for=asked_for, progress=progress
    )


def write_tensors(
    source: Model,
    target: Format,
    path: Path,
    tensors: Sequence[ProductTensor],
    *,
    asked_for: OutputTypes,
    progress: Progress | None = None,
) -> tuple[str, ...]:
    """Write these tensors with what the source says about itself; see `write_product`."""
    to_write = list(_reported([tensor.to_write() for tensor in tensors], progress))
    if target is Format.SAFETENSORS:
        return _write_safetensors(source, path, tensors, to_write)
    facts = model_facts(source, tensors)
    if target is Format.GGUF:
        write_gguf(path, gguf_metadata(facts, tensors, asked_for), to_write)
    else:
        _write_apr(source, facts, path, tensors, to_write)
    tokenizer = facts.tokenizer
    if tokenizer is None and source.tokenizer is not None:
        return (f"tokenizer: the source's {source.tokenizer.stub}",)
    nameless = tokenizer is not None and tokenizer.pre_tokenizer is not None and tokenizer.pre_tokenizer.name is None
    return ("pre-tokenizer: its structure has no name that we know",) if nameless else ()


def _reported(tensors: Sequence[TensorToWrite], progress: Progress | None) -> Iterator[TensorToWrite]:
    """The same tensors; progress hears of each when it is written."""
    total, done = sum(prod(tensor.shape) for tensor in tensors), 0

    def chunks(tensor: TensorToWrite) -> Iterator[Bytes]:
        nonlocal done
        yield from tensor.chunks
        done += prod(tensor.shape)
        if progress is not None:
            progress(done, total, tensor.name)

    for tensor in tensors:
        yield tensor._replace(chunks=chunks(tensor))


def _write_apr(
    source: Model,
    facts: ModelFacts,
    path: Path,
    tensors: Sequence[ProductTensor],
    to_write: list[TensorToWrite],
) -> None:
    """A tied head becomes the placeholder without bytes that apr's own importer writes and its engine looks for."""
    shapes = {tensor.role: tensor.view.shape for tensor in tensors}
    head = head_name(source)
    placeholders = []
    if facts.values.get("tie_word_embeddings") and "output.weight" not in shapes and "token_embd.weight" in shapes:
        placeholders.append(head)
        to_write.append(TensorToWrite(head, DType.F32, shapes["token_embd.weight"], ()))
    metadata = apr_metadata(facts, tensors, source.format.value.lower())
    write_apr(path, metadata, to_write, placeholders=placeholders)


def _write_safetensors(
    source: Model, directory: Path, tensors: Sequence[ProductTensor], to_write: Sequence[TensorToWrite]
) -> tuple[str, ...]:
    """Files beside a SafeTensors source are copied as they are; for the other formats they are built."""
    copied = source.container.companions if source.format is Format.SAFETENSORS else {}
    files: dict[str, Any] = {}
    lacks: tuple[str, ...] = ()
    if source.format is not Format.SAFETENSORS:
        facts = model_facts(source, tensors)
        files = {"config.json": config_json(facts, tensors), "generation_config.json": generation_config_json(facts)}
        tokenizer = facts.tokenizer
        reason = cannot_rebuild(tokenizer) if tokenizer is not None else None
        if reason is not None:
            lacks = (f"tokenizer: {reason}",)
        elif tokenizer is not None:
            files["tokenizer.json"] = tokenizer_json(facts, tokenizer)
            files["tokenizer_config.json"] = tokenizer_config_json(facts, tokenizer)
    try:
        directory.mkdir(parents=True, exist_ok=True)
        _write_files(directory, files, copied)
    except OSError as error:
        raise AprtuiError(f"the product cannot be written: {error.strerror}", file=directory) from None
    write_safetensors(directory / _WEIGHTS, to_write, {"format": "pt"})
    return lacks


def _write_files(directory: Path, files: Mapping[str, Any], copied: Mapping[str, Path]) -> None:
    for name, content in files.items():
        text = json.dumps(content, indent=2, ensure_ascii=False)
        (directory / name).write_bytes((text + "\n").encode("utf-8", "surrogateescape"))
    for name, path in copied.items():
        (directory / name).parent.mkdir(exist_ok=True)
        shutil.copyfile(path, directory / name)
