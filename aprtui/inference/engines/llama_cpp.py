"""llama.cpp as an engine: its own tokens, its own arithmetic, in a process of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from time import monotonic

from aprtui.convert.identity import program_digest
from aprtui.core.errors import AprtuiError
from aprtui.core.scenarios import SECONDS_OF_A_PROMPT, Backend, Ending
from aprtui.formats.container import Format
from aprtui.formats.model import open_model
from aprtui.inference.engines.ending import ending_of
from aprtui.inference.engines.engine import EngineAnswer, EngineIdentity, no_answer
from aprtui.inference.llama import (
    LlamaCrashedError,
    LlamaTimeoutError,
    installed_version,
    llama_generate,
    llama_ids,
)
from aprtui.inference.tokenizers.decode import text_of
from aprtui.inference.tokenizers.ends import ends_of


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
        """Continue each prompt; the model is loaded twice, for tokens and for text."""
        begun, has_loaded = monotonic(), False
        try:
            ids = llama_ids(model, prompts, add_special=True)
            has_loaded = True
            limit = self.seconds * max(1, len(prompts))
            steps = llama_generate(model, ids, most=most, exact=self.exact, time_limit=limit)
        except AprtuiError as error:
            return (_without_answer(error, has_loaded=has_loaded),) * len(prompts)
        try:
            opened = open_model(model)
        except AprtuiError as error:
            reason = f"llama.cpp runs it, and aprtui cannot read its tokens: {error.problem}"
            return (no_answer(Ending.UNREADABLE, reason, has_loaded=True),) * len(prompts)
        seconds = (monotonic() - begun) / max(1, len(prompts))
        facts, ends = opened.tokenizer, ends_of(opened)
        answers = []
        for prompt_ids, generated in zip(ids, steps, strict=True):
            numbers, times = [number for number, _, _ in generated], [at for _, _, at in generated]
            has_ended = bool(numbers) and (len(numbers) < most or numbers[-1] in ends)
            answers.append(
                EngineAnswer(
                    text_of(facts, numbers[:-1] if has_ended else numbers),
                    tuple(numbers),
                    len(prompt_ids),
                    seconds=seconds,
                    is_cut_off=not has_ended,
                    has_loaded=True,
                    token_seconds=tuple(later - earlier for earlier, later in pairwise(times)),
                )
            )
        return tuple(answers)


def _without_answer(error: AprtuiError, *, has_loaded: bool) -> EngineAnswer:
    if isinstance(error, LlamaTimeoutError):
        return no_answer(Ending.TIMEOUT, error.problem, has_loaded=has_loaded or None)
    if isinstance(error, LlamaCrashedError):
        return no_answer(ending_of(error.result)[0], error.problem, has_loaded=has_loaded)
    return no_answer(Ending.FAILED, error.problem, has_loaded=has_loaded)
