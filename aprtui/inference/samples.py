"""The token ids that models are compared on: prompts and probe texts, cut to what a model and a check can bear."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from aprtui.formats.model import Model
from aprtui.inference.errors import CannotRunError
from aprtui.inference.tokenizers import PROBES, NoEncoderError, encode_texts

LONGEST = 96
"""Tokens of one text that are compared."""

MOST_POSITIONS = 1024
"""Tokens of all texts together."""

_SEED = 20260101
_RANDOM_TEXTS, _RANDOM_LENGTH = 8, 48


@dataclass(frozen=True, slots=True)
class Samples:
    """Texts as token ids.

    Attributes:
        texts: The texts; a description for sequences that are no text.
        ids: Ids of each.
        how: Which tokenizer made them.
        random: They are no text.
    """

    texts: tuple[str, ...]
    ids: tuple[tuple[int, ...], ...]
    how: str
    random: bool = False


def samples_of(source: Model, prompts: Sequence[str], vocabulary: int, context: int) -> Samples:
    """Samples in the source's own tokens; random ids where the source has no tokenizer that can be run.

    Args:
        source: The source.
        prompts: Texts of the playbook; they come first.
        vocabulary: Ids below this exist in both models.
        context: Positions that the models have.

    Raises:
        CannotRunError: The models have no token in common.
    """
    texts = tuple(dict.fromkeys(text for text in (*prompts, *PROBES) if text.strip()))
    try:
        encoded = encode_texts(source, texts)
    except NoEncoderError as error:
        return _random(vocabulary, context, error.problem)
    kept: list[tuple[str, tuple[int, ...]]] = []
    room = MOST_POSITIONS
    for text, ids in zip(texts, encoded.ids, strict=True):
        cut = tuple(number for number in ids if number < vocabulary)[: min(LONGEST, context, room)]
        if cut:
            kept.append((text, cut))
            room -= len(cut)
    if not kept:
        return _random(vocabulary, context, f"none of the source's tokens are below {vocabulary}")
    return Samples(tuple(text for text, _ in kept), tuple(ids for _, ids in kept), encoded.how)


def _random(vocabulary: int, context: int, reason: str) -> Samples:
    """The same random ids every time."""
    if vocabulary < 1:
        raise CannotRunError("the two models have no token in common")
    generator = random.Random(_SEED)  # noqa: S311 - not for secrets
    length = max(1, min(_RANDOM_LENGTH, context))
    drawn = tuple(tuple(generator.randrange(vocabulary) for _ in range(length)) for _ in range(_RANDOM_TEXTS))
    return Samples(
        tuple(f"random ids {number}" for number in range(_RANDOM_TEXTS)),
        drawn,
        f"random ids, because {reason}",
        random=True,
    )
