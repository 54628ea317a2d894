"""Any command line of the user's, from the user's own settings."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from aprtui.convert.command import Request
from aprtui.convert.converter import ConverterIdentity
from aprtui.convert.identity import files_digest
from aprtui.formats.container import Format
from aprtui.formats.output_types import OutputTypes

PLACEHOLDERS = ("source", "target", "format", "outtype")

_PLACEHOLDER = re.compile(r"\{(\w+)\}")


class UserCommandProfile:
    """A command line.

    Args:
        name: Its name in the settings.
        arguments: Program and arguments, with `PLACEHOLDERS` in braces.
        pairs: Formats from and to which it converts; None for all.
        parallel_safe: Whether two may run at the same time.
        time_limit: Seconds for each conversion.
    """

    def __init__(
        self,
        name: str,
        arguments: Sequence[str],
        pairs: frozenset[tuple[Format, Format]] | None,
        *,
        parallel_safe: bool,
        time_limit: float,
    ) -> None:
        self.name = name
        self._arguments = tuple(arguments)
        named = [Path(argument) for argument in self._arguments[1:]]
        self._files = [Path(arguments[0]), *(path for path in named if path.is_absolute() and path.is_file())]
        self._pairs = pairs
        self.parallel_safe = parallel_safe
        self.time_limit = time_limit

    def identity(self) -> ConverterIdentity:
        """The program and every file that an argument names by itself with its whole path, such as a script."""
        return ConverterIdentity(self.name, self._files[0], "unknown", files_digest(self._files))

    def not_offered(self, source: Format, target: Format, asked_for: OutputTypes) -> str | None:
        """See `Profile.not_offered`."""
        if self._pairs is None or (source, target) in self._pairs:
            return None
        return f"the settings of {self.name} do not list a conversion from {source} to {target}"

    def commands(self, request: Request) -> tuple[tuple[str, ...], ...]:
        """See `Profile.commands`.

        A directory stands for the target where that is SafeTensors, and for the source where a directory was named.
        """
        product = request.destination if request.target is Format.SAFETENSORS else request.product
        files = request.source
        values = {
            "source": str(files.primary.parent if files.path.is_dir() else files.path),
            "target": str(product),
            "format": request.target.lower(),
            "outtype": request.asked_for.text,
        }
        return (tuple(_PLACEHOLDER.sub(lambda match: values[match[1]], argument) for argument in self._arguments),)


def unknown_placeholders(arguments: Sequence[str]) -> list[str]:
    """Words in braces that are no placeholder."""
    found = (match for argument in arguments for match in _PLACEHOLDER.findall(argument))
    return [word for word in found if word not in PLACEHOLDERS]
