"""`apr`, aprender's command line, in the spelling of the installed version.

What each version accepts was seen in 0.72.3 and 0.2.11 themselves: `import` makes APR of both other formats, `export`
makes both of APR, and the ways between SafeTensors and GGUF need `rosetta convert`, which 0.2.11 does not have.
`import` and `export` are taken where they exist because `rosetta convert` chooses Q4_K for GGUF unasked.
"""

from __future__ import annotations

import re
from pathlib import Path

from aprtui.convert.command import Request
from aprtui.convert.converter import ConverterIdentity
from aprtui.convert.identity import program_digest, stated_version
from aprtui.core.errors import AprtuiError
from aprtui.formats.container import Format
from aprtui.formats.output_types import OutputTypes

NAME = "apr"

_S, _G, _A = Format.SAFETENSORS, Format.GGUF, Format.APR
_PAIRS = {
    (_S, _A): "import",
    (_G, _A): "import",
    (_A, _S): "export",
    (_A, _G): "export",
    (_S, _G): "rosetta",
    (_G, _S): "rosetta",
}
_QUANTIZE = {
    _A: {"int8": "int8", "int4": "int4", "f16": "fp16", "fp16": "fp16", "q4k": "q4k", "q4_k": "q4k"},
    _G: {"f16": "fp16", "fp16": "fp16", "q4k": "q4k", "q4_k": "q4k"},
    _S: {"f16": "fp16", "fp16": "fp16"},
}
"""What `--quantize` is given for an output type, by target; lossless is asked for by saying nothing."""

_ROSETTA_AND_Q4K_SINCE = (0, 2, 12)
_VERSION = re.compile(r"(\d+)\.(\d+)\.(\d+)")


class AprProfile:
    """The `apr` program.

    Args:
        program: The program file.
        time_limit: Seconds for each conversion.
    """

    name = NAME
    # rosetta convert goes through $TMPDIR/rosetta_temp.apr, whatever it converts.
    parallel_safe = False

    def __init__(self, program: Path, time_limit: float) -> None:
        self._program = program
        self.time_limit = time_limit
        self._version = ("", "")

    def identity(self) -> ConverterIdentity:
        """The binary; it is asked for its version again when its bytes have changed."""
        digest = program_digest(self._program)
        if self._version[0] != digest:
            stated = stated_version((str(self._program), "--version"))
            self._version = (digest, stated.removeprefix("apr ").strip())
        return ConverterIdentity(self.name, self._program, self._version[1], digest)

    def not_offered(self, source: Format, target: Format, asked_for: OutputTypes) -> str | None:
        """See `Profile.not_offered`."""
        subcommand = _PAIRS.get((source, target))
        if subcommand is None:
            return f"apr has no conversion from {source} to {target}"
        quantize = _QUANTIZE[target].get(asked_for.text)
        if asked_for.text != "lossless" and quantize is None:
            return f"apr has no output type {asked_for.text} for {target}"
        if subcommand == "rosetta" and self._is_before_rosetta():
            return f"apr {self.identity().version} has no `rosetta convert`, its only way from {source} to {target}"
        if quantize == "q4k" and self._is_before_rosetta():
            return f"apr {self.identity().version} has no `--quantize q4k`"
        return None

    def commands(self, request: Request) -> tuple[tuple[str, ...], ...]:
        """See `Profile.commands`.

        A source is named where it lies, so that `apr` finds config.json and tokenizer.json beside it.
        """
        source, product, target = str(request.source.primary), str(request.product), request.target
        subcommand = _PAIRS[request.source.format, target]
        if subcommand == "rosetta":
            arguments = ["rosetta", "convert", source, product]
        else:
            arguments = [subcommand, source, "-o", product]
        if subcommand == "export":
            arguments += ["--format", target.lower()]
        quantize = _QUANTIZE[target].get(request.asked_for.text)
        if quantize is not None:
            arguments += ["--quantize", quantize]
        return ((str(self._program), *arguments),)

    def _is_before_rosetta(self) -> bool:
        version = self.identity().version
        match = _VERSION.match(version)
        if match is None:
            raise AprtuiError(f"it states no version that can be read: {version}", file=self._program)
        return tuple(int(part) for part in match.groups()) < _ROSETTA_AND_Q4K_SINCE
