"""One prompt in the process of an engine: continued as far as the context allows, and told as one line."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from time import monotonic
from typing import Any

from aprtui.core.scenarios import Ending
from aprtui.formats.model import Model
from aprtui.inference.samples import context_of
from aprtui.inference.tokenizers.decode import text_of
from aprtui.inference.tokenizers.ends import ends_of

Generate = Callable[[Sequence[int], int], Sequence[tuple[int, float]]]
"""Continues ids by so many at most: each new id, and the moment when it was there."""


def answer_line(model: Model, ids: Sequence[int], most: int, generate: Generate) -> dict[str, Any]:
    """The answer to a prompt.

    Args:
        model: Whose context, ends and tokens count.
        ids: The prompt.
        most: Tokens to generate at most.
        generate: The engine.
    """
    if not ids:
        return {"no_answer": "the prompt has no tokens that anything could follow", "ending": Ending.NOT_PROMPTED}
    context = context_of(model)
    if len(ids) >= context:
        reason = f"the prompt has {len(ids)} tokens, and the model takes {context}"
        return {"no_answer": reason, "ending": Ending.TOO_LONG}
    most = min(most, context - len(ids))
    begun = monotonic()
    generated = generate(ids, most)
    numbers, times = [number for number, _ in generated], [at for _, at in generated]
    has_ended = bool(numbers) and (len(numbers) < most or numbers[-1] in ends_of(model))
    return {
        "ids": numbers,
        "text": text_of(model.tokenizer, numbers[:-1] if has_ended else numbers),
        "prompt_tokens": len(ids),
        "is_cut_off": not has_ended and len(numbers) == most,
        "seconds": monotonic() - begun,
        "token_seconds": [later - earlier for earlier, later in pairwise(times)],
    }
