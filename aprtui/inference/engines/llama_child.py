"""The process that llama.cpp runs in as an engine: one line for the loaded model, one for each answer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from aprtui.core.errors import AprtuiError
from aprtui.core.scenarios import Ending
from aprtui.formats.model import open_model
from aprtui.inference.child import tell
from aprtui.inference.engines.continuing import answer_line
from aprtui.inference.llama.library import LlamaModel, Refused


def answers(request: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """What was loaded, each answer, and where it fails why."""
    loaded = False
    try:
        running = LlamaModel(request["path"])
        loaded = True
        yield {"loaded": True}
        opened = open_model(Path(request["path"]))

        def generate(ids: Sequence[int], most: int) -> list[tuple[int, float]]:
            found = running.generate(list(ids), most, exact=request["exact"])
            return [(number, at) for number, _, at in found]

        for prompt in request["prompts"]:
            try:
                yield answer_line(opened, running.ids(prompt, add_special=True), request["most"], generate)
            except Refused as error:
                yield {"no_answer": str(error), "ending": Ending.FAILED}
    except Refused as error:
        yield {"failed": str(error), "ending": Ending.FAILED, "loaded": loaded}
    except AprtuiError as error:
        reason = f"llama.cpp runs it, and aprtui cannot read its tokens: {error.problem}"
        yield {"failed": reason, "ending": Ending.UNREADABLE, "loaded": loaded}


def main(folder: Path) -> None:
    """Read `request.json`, write `answers.jsonl` line by line."""
    tell(folder, answers)
