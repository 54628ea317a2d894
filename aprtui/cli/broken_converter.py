"""A converter that damages what the built-in one makes: the demo's failing run is a run like any other."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from aprtui.convert.builtin import BuiltinConverter
from aprtui.convert.converter import ConverterIdentity
from aprtui.faults import FAULTS
from aprtui.faults.damage import inject_several
from aprtui.formats.container import Format
from aprtui.formats.model import open_model
from aprtui.formats.output_types import OutputTypes


@dataclass(frozen=True, slots=True)
class BrokenConverter:
    """Converts well, then damages products in GGUF.

    Attributes:
        faults: Codes of the faults that it puts in.
    """

    faults: tuple[str, ...]

    @property
    def identity(self) -> ConverterIdentity:
        """The built-in converter's, under a name that says what it does."""
        return replace(BuiltinConverter().identity, name="broken-on-purpose")

    @property
    def parallel_safe(self) -> bool:
        """Conversions share nothing."""
        return True

    def not_offered(self, source: Path, target: Format, asked_for: OutputTypes) -> str | None:
        """As the built-in converter."""
        return BuiltinConverter().not_offered(source, target, asked_for)

    def command(self, source: Path, target: Format, destination: Path, asked_for: OutputTypes) -> str:
        """The command line that makes the product before it is damaged."""
        return BuiltinConverter().command(source, target, destination, asked_for)

    def convert(self, source: Path, target: Format, destination: Path, asked_for: OutputTypes) -> Path:
        """Convert and damage; see `Converter.convert`."""
        if target is not Format.GGUF:
            return BuiltinConverter().convert(source, target, destination, asked_for)
        good = destination / "good"
        good.mkdir()
        product = BuiltinConverter().convert(source, target, good, asked_for)
        faults = [FAULTS[code] for code in self.faults]
        damaged = inject_several(
            faults, product, destination / "damaged", source=open_model(source), seeds=[0] * len(faults)
        )
        place = destination / product.name
        Path(damaged.path).replace(place)
        product.unlink()
        return place
