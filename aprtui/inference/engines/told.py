"""Answers that an engine's process tells line by line.

Where one prompt ends the process, the answers before it stand, and those behind it are asked for in a new process.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from aprtui.core.scenarios import Ending
from aprtui.inference.child import run_module
from aprtui.inference.engines.ending import ending_of
from aprtui.inference.engines.engine import EngineAnswer, no_answer
from aprtui.processes.run import CommandResult

_SECONDS_TO_START = 120.0


def ask(
    module: str,
    request: dict[str, Any],
    prompts: Sequence[str],
    *,
    seconds: float,
    words: Callable[[CommandResult], str] = lambda _: "",
) -> tuple[EngineAnswer, ...]:
    """An answer for each prompt.

    Args:
        module: Its `main` takes the request with the prompts and writes `answers.jsonl`: `{"loaded": true}`, one line
            for each answer (`answer_line`), and where it fails `{"failed": why, "ending": how, "loaded": whether}`.
        request: What else it needs.
        prompts: Texts.
        seconds: Time limit of one prompt; those of a process share their time.
        words: What the engine's library printed about its failure; empty where it said nothing.
    """
    answers: list[EngineAnswer] = []
    while len(answers) < len(prompts):
        left = prompts[len(answers) :]
        with tempfile.TemporaryDirectory(prefix="aprtui-engine-") as name:
            folder = Path(name)
            limit = _SECONDS_TO_START + seconds * len(left)
            result = run_module(module, folder, {**request, "prompts": list(left)}, time_limit=limit)
            told = _told(folder / "answers.jsonl")
        answers += [_answer(one, words(result)) for one in told if "ids" in one or "no_answer" in one]
        missing = len(prompts) - len(answers)
        stated = next((one for one in told if "failed" in one), None)
        if stated is not None:
            reason = ": ".join(filter(None, (stated["failed"], words(result))))
            answers += [no_answer(Ending(stated["ending"]), reason, has_loaded=stated["loaded"])] * missing
        elif missing:
            answers += _unanswered(result, words(result), missing, loaded="loaded" in (told[0] if told else ()))
    return tuple(answers)


def _told(path: Path) -> list[dict[str, Any]]:
    """Whole lines of what the process told."""
    lines = path.read_bytes().split(b"\n")[:-1] if path.is_file() else []
    return [json.loads(line) for line in lines]


def _answer(told: dict[str, Any], said: str) -> EngineAnswer:
    if "no_answer" in told:
        ending, reason = Ending(told["ending"]), told["no_answer"]
        return no_answer(ending, f"{reason}: {said}" if said and ending is Ending.FAILED else reason, has_loaded=True)
    return EngineAnswer(
        told["text"],
        tuple(told["ids"]),
        told["prompt_tokens"],
        seconds=told["seconds"],
        is_cut_off=told["is_cut_off"],
        has_loaded=True,
        token_seconds=tuple(told["token_seconds"]),
    )


def _unanswered(result: CommandResult, said: str, missing: int, *, loaded: bool) -> list[EngineAnswer]:
    """The prompt that ended the process; the others too where they would end it the same way or have no time left."""
    ending, reason = ending_of(result)
    reason += f": {said}" if said and said not in reason else ""
    if ending is Ending.ANSWERED:
        ending, reason = Ending.UNREADABLE, f"{reason}, and left no answer"
    if not loaded:
        return [no_answer(ending, f"while it loaded the file, it {reason}", has_loaded=False)] * missing
    first = no_answer(ending, f"it {reason}", has_loaded=True)
    if ending is Ending.CRASHED:
        return [first]
    others = no_answer(Ending.NOT_RUN, f"an earlier prompt ended the engine: it {reason}", has_loaded=True)
    return [first, *[others] * (missing - 1)]
