"""The built-in converter behind the protocol of all converters."""

from __future__ import annotations

import shlex
from pathlib import Path

import xxhash

import aprtui
from aprtui.convert.builtin.product import write_product
from aprtui.convert.converter import ConverterIdentity
from aprtui.core.errors import UsageError
from aprtui.formats.container import Format
from aprtui.formats.model import open_model
from aprtui.formats.output_types import OutputTypes

_SUFFIXES = {Format.GGUF: ".gguf", Format.APR: ".apr"}
_PACKAGE = Path(aprtui.__file__).parent
_PARTS = ("convert", "formats")


class BuiltinConverter:
    """Converts between SafeTensors, GGUF and APR in bounded memory."""

    @property
    def identity(self) -> ConverterIdentity:
        """The package; its digest covers every source file that a conversion depends on."""
        digest = xxhash.xxh3_128()
        for part in _PARTS:
            for file in sorted((_PACKAGE / part).rglob("*")):
                if file.suffix in (".py", ".json"):
                    digest.update(file.relative_to(_PACKAGE).as_posix().encode() + b"\0" + file.read_bytes())
        return ConverterIdentity("builtin", _PACKAGE, aprtui.__version__, f"xxh3:{digest.hexdigest()}")

    @property
    def parallel_safe(self) -> bool:
        """Conversions share nothing."""
        return True

    def not_offered(self, source: Path, target: Format, asked_for: OutputTypes) -> str | None:
        """Nothing: it has every way; an output type that a format cannot hold is refused by `convert`."""
        return None

    def convert(self, source: Path, target: Format, destination: Path, asked_for: OutputTypes) -> Path:
        """Convert a model; see `Converter.convert`."""
        product = _product_path(target, destination)
        write_product(open_model(source), target, product, asked_for)
        return product

    def command(self, source: Path, target: Format, destination: Path, asked_for: OutputTypes) -> str:
        """The command line that makes the same product."""
        product = _product_path(target, destination)
        return shlex.join(["aprtui", "convert", str(source), str(product), "--outtype", asked_for.text])


def _product_path(target: Format, destination: Path) -> Path:
    return destination / f"model{_SUFFIXES[target]}" if target in _SUFFIXES else destination


def format_of_destination(path: Path) -> Format:
    """The format that a destination's name asks for: .gguf, .apr, else a directory of SafeTensors.

    Raises:
        UsageError: A single SafeTensors file, which has no place for configuration and tokenizer.
    """
    suffix = path.suffix.lower()
    if suffix == ".safetensors":
        raise UsageError(
            "SafeTensors keeps configuration and tokenizer in files of their own",
            file=path,
            todo="name a directory instead",
        )
    return next((format_ for format_, known in _SUFFIXES.items() if suffix == known), Format.SAFETENSORS)
