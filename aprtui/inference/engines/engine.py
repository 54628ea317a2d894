"""What every engine can do: say who it is, and continue prompts with a model file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from aprtui.core.errors import AprtuiError
from aprtui.core.scenarios import Backend, Ending
from aprtui.formats.container import Format
from aprtui.formats.huggingface import find_model_files


@dataclass(frozen=True, slots=True)
class EngineIdentity:
    """Who an engine is.

    Attributes:
        name: "reference", "llama.cpp" or "apr".
        version: As it states it.
        path: What runs.
        digest: Of the file that runs.
    """

    name: str
    version: str
    path: Path
    digest: str


@dataclass(frozen=True, slots=True)
class EngineAnswer:
    """What became of one prompt.

    Attributes:
        text: The generated text and nothing else; None where none could be extracted.
        ids: Generated token ids, where the engine tells them.
        prompt_tokens: Tokens of the prompt as the engine saw it, where it tells.
        reason: Why there is no text; empty where there is.
        warnings: What the engine said about itself that matters.
        seconds: Wall time.
        command: The command line, where there is one.
        ending: How it ended.
        is_cut_off: Whether the text ends because the limit was reached, or may do so: not every engine tells.
        has_loaded: Whether the engine had loaded the file; None where it does not tell.
        token_seconds: Seconds of each generated token behind the first; empty where the engine does not tell them.
        tokens_per_second: As the engine states it, where it does.
    """

    text: str | None
    ids: tuple[int, ...] | None
    prompt_tokens: int | None
    reason: str = ""
    warnings: tuple[str, ...] = ()
    seconds: float = 0.0
    command: str = ""
    ending: Ending = Ending.ANSWERED
    is_cut_off: bool = False
    has_loaded: bool | None = None
    token_seconds: tuple[float, ...] = ()
    tokens_per_second: float | None = None


def weights_file(model: Path) -> Path:
    """The file that a program is given for a model: of a directory the one that holds its weights, or lists them.

    It is named where it lies: links of the Hugging Face cache lead away from config.json and tokenizer.json. What holds
    no model is named as it is, for the program to refuse.
    """
    try:
        return find_model_files(model.absolute()).primary
    except AprtuiError:
        return model.absolute()


def no_answer(ending: Ending, reason: str, *, has_loaded: bool | None = None) -> EngineAnswer:
    """An answer without text.

    Args:
        ending: How the engine ended.
        reason: Why there is no text.
        has_loaded: Whether it had loaded the file.
    """
    return EngineAnswer(None, None, None, reason, ending=ending, has_loaded=has_loaded)


class Engine(Protocol):
    """Runs model files. Whatever goes wrong with one prompt is an answer without text, never an exception."""

    @property
    def identity(self) -> EngineIdentity:
        """Who it is.

        Raises:
            AprtuiError: It is not installed, or does not say.
        """
        ...

    @property
    def formats(self) -> frozenset[Format]:
        """Formats that it opens."""
        ...

    @property
    def backend(self) -> Backend:
        """What it runs on."""
        ...

    def generate(self, model: Path, prompts: Sequence[str], most: int) -> tuple[EngineAnswer, ...]:
        """Continue each prompt greedily.

        Args:
            model: A model file or directory.
            prompts: Texts.
            most: Tokens to generate at most.
        """
        ...


def explain_prompt_tokens(counted: int | None, expected: int, around: int) -> str:
    """Why an engine saw another number of prompt tokens than the model's tokenizer gives; empty where it did not.

    Texts of two engines are compared only where they continue the same tokens.

    Args:
        counted: What the engine says.
        expected: Tokens of the prompt with what the model puts in front of a text.
        around: Tokens that the model puts around a text; without any, none of them can be missing.
    """
    if counted is None:
        return "the engine does not say how many tokens it saw"
    if counted == expected:
        return ""
    saw = f"it saw {counted} tokens where {expected} belong"
    if counted == expected - 1 and around:
        return f"{saw}: the token in front of a text is missing"
    if counted == expected + 1:
        return f"{saw}: it put one more in front of the text"
    if counted > expected:
        return f"{saw}: it wrapped the prompt in other text, as a chat template does, or has another tokenizer"
    return f"{saw}: it has another tokenizer"
