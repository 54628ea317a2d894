"""What every converter is to a run: an identity for the evidence, one operation, the command that repeats it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from aprtui.formats.container import Format
from aprtui.formats.output_types import OutputTypes


@dataclass(frozen=True, slots=True)
class ConverterIdentity:
    """What evidence says of a converter.

    Attributes:
        name: Its name in settings and on the command line.
        path: The program; a directory for the built-in converter.
        version: As it says itself.
        digest: Hexadecimal digest of the program's files, with the name of the hash in front ("xxh3:…").
    """

    name: str
    path: Path
    version: str
    digest: str


class Converter(Protocol):
    """A converter."""

    @property
    def identity(self) -> ConverterIdentity:
        """Who it is, taken anew at each call."""
        ...

    @property
    def parallel_safe(self) -> bool:
        """Whether two conversions may run at the same time."""
        ...

    def not_offered(self, source: Path, target: Format, asked_for: OutputTypes) -> str | None:
        """Why it has no way from this source to this target, so that the gate is Skipped; None where it has one."""
        ...

    def command(self, source: Path, target: Format, destination: Path, asked_for: OutputTypes) -> str:
        """The command line that does what `convert` does with the same arguments."""
        ...

    def convert(self, source: Path, target: Format, destination: Path, asked_for: OutputTypes) -> Path:
        """Convert a model.

        A converter that runs programs leaves their output and a record in `working_directory(destination)`
        (`aprtui.convert.workspace`), a directory beside the destination that belongs to the caller.

        Args:
            source: A model that `open_model` opens.
            target: Format of the product.
            destination: An empty directory for the product and its companions.
            asked_for: The output type.

        Returns:
            What to open: the file, or the directory for SafeTensors.

        Raises:
            ConversionTimeoutError: It took too long.
            ConversionVoidError: The source or the converter changed meanwhile.
            AprtuiError: The model cannot be converted; the message says why.
        """
        ...
