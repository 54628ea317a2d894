"""Products of the built-in converter, each made once for all tests of this folder."""

from collections.abc import Callable
from pathlib import Path

import pytest
from fixture_files import FIXTURES

from aprtui.convert.builtin import BuiltinConverter
from aprtui.formats.container import Format
from aprtui.formats.model import open_model
from aprtui.formats.output_types import parse_output_type

ARCHITECTURES = Path(__file__).parents[1] / "data/architectures"


@pytest.fixture(scope="session")
def product(tmp_path_factory) -> Callable[..., Path]:
    """`product("qwen2-tiny", Format.GGUF, Format.APR)`: the chain from the checkpoint, as a path to open."""
    made: dict[tuple, Path] = {}

    def make(name: str, *chain: Format) -> Path:
        if not chain:
            folder = FIXTURES / name
            return (folder if folder.is_dir() else ARCHITECTURES / name) / "hf"
        if (name, chain) not in made:
            source = make(name, *chain[:-1])
            folder = tmp_path_factory.mktemp("-".join((name, *chain)).lower())
            made[name, chain] = BuiltinConverter().convert(source, chain[-1], folder, parse_output_type("lossless"))
            assert open_model(made[name, chain]).format is chain[-1]
        return made[name, chain]

    return make
