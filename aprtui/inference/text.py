"""Text: both models continue the same ids greedily, and the first difference is weighed.

A greedy continuation needs a whole model in memory. Where there is no room, both models are held to tokens that are
stored already: what each would say behind every one of them is known from the logits.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch

from aprtui.core.behaviour import TextComparison, TextMode, TextVerdict, judge_text
from aprtui.core.scenarios import PROMPTS
from aprtui.formats.tokenizer import TokenizerFacts
from aprtui.inference.machine import require
from aprtui.inference.reference.model import ReferenceModel
from aprtui.inference.request import Pair, Request
from aprtui.inference.samples import context_of
from aprtui.inference.tokenizers import encode_texts
from aprtui.inference.tokenizers.decode import text_of
from aprtui.inference.tokenizers.ends import ends_of

Steps = list[tuple[int, float]]


def require_whole(models: Sequence[ReferenceModel]) -> None:
    """Refuse to hold a whole model where there is no room.

    Raises:
        CannotRunError: With the GiB that it would need.
    """
    largest = max(model.nbytes for model in models)
    require(largest + largest // 8, models[0].runtime.device, "greedy text: a whole model in float32")


def compare_texts(
    pair: Pair, models: tuple[ReferenceModel, ReferenceModel], request: Request, limit: float
) -> tuple[tuple[TextComparison, ...], str]:
    """Continue every prompt with both models, one model in memory at a time.

    Args:
        pair: The models' files.
        models: Source and target.
        request: Prompts and how many tokens.
        limit: The largest margin of the source that what the conversion may change explains.

    Returns:
        A comparison for each prompt that both models can go on from, and why not for the others.

    Raises:
        CannotRunError: There is no room for a whole model.
        NoEncoderError: The source has no tokens.
    """
    prompts = request.prompts or PROMPTS
    require_whole(models)
    encoded = encode_texts(pair.source, prompts).ids
    vocabulary = min(int(model.checkpoint.config.get("vocab_size") or 0) for model in models)
    context = context_of(pair.source, pair.target)
    reasons = [why_unusable(ids, vocabulary, context) for ids in encoded]
    usable = [(text, ids) for text, ids, why in zip(prompts, encoded, reasons, strict=True) if not why]
    ends = ends_of(pair.source)
    lengths = [(ids, min(request.tokens, context - len(ids))) for _, ids in usable]
    source, target = (_continued(model, lengths, ends) for model in models)
    facts = pair.source.tokenizer
    found = []
    for (prompt, _), ours, theirs in zip(usable, source, target, strict=True):
        first, margin, verdict = weigh(ours, [number for number, _ in theirs], limit)
        ids, other = tuple(number for number, _ in ours), tuple(number for number, _ in theirs)
        texts = text_of(facts, ids), text_of(facts, other)
        found.append(TextComparison(prompt, *texts, ids, other, first, margin, limit, verdict))
    lost = Counter(filter(None, reasons))
    return tuple(found), "; ".join(f"{count} of {len(prompts)} prompts {why}" for why, count in lost.items())


def why_unusable(ids: Sequence[int], vocabulary: int, context: int) -> str:
    """Why two models cannot both go on from a prompt; empty where they can.

    Args:
        ids: The prompt.
        vocabulary: Ids below this exist in both models.
        context: Positions that both models have.
    """
    if not ids:
        return "are empty"
    if len(ids) >= context:
        return f"fill the context of {context} tokens"
    return "have tokens that one model lacks" if max(ids) >= vocabulary else ""


@dataclass(slots=True)
class Answers:
    """What two models say behind each of the same tokens.

    Attributes:
        source: The source's most probable id with the margin of its logit over the second best.
        target: The target's most probable id.
    """

    source: Steps = field(default_factory=list)
    target: list[int] = field(default_factory=list)

    def add(self, source: torch.Tensor, target: torch.Tensor) -> None:
        """Add positions: logits float32 [positions, tokens]; tokens that one model alone has are left out."""
        width = min(source.shape[1], target.shape[1])
        best = torch.topk(source[:, :width].double(), min(2, width), dim=1)
        margins = best.values[:, 0] - best.values[:, -1]
        self.source += list(zip(best.indices[:, 0].tolist(), margins.tolist(), strict=True))
        self.target += target[:, :width].argmax(1).tolist()

    def texts(
        self, facts: TokenizerFacts | None, texts: Sequence[str], ids: Sequence[Sequence[int]], limit: float
    ) -> tuple[TextComparison, ...]:
        """Each text under teacher forcing; positions were added in the order of the texts.

        Args:
            facts: The tokenizer that makes text of ids.
            texts: The texts.
            ids: Their stored tokens.
            limit: As in `compare_texts`.
        """
        found, at = [], 0
        for text, tokens in zip(texts, ids, strict=True):
            ours, theirs = self.source[at : at + len(tokens)], self.target[at : at + len(tokens)]
            at += len(tokens)
            first, margin, verdict = weigh_forced(ours, theirs, limit)
            said = tuple(number for number, _ in ours)
            shown = text_of(facts, said), text_of(facts, theirs)
            found.append(
                TextComparison(text, *shown, said, tuple(theirs), first, margin, limit, verdict, TextMode.FORCED)
            )
        return tuple(found)


def _continued(
    model: ReferenceModel, prompts: Sequence[tuple[tuple[int, ...], int]], ends: frozenset[int]
) -> list[Steps]:
    """Continuations of prompts by so many tokens, the weights read once."""
    with model.kept():
        return [generated(model, ids, most, ends) for ids, most in prompts]


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


def weigh_forced(source: Steps, target: Sequence[int], limit: float) -> tuple[int | None, float | None, TextVerdict]:
    """The first position that no tie explains, else the first where ids differ: each is an answer of its own."""
    differing = [
        (at, margin, judge_text(margin, limit))
        for at, ((number, margin), other) in enumerate(zip(source, target, strict=True))
        if number != other
    ]
    wrong = (one for one in differing if one[2] is TextVerdict.WRONG)
    return next(wrong, differing[0] if differing else (None, None, TextVerdict.EQUAL))
