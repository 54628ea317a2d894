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

from aprtui.core.errors import AprtuiError
from aprtui.core.outcomes import ExitCode
from aprtui.inference.child import run_module
from aprtui.processes.run import CommandResult

SECONDS = 600.0
"""Time limit of one request."""

_MODULE = "aprtui.inference.llama.child"
_LLAMA_SAYS = ("error", "failed", "GGML_ASSERT", "unknown", "bad_alloc")


_OF_THE_MACHINE = (
    "unable to allocate",
    "failed to allocate",
    "out of memory",
    "bad_alloc",
    "gives no context",
    "aprtui does not know",
)
_NOT_OF_THE_FILE = (
    *_OF_THE_MACHINE,
    "unknown model architecture",
    "SIGKILL",
    "SIGTERM",
    "_Map_base::at",
)
"""Words of refusals that do not accuse the file; the last one is an exception of C++ that says nothing at all, as for a
Phi-3 without the tokens that llama.cpp looks up by the model's name."""


class LlamaRefusedError(AprtuiError):
    """llama.cpp does not load or run a file, or ends while it does."""

    @property
    def is_of_the_file(self) -> bool:
        """Whether it says something of the file, and not of this build, which may be older, nor of memory."""
        return not any(words in self.problem for words in _NOT_OF_THE_FILE)


def is_of_the_machine(reason: str) -> bool:
    """Whether a refusal is for want of memory, or because this build is another one than aprtui knows."""
    return any(words in reason for words in _OF_THE_MACHINE)


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


def _ask(path: Path, what: str, **asked: object) -> tuple[dict[str, Any], list[NDArray[np.float32]]]:
    with tempfile.TemporaryDirectory(prefix="aprtui-llama-") as name:
        folder = Path(name)
        request = {"what": what, "path": str(path.absolute()), **asked}
        result = run_module(_MODULE, folder, request, time_limit=SECONDS)
        if result.timed_out:
            raise LlamaTimeoutError(f"llama.cpp did not answer in {SECONDS:.0f} s", file=path)
        answer_path = folder / "answer.json"
        if not answer_path.is_file():
            raise LlamaRefusedError(f"llama.cpp {words_of_llama(result) or result.ending}", file=path)
        answer = json.loads(answer_path.read_bytes())
        if "refused" in answer:
            said = words_of_llama(result)
            raise LlamaRefusedError(answer["refused"] + (f": {said}" if said else ""), file=path)
        return answer, [np.load(folder / f"{number}.npy") for number in range(answer.get("sequences", 0))]


def words_of_llama(result: CommandResult) -> str:
    """The line of llama.cpp's log that says what is wrong; empty without one."""
    said = (line for line in result.stderr.last_lines if any(word in line for word in _LLAMA_SAYS))
    return next(said, "")
