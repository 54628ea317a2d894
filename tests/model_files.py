"""Opens the headers of test models, and writes directories in Hugging Face form."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

from aprtui.formats.apr import read_apr
from aprtui.formats.container import Container, Format
from aprtui.formats.gguf import read_gguf
from aprtui.formats.huggingface import find_model_files
from aprtui.formats.safetensors import read_safetensors

_READERS = {Format.GGUF: read_gguf, Format.APR: read_apr, Format.SAFETENSORS: read_safetensors}
_FILE_NAMES = {"jinja": "chat_template.jinja", "sentencepiece": "tokenizer.model", "merges": "merges.txt"}


def container(path: Path) -> Container:
    files = find_model_files(path)
    return replace(_READERS[files.format](files.primary), companions=files.companions)


def hugging_face(folder: Path, **files: object) -> Container:
    """A directory with one tensor; a keyword `config` writes config.json, text and bytes are written as they are."""
    folder.mkdir(parents=True, exist_ok=True)
    save_file({"model.norm.weight": np.ones(4, np.float32)}, folder / "model.safetensors")
    for name, content in files.items():
        if isinstance(content, bytes | str):
            path = folder / _FILE_NAMES.get(name, f"{name}.json")
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
        else:
            (folder / f"{name}.json").write_text(json.dumps(content), encoding="utf-8")
    return container(folder)


def with_metadata(original: Container, **changes: object) -> Container:
    """Header keys changed, or removed where the value is None; dots in names are written as `__`."""
    metadata = {**original.metadata, **{name.replace("__", "."): value for name, value in changes.items()}}
    return replace(original, metadata={name: value for name, value in metadata.items() if value is not None})
