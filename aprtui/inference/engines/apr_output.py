"""What `apr run` prints, with and without `--json`: the generated text and nothing else.

Shapes as printed by apr 0.2.11 and 0.72.3. 0.2.11 takes `--json` and prints text all the same.
"""

from __future__ import annotations

import json
import re
from dataclasses import replace

from aprtui.core.safe_text import safe_text
from aprtui.inference.engines.engine import EngineAnswer

_BEGINS = "\nOutput:\n"
_ENDS = re.compile(r"\n\nCompleted in \d+(?:\.\d+)?s \([^\n]*\)\s*\Z")
_NO_TOKENIZER = re.compile(r"\[\d+ tokens generated, tokenizer not found\]")
_WARNING = re.compile(r"^\s*(?:warning|\[WARN)", re.IGNORECASE)
_LONGEST_LINE = 300


def read_answer(stdout: str, stderr: str) -> EngineAnswer:
    """The answer in an output; without text where the output has none of the known shapes."""
    warnings = tuple(safe_text(line.strip(), _LONGEST_LINE) for line in stderr.splitlines() if _WARNING.match(line))
    begin = stdout.lstrip()
    answer = _from_json(begin) if begin.startswith("{") else _from_text(stdout)
    return replace(answer, warnings=warnings)


def _without_text(reason: str) -> EngineAnswer:
    return EngineAnswer(None, None, None, reason)


def _from_json(stdout: str) -> EngineAnswer:
    try:
        whole = json.loads(stdout)
    except (ValueError, RecursionError) as error:
        return _without_text(f"its JSON cannot be read: {error}")
    text, tokens, counted = (whole.get(name) for name in ("text", "tokens", "prompt_tokens"))
    failed = whole.get("error") or whole.get("refusal")
    if failed or whole.get("status", "ok") != "ok":
        return _without_text(f"the engine says {safe_text(str(failed or whole.get('status')), _LONGEST_LINE)}")
    if not isinstance(text, str):
        return _without_text("its JSON holds no text")
    fits = isinstance(tokens, list) and all(isinstance(number, int) for number in tokens)
    ids = tuple(tokens) if fits else None
    return EngineAnswer(text, ids, counted if isinstance(counted, int) else None)


def _from_text(stdout: str) -> EngineAnswer:
    begin, end = stdout.find(_BEGINS), _ENDS.search(stdout)
    if begin < 0 or end is None or end.start() < begin + len(_BEGINS) - 1:
        return _without_text("its output has no text between 'Output:' and 'Completed in'")
    text = stdout[begin + len(_BEGINS) : end.start()]
    if _NO_TOKENIZER.fullmatch(text.strip()):
        return _without_text("it found no tokenizer, so it printed no text")
    return EngineAnswer(text, None, None)
