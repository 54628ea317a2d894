"""Tokens and merges that are wrong, missing or in the wrong order."""

from __future__ import annotations

from aprtui.faults.draft import Draft
from aprtui.faults.fault import BLOCK_FORMATS, fault
from aprtui.faults.tokenizer_draft import part, set_tokens, tokens

_HEADERS = BLOCK_FORMATS
"""Formats that keep the vocabulary as a list in their header."""


def _merges(draft: Draft) -> list[object]:
    return list(part(draft, "merges").value)


@fault("tokenizer.vocabulary_order", "RC-76", "T19")
def vocabulary_order(draft: Draft) -> None:
    """Two neighbouring tokens have each other's ids."""
    texts = tokens(draft)
    at = len(texts) // 2
    texts[at], texts[at + 1] = texts[at + 1], texts[at]
    set_tokens(draft, texts)


@fault("tokenizer.vocabulary_shifted", "RC-76", "T19")
def vocabulary_shifted(draft: Draft) -> None:
    """Every token has the id of the one before it."""
    texts = tokens(draft)
    set_tokens(draft, [*texts[1:], texts[0]])


@fault("tokenizer.token_changed", "T19")
def token_changed(draft: Draft) -> None:
    """One token has another text."""
    texts = tokens(draft)
    texts[len(texts) // 3] += "?"
    set_tokens(draft, texts)


@fault("tokenizer.vocabulary_cut", "RC-74", "T15", "T19")
def vocabulary_cut(draft: Draft) -> None:
    """The last eight tokens are missing."""
    texts = tokens(draft)
    set_tokens(draft, texts[:-8])


@fault("tokenizer.bytes_as_characters", "RC-81")
def bytes_as_characters(draft: Draft) -> None:
    """Tokens hold the characters that their bytes stand for, where the byte alphabet belongs."""
    set_tokens(draft, [text.replace("Ġ", " ").replace("Ċ", "\n") for text in tokens(draft)])


@fault("tokenizer.tokens_repeated", "RC-80", formats=_HEADERS)
def tokens_repeated(draft: Draft) -> None:
    """Several ids have the same token."""
    texts = tokens(draft)
    set_tokens(draft, [*texts[:-4], *["<unk>"] * 4])


@fault("tokenizer.merges_lost", "RC-75", "T19")
def merges_lost(draft: Draft) -> None:
    """There are no merges."""
    found = part(draft, "merges")
    if isinstance(found.value, list) and found.name == "merges":
        found.set([])
    else:
        found.remove()


@fault("tokenizer.merges_order", "RC-75", "T19")
def merges_order(draft: Draft) -> None:
    """Two merges have each other's rank."""
    merges = _merges(draft)
    merges[0], merges[1] = merges[1], merges[0]
    part(draft, "merges").set(merges)


@fault("tokenizer.merges_cut", "RC-75", "T19")
def merges_cut(draft: Draft) -> None:
    """The second half of the merges is missing."""
    merges = _merges(draft)
    part(draft, "merges").set(merges[: len(merges) // 2])


@fault("tokenizer.scores_lost", "T19", formats=_HEADERS, requires="a sentencepiece tokenizer")
def scores_lost(draft: Draft) -> None:
    """The scores of a sentencepiece vocabulary are missing."""
    part(draft, "scores").remove()


@fault("tokenizer.scores_zero", "T19", formats=_HEADERS, requires="a sentencepiece tokenizer")
def scores_zero(draft: Draft) -> None:
    """The scores of a sentencepiece vocabulary are all zero."""
    scores = part(draft, "scores")
    scores.set([0.0] * len(scores.value))
