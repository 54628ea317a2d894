"""The reference forward pass as an engine: any of the three formats, in transformers, float32.

It runs in a process of its own, which tells each answer as soon as it has it: where one prompt ends the process, the
answers before it stand.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from aprtui.convert.identity import program_digest
from aprtui.convert.process import CommandResult
from aprtui.core.errors import AprtuiError
from aprtui.core.scenarios import SECONDS_OF_A_PROMPT, Backend, Ending
from aprtui.formats.container import Format
from aprtui.inference.child import run_module
from aprtui.inference.engines.ending import ending_of
from aprtui.inference.engines.engine import EngineAnswer, EngineIdentity, no_answer
from aprtui.inference.errors import missing_runtime

_MODULE = "aprtui.inference.engines.reference_child"
_SECONDS_TO_START = 120.0


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
        request = {"path": str(model.absolute()), "prompts": list(prompts), "most": most, "device": self.device}
        limit = _SECONDS_TO_START + self.seconds * max(1, len(prompts))
        with tempfile.TemporaryDirectory(prefix="aprtui-reference-") as name:
            folder = Path(name)
            result = run_module(_MODULE, folder, request, time_limit=limit)
            told = _told(folder / "answers.jsonl")
        answers = [_answer(one) for one in told if "ids" in one]
        stated = next((one for one in told if "failed" in one), None)
        if stated is not None:
            rest = no_answer(Ending(stated["ending"]), stated["failed"], has_loaded=stated["loaded"])
            return (*answers, *(rest,) * (len(prompts) - len(answers)))
        if len(answers) < len(prompts):
            answers += _unanswered(result, len(prompts) - len(answers), loaded="loaded" in (told[0] if told else ()))
        return tuple(answers)


def _told(path: Path) -> list[dict[str, Any]]:
    """Whole lines of what the process told."""
    lines = path.read_bytes().split(b"\n")[:-1] if path.is_file() else []
    return [json.loads(line) for line in lines]


def _answer(told: dict[str, Any]) -> EngineAnswer:
    return EngineAnswer(
        told["text"],
        tuple(told["ids"]),
        told["prompt_tokens"],
        seconds=told["seconds"],
        is_cut_off=told["is_cut_off"],
        has_loaded=True,
        token_seconds=tuple(told["token_seconds"]),
    )


def _unanswered(result: CommandResult, count: int, *, loaded: bool) -> list[EngineAnswer]:
    """The prompt that ended the process, and those that came behind it."""
    ending, reason = ending_of(result)
    if not loaded:
        return [no_answer(ending, f"while it loaded the file, it {reason}", has_loaded=False)] * count
    first = no_answer(ending, f"it {reason}", has_loaded=True)
    others = no_answer(Ending.NOT_RUN, f"an earlier prompt ended the engine: it {reason}", has_loaded=True)
    return [first, *[others] * (count - 1)]
