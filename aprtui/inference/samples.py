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

_CONTEXT = 4096
"""Of a model that does not state how many positions it has."""

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
        left_out: What of the playbook's prompts is not among them; empty where nothing is missing.
    """

    texts: tuple[str, ...]
    ids: tuple[tuple[int, ...], ...]
    how: str
    random: bool = False
    left_out: str = ""


def context_of(*models: Model) -> int:
    """Positions that all of these models have."""
    stated = (model.config.values.get("max_position_embeddings") for model in models)
    return min((number for number in stated if isinstance(number, int) and number > 0), default=_CONTEXT)


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
    usable = [tuple(number for number in ids if number < vocabulary)[:context] for ids in encoded.ids]
    own = len(set(prompts) & set(texts))
    # Half of the room is the probes', so that many or long prompts do not leave nothing to find a fault with.
    wanted = sum(min(len(one), LONGEST) for one in usable[:own])
    probes = _cut(usable[own:], max(MOST_POSITIONS // 2, MOST_POSITIONS - wanted))
    cut = _cut(usable[:own], MOST_POSITIONS - sum(map(len, probes)))
    kept = [(text, ids) for text, ids in zip(texts, (*cut, *probes), strict=True) if ids]
    if not kept:
        return _random(vocabulary, context, f"none of the source's tokens are below {vocabulary}")
    shorter = sum(len(now) < len(ids) for now, ids in zip(cut, encoded.ids, strict=False))
    left_out = f"logits of {shorter} of {own} prompts beyond their beginnings" if shorter else ""
    return Samples(tuple(text for text, _ in kept), tuple(ids for _, ids in kept), encoded.how, left_out=left_out)


def _cut(sequences: Sequence[tuple[int, ...]], room: int) -> list[tuple[int, ...]]:
    """As many tokens of each as fit into the room together, the same number at most of all."""
    longest = next((most for most in range(LONGEST, 0, -1) if sum(min(len(one), most) for one in sequences) <= room), 0)
    if longest:
        return [one[:longest] for one in sequences]
    return [one[: int(number < room)] for number, one in enumerate(sequences)]


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
