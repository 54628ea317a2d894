"""Fixtures in Hugging Face form with some tensors and keys of config.json changed."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import torch
from fixture_files import FIXTURES
from safetensors.torch import load_file, save_file


def edited(
    name: str | Path, folder: Path, change: Callable[[dict[str, torch.Tensor]], None] = lambda _: None, **keys
) -> Path:
    """A copy of a fixture, or of a directory, whose tensors `change` has changed, with other keys of config.json."""
    original = name if isinstance(name, Path) else FIXTURES / name / "hf"
    shutil.copytree(original, folder, copy_function=shutil.copyfile)
    tensors = load_file(folder / "model.safetensors")
    change(tensors)
    plain = {key: tensor.contiguous().clone() for key, tensor in tensors.items()}
    save_file(plain, folder / "model.safetensors", {"format": "pt"})
    config = json.loads((folder / "config.json").read_bytes())
    (folder / "config.json").write_text(json.dumps(config | keys), encoding="utf-8")
    return folder


def rows(tokens: int) -> Callable[[dict[str, torch.Tensor]], None]:
    """Give the embedding this many rows: the last are cut, or rows of zeros added."""

    def change(tensors: dict[str, torch.Tensor]) -> None:
        (name,) = (each for each in tensors if each.endswith("embed_tokens.weight"))
        old = tensors[name]
        tensors[name] = torch.cat([old[:tokens], old.new_zeros(max(0, tokens - len(old)), old.shape[1])])

    return change
