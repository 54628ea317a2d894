"""llama.cpp: `convert_hf_to_gguf.py`, and `llama-quantize` behind it where a recipe is asked for."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from aprtui.convert.command import Request
from aprtui.convert.converter import ConverterIdentity
from aprtui.convert.identity import files_digest
from aprtui.core.dtypes import DType
from aprtui.formats.container import Format
from aprtui.formats.model import open_model
from aprtui.formats.output_types import OutputTypes
from aprtui.formats.recipes import RECIPES

NAME = "llama.cpp"

_SCRIPT_TYPES = {"f32": "f32", "f16": "f16", "fp16": "f16", "bf16": "bf16", "q8_0": "q8_0"}
_SIXTEEN_BITS = {DType.BF16: "bf16", DType.F16: "f16"}
_PACKAGES = ("conversion", "gguf-py/gguf")
_PROJECT = Path("gguf-py/pyproject.toml")
_VERSION = re.compile(r'^version\s*=\s*"([^"]+)"', re.MULTILINE)


class LlamaCppProfile:
    """llama.cpp's converter.

    Args:
        script: How to start `convert_hf_to_gguf.py`: the script, or an interpreter and the script.
        quantize: The `llama-quantize` program, if there is one.
        time_limit: Seconds for each of the two programs.
    """

    name = NAME
    parallel_safe = True

    def __init__(self, script: Sequence[str], quantize: Path | None, time_limit: float) -> None:
        self._script = tuple(script)
        self._quantize = quantize
        self.time_limit = time_limit

    def identity(self) -> ConverterIdentity:
        """The script, the Python packages of llama.cpp beside it, and `llama-quantize`.

        The version is that of the gguf package beside the script: the script states none.
        """
        script = Path(self._script[-1])
        folder = script.resolve().parent
        programs = [script] if self._quantize is None else [script, self._quantize]
        digest = files_digest(programs, (folder / package for package in _PACKAGES))
        return ConverterIdentity(self.name, script, _version(folder / _PROJECT), digest)

    def not_offered(self, source: Format, target: Format, asked_for: OutputTypes) -> str | None:
        """See `Profile.not_offered`."""
        if (source, target) != (Format.SAFETENSORS, Format.GGUF):
            return f"llama.cpp converts from SafeTensors to GGUF, not from {source} to {target}"
        if asked_for.text in ("lossless", *_SCRIPT_TYPES):
            return None
        if asked_for.text not in RECIPES:
            return f"llama.cpp has no output type {asked_for.text}"
        if self._quantize is None:
            return f"llama-quantize, which output type {asked_for.text} needs, is not on PATH"
        return None

    def commands(self, request: Request) -> tuple[tuple[str, ...], ...]:
        """See `Profile.commands`.

        Lossless, and what `llama-quantize` starts from, is the source's own type: the script's `auto` would take
        float32 to 16 bits.
        """
        text = request.asked_for.text
        by_script = _SCRIPT_TYPES.get(text)
        outtype = by_script or _lossless_type(request.source.path)
        if by_script is not None or text == "lossless":
            return (self._convert(request, outtype, request.product),)
        between = request.temporary / f"{outtype}.gguf"
        quantize = (str(self._quantize), str(between), str(request.product), text.upper())
        return self._convert(request, outtype, between), quantize

    def _convert(self, request: Request, outtype: str, product: Path) -> tuple[str, ...]:
        model = str(request.source.primary.parent)
        return (*self._script, model, "--outtype", outtype, "--outfile", str(product))


def _lossless_type(source: Path) -> str:
    """The output type that holds every matrix of a model exactly."""
    stored = {tensor.dtype for tensor in open_model(source).tensors.values() if len(tensor.shape) > 1}
    return _SIXTEEN_BITS.get(stored.pop(), "f32") if len(stored) == 1 else "f32"


def _version(project: Path) -> str:
    try:
        match = _VERSION.search(project.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError):
        match = None
    return f"gguf-py {match[1]}" if match is not None else "unknown"
