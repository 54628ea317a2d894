"""llama.cpp as an engine: its own tokens, its own arithmetic, in a process of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path

from aprtui.convert.identity import program_digest
from aprtui.core.errors import AprtuiError
from aprtui.core.scenarios import SECONDS_OF_A_PROMPT, Backend, Ending
from aprtui.formats.container import Format
from aprtui.inference.engines.engine import EngineAnswer, EngineIdentity, weights_file
from aprtui.inference.engines.told import ask
from aprtui.inference.llama import installed_version, is_of_the_machine, words_of_llama

_MODULE = "aprtui.inference.engines.llama_child"


@dataclass(frozen=True)
class LlamaCppEngine:
    """Runs GGUF files.

    Attributes:
        exact: Keys and values in float32 and flash attention off; else llama.cpp's defaults, as users run it.
        seconds: Time limit of one prompt; all of them share one process.
    """

    exact: bool = False
    seconds: float = SECONDS_OF_A_PROMPT

    @cached_property
    def identity(self) -> EngineIdentity:
        """Version of the wheel; digest of its library."""
        version, spec = installed_version(), find_spec("xllamacpp")
        if version is None or spec is None or spec.origin is None:
            raise AprtuiError("xllamacpp is not installed", todo="pip install 'aprtui[llama]'")
        library = next(Path(spec.origin).parent.glob("xllamacpp*.so"))
        return EngineIdentity("llama.cpp", f"xllamacpp {version}", library, program_digest(library))

    @property
    def formats(self) -> frozenset[Format]:
        """GGUF only."""
        return frozenset({Format.GGUF})

    @property
    def backend(self) -> Backend:
        """The wheel carries no code for GPUs."""
        return Backend.CPU

    def generate(self, model: Path, prompts: Sequence[str], most: int) -> tuple[EngineAnswer, ...]:
        """Continue each prompt in the file's own tokens."""
        request = {"path": str(weights_file(model)), "most": most, "exact": self.exact}
        found = ask(_MODULE, request, prompts, seconds=self.seconds, words=words_of_llama)
        return tuple(replace(one, ending=_ending(one), has_loaded=_has_loaded(one)) for one in found)


def _ending(answer: EngineAnswer) -> Ending:
    is_refusal = answer.ending in (Ending.FAILED, Ending.CRASHED)
    return Ending.NOT_RUN if is_refusal and is_of_the_machine(answer.reason) else answer.ending


def _has_loaded(answer: EngineAnswer) -> bool | None:
    """A file that found no room is neither loaded nor refused."""
    return None if answer.has_loaded is False and _ending(answer) is Ending.NOT_RUN else answer.has_loaded
