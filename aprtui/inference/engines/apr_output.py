"""What `apr run` prints, with and without `--json`: the generated text and nothing else.

Shapes as printed by apr 0.2.11 and 0.72.3. 0.2.11 takes `--json` and prints text all the same.
"""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any

from aprtui.core.safe_text import safe_text
from aprtui.core.scenarios import Backend, Ending
from aprtui.inference.engines.engine import EngineAnswer, no_answer

_BEGINS = "\nOutput:\n"
_ENDS = re.compile(r"\n\nCompleted in \d+(?:\.\d+)?s \([^\n]*\)\s*\Z")
_NO_TOKENIZER = re.compile(r"\[\d+ tokens generated, tokenizer not found\]")
_WARNING = re.compile(r"^\s*(?:warning|\[WARN)", re.IGNORECASE)
_LONGEST_LINE = 300
_LARGEST_COUNT = 1 << 31


def read_answer(stdout: str, stderr: str, backend: Backend) -> EngineAnswer:
    """The answer in an output; without text where the output has none of the known shapes.

    Args:
        stdout: Standard output.
        stderr: Standard error.
        backend: What it was asked to run on; an answer that another one gave is none, nor is one that does not say that
            a GPU gave it.
    """
    warnings = tuple(safe_text(line.strip(), _LONGEST_LINE) for line in stderr.splitlines() if _WARNING.match(line))
    begin = stdout.lstrip()
    answer, ran = _from_json(begin) if begin.startswith("{") else (_from_text(stdout), None)
    if answer.text is not None and ran is not backend and (ran is not None or backend is Backend.GPU):
        says = f"says that it ran on the {ran}" if ran is not None else "does not say that it did"
        answer = no_answer(Ending.NOT_RUN, f"it was asked to run on the {backend} and {says}")
    return replace(answer, warnings=warnings)


def _without_text(reason: str) -> EngineAnswer:
    return no_answer(Ending.UNREADABLE, reason)


def _from_json(stdout: str) -> tuple[EngineAnswer, Backend | None]:
    """The answer, and what it ran on, as far as it says."""
    try:
        whole = json.loads(stdout)
    except (ValueError, RecursionError) as error:
        return _without_text(f"its JSON cannot be read: {error}"), None
    text, tokens, counted = (whole.get(name) for name in ("text", "tokens", "prompt_tokens"))
    failed, status = whole.get("error") or whole.get("refusal"), whole.get("status")
    if failed or status not in ("ok", None):
        words = safe_text(str(failed or status), _LONGEST_LINE)
        return no_answer(Ending.FAILED, f"the engine says {words}"), None
    if not isinstance(text, str):
        return _without_text("its JSON holds no text"), None
    ids = tuple(tokens) if isinstance(tokens, list) and all(map(_is_count, tokens)) else None
    answer = EngineAnswer(
        # JSON can escape half of a pair of surrogates, which no file takes.
        text.encode("utf-16", "surrogatepass").decode("utf-16", "replace"),
        ids,
        counted if _is_count(counted) else None,
        has_loaded=True,
        tokens_per_second=_speed(whole.get("tok_per_sec")),
    )
    return answer, _ran_on(whole)


def _is_count(value: Any) -> bool:  # noqa: ANN401 - whatever JSON holds
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < _LARGEST_COUNT


def _speed(value: Any) -> float | None:  # noqa: ANN401 - whatever JSON holds
    """Tokens per second that can be reckoned with."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if is_number and 0 < value < _LARGEST_COUNT else None


def _ran_on(whole: dict[str, Any]) -> Backend | None:
    """What it ran on, as far as it says: 0.72.3 has `backend.ran` and `used_gpu`."""
    stated = whole.get("backend")
    ran = stated.get("ran") if isinstance(stated, dict) else None
    if ran == "cpu" or whole.get("used_gpu") is False:
        return Backend.CPU
    return Backend.GPU if isinstance(ran, str) or whole.get("used_gpu") is True else None


def _from_text(stdout: str) -> EngineAnswer:
    begin, end = stdout.find(_BEGINS), _ENDS.search(stdout)
    if begin < 0 or end is None or end.start() < begin + len(_BEGINS) - 1:
        return _without_text("its output has no text between 'Output:' and 'Completed in'")
    text = stdout[begin + len(_BEGINS) : end.start()]
    if _NO_TOKENIZER.fullmatch(text.strip()):
        return _without_text("it found no tokenizer, so it printed no text")
    return EngineAnswer(text, None, None, has_loaded=True)
