"""Asks llama.cpp in a process of its own, with a time limit; a crash is an answer too."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aprtui.convert.process import CommandResult
from aprtui.core.errors import AprtuiError
from aprtui.core.outcomes import ExitCode
from aprtui.inference.child import run_module

SECONDS = 600.0
"""Time limit of one request."""

_MODULE = "aprtui.inference.llama.child"
_LLAMA_SAYS = ("error", "failed", "GGML_ASSERT", "unknown")


class LlamaRefusedError(AprtuiError):
    """llama.cpp does not load or run a file, or ends while it does."""


class LlamaCrashedError(LlamaRefusedError):
    """llama.cpp's process ended without an answer.

    Args:
        result: The process.
        file: The GGUF.
    """

    def __init__(self, result: CommandResult, file: Path) -> None:
        super().__init__(f"llama.cpp {_words(result) or result.ending}", file=file)
        self.result = result


class LlamaTimeoutError(AprtuiError):
    """llama.cpp did not answer in time and was ended."""

    exit_code = ExitCode.TIMEOUT


@cache
def installed_version() -> str | None:
    """Version of the xllamacpp wheel; None where it is not installed."""
    if find_spec("xllamacpp") is None:
        return None
    try:
        return version("xllamacpp")
    except PackageNotFoundError:
        return None


def llama_ids(path: Path, texts: Sequence[str], *, add_special: bool) -> list[list[int]]:
    """Ids of texts in a GGUF's own vocabulary, special tokens in the text counting as such.

    Raises:
        LlamaRefusedError: llama.cpp refuses the file, with its own words.
        LlamaTimeoutError: It took too long.
    """
    answer, _ = _ask(path, "ids", texts=list(texts), add_special=add_special)
    return [list(map(int, ids)) for ids in answer["ids"]]


def llama_logits(path: Path, sequences: Sequence[Sequence[int]], *, exact: bool) -> list[NDArray[np.float32]]:
    """Logits behind every id of each sequence: float32 [ids, tokens].

    Args:
        path: The GGUF.
        sequences: Token ids.
        exact: Keys and values in float32 and no flash attention, so that only weights and arithmetic count; else as
            users run it.

    Raises:
        LlamaRefusedError: llama.cpp refuses the file, with its own words.
        LlamaTimeoutError: It took too long.
    """
    return _ask(path, "logits", sequences=[list(ids) for ids in sequences], exact=exact)[1]


def llama_generate(
    path: Path, sequences: Sequence[Sequence[int]], *, most: int, exact: bool, time_limit: float = SECONDS
) -> list[list[tuple[int, float, float]]]:
    """Greedy continuations: for each sequence its new ids, each with the margin of its logit over the second best.

    With each comes the moment when it was there, in seconds of a clock that only runs forward.

    Raises:
        LlamaRefusedError: llama.cpp refuses the file, with its own words.
        LlamaTimeoutError: It took too long.
    """
    lists = [list(ids) for ids in sequences]
    answer, _ = _ask(path, "generate", time_limit=time_limit, sequences=lists, most=most, exact=exact)
    return [[(int(number), float(margin), float(at)) for number, margin, at in steps] for steps in answer["steps"]]


def _ask(
    path: Path, what: str, *, time_limit: float = SECONDS, **asked: object
) -> tuple[dict[str, Any], list[NDArray[np.float32]]]:
    with tempfile.TemporaryDirectory(prefix="aprtui-llama-") as name:
        folder = Path(name)
        request = {"what": what, "path": str(path.absolute()), **asked}
        result = run_module(_MODULE, folder, request, time_limit=time_limit)
        if result.timed_out:
            raise LlamaTimeoutError(f"llama.cpp did not answer in {time_limit:.0f} s", file=path)
        answer_path = folder / "answer.json"
        if not answer_path.is_file():
            raise LlamaCrashedError(result, path)
        answer = json.loads(answer_path.read_bytes())
        if "refused" in answer:
            said = _words(result)
            raise LlamaRefusedError(answer["refused"] + (f": {said}" if said else ""), file=path)
        return answer, [np.load(folder / f"{number}.npy") for number in range(answer.get("sequences", 0))]


def _words(result: CommandResult) -> str:
    """The line of llama.cpp's log that says what is wrong; the lines behind it say that loading failed."""
    said = (line for line in result.stderr.last_lines if any(word in line for word in _LLAMA_SAYS))
    return next(said, "")
