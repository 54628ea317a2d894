"""llama.cpp as an engine: its own tokens, its own arithmetic, in a process of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from time import monotonic

from aprtui.convert.identity import program_digest
from aprtui.core.errors import AprtuiError
from aprtui.formats.container import Format
from aprtui.formats.model import open_model
from aprtui.inference.engines.engine import EngineAnswer, EngineIdentity
from aprtui.inference.llama import installed_version, llama_generate, llama_ids
from aprtui.inference.tokenizers.decode import text_of


@dataclass(frozen=True)
class LlamaCppEngine:
    """Runs GGUF files.

    Attributes:
        exact: Keys and values in float32 and flash attention off; else llama.cpp's defaults, as users run it.
    """

    exact: bool = False

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

    def generate(self, model: Path, prompts: Sequence[str], most: int) -> tuple[EngineAnswer, ...]:
        """Continue each prompt; the model is loaded twice, for tokens and for text."""
        begun = monotonic()
        try:
            ids = llama_ids(model, prompts, add_special=True)
            steps = llama_generate(model, ids, most=most, exact=self.exact)
            facts = open_model(model).tokenizer
        except AprtuiError as error:
            return (EngineAnswer(None, None, None, error.message),) * len(prompts)
        seconds = (monotonic() - begun) / max(1, len(prompts))
        answers = []
        for prompt_ids, generated in zip(ids, steps, strict=True):
            numbers = tuple(number for number, _ in generated)
            answers.append(EngineAnswer(text_of(facts, numbers), numbers, len(prompt_ids), seconds=seconds))
        return tuple(answers)
