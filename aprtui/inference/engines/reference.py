"""The reference forward pass as an engine: all three formats, transformers, float32, in a process of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from aprtui.convert.identity import program_digest
from aprtui.core.errors import AprtuiError
from aprtui.core.scenarios import SECONDS_OF_A_PROMPT, Backend, Ending
from aprtui.formats.container import Format
from aprtui.inference.engines.engine import EngineAnswer, EngineIdentity, no_answer
from aprtui.inference.engines.told import ask
from aprtui.inference.errors import missing_runtime

_MODULE = "aprtui.inference.engines.reference_child"


@dataclass(frozen=True)
class ReferenceEngine:
    """Runs any model that transformers knows.

    Attributes:
        device: "cpu", "cuda" or "cuda:N".
        seconds: Time limit of one prompt; all of them share one process.
    """

    device: str = "cpu"
    seconds: float = SECONDS_OF_A_PROMPT

    @cached_property
    def identity(self) -> EngineIdentity:
        """Versions of transformers and torch; digest of transformers' entry module."""
        absent, spec = missing_runtime(), find_spec("transformers")
        if absent is not None or spec is None or spec.origin is None:
            raise AprtuiError(absent or "transformers not installed")
        path = Path(spec.origin)
        versions = f"transformers {version('transformers')}, torch {version('torch')}"
        return EngineIdentity("reference", versions, path, program_digest(path))

    @property
    def formats(self) -> frozenset[Format]:
        """All three."""
        return frozenset(Format)

    @property
    def backend(self) -> Backend:
        """By the device."""
        return Backend.CPU if self.device == "cpu" else Backend.GPU

    def generate(self, model: Path, prompts: Sequence[str], most: int) -> tuple[EngineAnswer, ...]:
        """Continue each prompt in the model's own tokens, its weights in memory."""
        absent = missing_runtime()
        if absent is not None:
            return (no_answer(Ending.NOT_RUN, absent),) * len(prompts)
        request = {"path": str(model.absolute()), "most": most, "device": self.device}
        return ask(_MODULE, request, prompts, seconds=self.seconds)
