"""The 2x2 test: whose tokens, whose weights. It names the tokenizer at a glance where it is the tokenizer."""

from __future__ import annotations

from collections.abc import Sequence
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
    figures = [
        _nats(model, [each[column] for each in chosen]) / log(2) / nbytes for column in (1, 2) for model in models
    ]
    return TokenSwap(*figures)


def _nats(model: ReferenceModel, sequences: Sequence[Sequence[int]]) -> float:
    """-ln p of the sequences, their first tokens given."""
    total = 0.0
    with model.kept():
        for ids in sequences:
            hidden = model.hidden(torch.tensor([list(ids)]))
            ln_p = torch.log_softmax(model.logits(hidden[0]).double(), 1)
            following = torch.tensor(list(ids[1:]), dtype=torch.long, device=ln_p.device)
            total -= float(ln_p[:-1].gather(1, following[:, None]).sum())
    return total
