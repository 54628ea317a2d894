"""The conversions of a run: each is made once, and what is known of it stands in the evidence."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from aprtui.convert import Converter, ConverterIdentity
from aprtui.core.errors import AprtuiError
from aprtui.core.gates import FormatLetter
from aprtui.formats.container import Format
from aprtui.formats.output_types import OutputTypes

FORMATS = {
    FormatLetter.SAFETENSORS: Format.SAFETENSORS,
    FormatLetter.GGUF: Format.GGUF,
    FormatLetter.APR: Format.APR,
}
"""The format that each letter of a gate's id stands for."""


@dataclass(frozen=True, slots=True)
class Conversion:
    """One conversion.

    Attributes:
        commands: Command lines that lead from the run's model to the product.
        converter: Who made it, as it was at that time.
        directory: Where the product is.
        product: What to open; None where the conversion failed.
        failure: Why it failed.
    """

    commands: tuple[str, ...]
    converter: ConverterIdentity
    directory: Path
    product: Path | None = None
    failure: str = ""


class Conversions:
    """Makes conversions and keeps those of the run's own model, which other gates start from.

    Args:
        converter: The converter under test.
        scratch: An existing directory.
    """

    def __init__(self, converter: Converter, scratch: Path) -> None:
        self._converter = converter
        self._scratch = scratch
        self._kept: dict[FormatLetter, Conversion] = {}

    def of_root(self, root: Path, target: FormatLetter, asked_for: OutputTypes) -> Conversion:
        """The run's model in a format; made when first asked for, always in the same output type."""
        if target not in self._kept:
            self._kept[target] = self._convert((root, target, asked_for), f"root-{target}", ())
        return self._kept[target]

    def of_product(self, source: Conversion, target: FormatLetter, asked_for: OutputTypes) -> Conversion:
        """A product converted once more."""
        assert source.product is not None
        name = f"{source.directory.name.removeprefix('root-')}-{target}"
        return self._convert((source.product, target, asked_for), name, source.commands)

    def discard(self, conversion: Conversion) -> None:
        """Delete a product that no other gate starts from."""
        if conversion not in self._kept.values():
            shutil.rmtree(conversion.directory, ignore_errors=True)

    def _convert(
        self, request: tuple[Path, FormatLetter, OutputTypes], name: str, before: tuple[str, ...]
    ) -> Conversion:
        """A converter that fails, however it fails, is a finding about the converter."""
        source, target, asked_for = request
        directory = self._scratch / name
        directory.mkdir()
        arguments = (source, FORMATS[target], directory, asked_for)
        identity = self._converter.identity
        commands = (*before, self._converter.command(*arguments))
        try:
            product = self._converter.convert(*arguments)
        except AprtuiError as error:
            return Conversion(commands, identity, directory, failure=error.message)
        except Exception as error:
            return Conversion(commands, identity, directory, failure=f"{type(error).__name__}: {error}")
        if not product.exists():
            return Conversion(commands, identity, directory, failure=f"there is no product at {product}")
        return Conversion(commands, identity, directory, product)
