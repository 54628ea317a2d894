"""Generated text: both models continue the same ids greedily, and the first difference is weighed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aprtui.core.behaviour import TextComparison, TextVerdict, judge_text
from aprtui.core.scenarios import PROMPTS
from aprtui.inference.errors import CannotRunError
from aprtui.inference.machine import require
from aprtui.inference.reference.model import ReferenceModel
from aprtui.inference.tokenizers import NoEncoderError, encode_texts
from aprtui.inference.tokenizers.decode import text_of

if TYPE_CHECKING:
    from aprtui.inference.measure import Pair, Request

Steps = list[tuple[int, float]]


def compare_texts(
    pair: Pair, models: tuple[ReferenceModel, ReferenceModel], request: Request, limit: float, not_checked: list[str]
) -> tuple[TextComparison, ...]:
    """Continue every prompt with both models, one model in memory at a time.

    Args:
        pair: The models' files.
        models: Source and target.
        request: Prompts and how many tokens.
        limit: The largest margin of the source that what the conversion may change explains.
        not_checked: Receives the reason where no text can be generated.
    """
    if not request.tokens:
        not_checked.append("text: not asked for")
        return ()
    prompts = request.prompts or PROMPTS
    try:
        largest = max(model.nbytes for model in models)
        require(largest + largest // 8, models[0].runtime.device, "text: a whole model in float32")
        encoded = encode_texts(pair.source, prompts).ids
    except NoEncoderError as error:
        not_checked.append(f"text: the source has no tokens: {error.problem}")
        return ()
    except CannotRunError as error:
        not_checked.append(error.problem)
        return ()
    vocabulary = min(int(model.checkpoint.config.get("vocab_size") or 0) for model in models)
    usable = [(text, ids) for text, ids in zip(prompts, encoded, strict=True) if ids and max(ids) < vocabulary]
    ends = frozenset(pair.source.config.values.get("eos_token_id", ()))
    source, target = ([generated(model, ids, request.tokens, ends) for _, ids in usable] for model in models)
    facts = pair.source.tokenizer
    found = []
    for (prompt, _), ours, theirs in zip(usable, source, target, strict=True):
        first, margin, verdict = weigh(ours, [number for number, _ in theirs], limit)
        ids, other = tuple(number for number, _ in ours), tuple(number for number, _ in theirs)
        texts = text_of(facts, ids), text_of(facts, other)
        found.append(TextComparison(prompt, *texts, ids, other, first, margin, limit, verdict))
    return tuple(found)


def generated(model: ReferenceModel, ids: tuple[int, ...], most: int, ends: frozenset[int]) -> Steps:
    """A greedy continuation with the weights in memory."""
    with model.kept():
        return model.generate(ids, most, ends)


def weigh(source: Steps, target: list[int], limit: float) -> tuple[int | None, float | None, TextVerdict]:
    """The first position where ids differ, the source's margin there, and what that means."""
    for at, (number, margin) in enumerate(source):
        if at >= len(target) or target[at] != number:
            return at, margin, judge_text(margin, limit)
    return None, None, TextVerdict.EQUAL
