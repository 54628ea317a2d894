"""The process that llama.cpp runs in as an engine: one line for the loaded model, one for each answer."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from time import monotonic
from typing import Any

from aprtui.core.errors import AprtuiError
from aprtui.core.scenarios import Ending
from aprtui.formats.model import Model, open_model
from aprtui.inference.child import tell
from aprtui.inference.llama.library import LlamaModel, Refused
from aprtui.inference.tokenizers.decode import text_of
from aprtui.inference.tokenizers.ends import ends_of


def answers(request: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """What was loaded, each answer, and where it fails why."""
    loaded = False
    try:
        running = LlamaModel(request["path"])
        loaded = True
        yield {"loaded": True}
        opened = open_model(Path(request["path"]))
        for prompt in request["prompts"]:
            yield _continued(running, opened, prompt, request["most"], exact=request["exact"])
    except Refused as error:
        yield {"failed": str(error), "ending": Ending.FAILED, "loaded": loaded}
    except AprtuiError as error:
        reason = f"llama.cpp runs it, and aprtui cannot read its tokens: {error.problem}"
        yield {"failed": reason, "ending": Ending.UNREADABLE, "loaded": loaded}


def _continued(running: LlamaModel, opened: Model, prompt: str, most: int, *, exact: bool) -> dict[str, Any]:
    begun = monotonic()
    ids = running.ids(prompt, add_special=True)
    generated = running.generate(ids, most, exact=exact) if ids else []
    numbers, times = [number for number, _, _ in generated], [at for _, _, at in generated]
    has_ended = bool(numbers) and (len(numbers) < most or numbers[-1] in ends_of(opened))
    return {
        "ids": numbers,
        "text": text_of(opened.tokenizer, numbers[:-1] if has_ended else numbers),
        "prompt_tokens": len(ids),
        "is_cut_off": not has_ended and len(numbers) == most,
        "seconds": monotonic() - begun,
        "token_seconds": [later - earlier for earlier, later in pairwise(times)],
    }


def main(folder: Path) -> None:
    """Read `request.json`, write `answers.jsonl` line by line."""
    tell(folder, answers)
