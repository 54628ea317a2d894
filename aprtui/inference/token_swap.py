"""The 2x2 test: whose tokens, whose weights. It names the tokenizer at a glance where it is the tokenizer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import log

import torch

from aprtui.core.behaviour import TokenSwap
from aprtui.inference.reference.model import ReferenceModel
from aprtui.inference.request import Pair
from aprtui.inference.samples import LONGEST, Samples
from aprtui.inference.tokenizers import NoEncoderError, encode_texts

_TEXTS = 8


def token_swap(pair: Pair, models: tuple[ReferenceModel, ReferenceModel], samples: Samples) -> TokenSwap | None:
    """Bits per byte of some texts under each combination; None where both sides give equal tokens, or one none."""
    try:
        sides = [encode_texts(model, samples.texts).ids for model in (pair.source, pair.target)]
    except NoEncoderError:
        return None
    if sides[0] == sides[1]:
        return None
    vocabulary = min(int(model.checkpoint.config.get("vocab_size") or 0) for model in models)
    usable = [
        (text, a, b)
        for text, a, b in zip(samples.texts, *sides, strict=True)
        if a and b and max(*a, *b) < vocabulary and max(len(a), len(b)) <= LONGEST
    ]
    # Texts that differ say most, and short ones cost least.
    chosen = sorted(usable, key=lambda each: (each[1] == each[2], len(each[1])))[:_TEXTS]
    if not chosen:
        return None
    nbytes = sum(len(text.encode()) for text, _, _ in chosen)
    ends = _Ends(*(frozenset(model.one_id(kind) for model in (pair.source, pair.target)) for kind in ("bos", "eos")))
    figures = [
        _nats(model, [each[column] for each in chosen], ends) / log(2) / nbytes for column in (1, 2) for model in models
    ]
    return TokenSwap(*figures)


@dataclass(frozen=True, slots=True)
class _Ends:
    """Ids that stand in front of a text and behind it, on either side."""

    bos: frozenset[int | None]
    eos: frozenset[int | None]

    def of_text(self, ids: Sequence[int]) -> tuple[int, int]:
        """From where to where a sequence is the text's own."""
        return int(ids[0] in self.bos), len(ids) - (len(ids) > 1 and ids[-1] in self.eos)


def _nats(model: ReferenceModel, sequences: Sequence[Sequence[int]], ends: _Ends) -> float:
    """-ln p of the texts, their first tokens given: with bos and without it, as many tokens are counted."""
    total = 0.0
    with model.kept():
        for ids in sequences:
            hidden = model.hidden(torch.tensor([list(ids)]))
            ln_p = torch.log_softmax(model.logits(hidden[0]).double(), 1)
            first, end = ends.of_text(ids)
            following = torch.tensor(list(ids[first + 1 : end]), dtype=torch.long, device=ln_p.device)
            total -= float(ln_p[first : first + len(following)].gather(1, following[:, None]).sum())
    return total
