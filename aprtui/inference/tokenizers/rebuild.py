"""Tokenizers rebuilt from what a file states, as the object of a tokenizer.json that `tokenizers` reads.

Byte-level BPE by merges; sentencepiece by scores (of two neighbours whose union is a piece, the one with the highest
score is joined first); unigram; WordPiece. Special tokens in front of and behind a text are not part of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import inf
from typing import Any

from aprtui.convert.builtin.tokenizer_json import added_token, bpe_json, cannot_rebuild
from aprtui.formats.tokenizer import TokenizerFacts, TokenizerModel, TokenType

_SPACE = "▁"
_MARKED = (TokenType.CONTROL, TokenType.USER_DEFINED)
_WORDS = (TokenType.CONTROL, TokenType.UNKNOWN)
_LONGEST_WORD = 100


class CannotRebuild(Exception):  # noqa: N818 - a reason, not an error
    """What a tokenizer lacks, or is, so that it cannot be rebuilt."""


def rebuilt_json(tokenizer: TokenizerFacts) -> dict[str, Any]:
    """The object of tokenizer.json.

    Args:
        tokenizer: The stored facts.

    Raises:
        CannotRebuild: With the reason.
    """
    kind = tokenizer.model
    if kind is TokenizerModel.BPE:
        reason = cannot_rebuild(tokenizer)
        if reason is not None:
            raise CannotRebuild(reason)
        return bpe_json(tokenizer)
    if not tokenizer.vocabulary:
        raise CannotRebuild("it has no vocabulary")
    if kind is TokenizerModel.WORDPIECE:
        return _wordpiece(tokenizer)
    if kind is TokenizerModel.SENTENCEPIECE:
        return _sentencepiece(tokenizer)
    if kind is TokenizerModel.UNIGRAM:
        return _unigram(tokenizer)
    raise CannotRebuild("its kind is not known")


def _object(model: Mapping[str, Any], added: Sequence[Mapping[str, Any]], **parts: object) -> dict[str, Any]:
    empty = dict.fromkeys(("truncation", "padding", "normalizer", "pre_tokenizer", "post_processor", "decoder"))
    return {"version": "1.0", **empty, **parts, "added_tokens": added, "model": model}


def _types(tokenizer: TokenizerFacts) -> Sequence[int]:
    """A type for every token; those that the file states none for are plain text."""
    stated = tokenizer.token_types or ()
    return [*stated, *[TokenType.NORMAL] * (len(tokenizer.vocabulary or ()) - len(stated))]


def _added(tokenizer: TokenizerFacts, kinds: Sequence[TokenType]) -> list[dict[str, Any]]:
    tokens = tokenizer.vocabulary or ()
    return [
        added_token(number, tokens[number], kind)
        for number, kind in enumerate(_types(tokenizer))
        if kind in kinds and number < len(tokens)
    ]


def _sentencepiece(tokenizer: TokenizerFacts) -> dict[str, Any]:
    """A BPE whose merges follow from the scores, with bytes for what has no piece."""
    tokens, types = tokenizer.vocabulary or (), _types(tokenizer)
    pieces: dict[str, int] = {}
    for number, text in enumerate(tokens):
        if types[number] != TokenType.UNUSED:
            pieces.setdefault(text, number)
    joined = {
        text: number for text, number in pieces.items() if types[number] in (TokenType.NORMAL, TokenType.USER_DEFINED)
    }
    if tokenizer.scores:
        merges = list(_merges_by_score(joined, tokenizer.scores))
    elif tokenizer.merges:
        merges = [merge.split(" ", 1) for merge in tokenizer.merges]
    else:
        raise CannotRebuild("it has neither scores nor merges")
    replaced = {"type": "Replace", "pattern": {"String": " "}, "content": _SPACE}
    steps = [*_space_in_front(tokenizer), replaced]
    unknown = next((tokens[number] for number, kind in enumerate(types) if kind == TokenType.UNKNOWN), None)
    model = {
        "type": "BPE",
        "dropout": None,
        "unk_token": unknown,
        "continuing_subword_prefix": None,
        "end_of_word_suffix": None,
        "fuse_unk": True,
        "byte_fallback": any(kind == TokenType.BYTE for kind in types),
        "vocab": pieces,
        "merges": merges,
    }
    return _object(model, _added(tokenizer, _MARKED), normalizer={"type": "Sequence", "normalizers": steps})


def _merges_by_score(pieces: Mapping[str, int], scores: Sequence[float]) -> Iterator[list[str]]:
    """Every way to make a piece of two pieces, best piece first; sentencepiece's order of joining."""
    splits: list[tuple[float, int, list[str]]] = []
    for text, number in pieces.items():
        score = scores[number] if number < len(scores) else -inf
        for cut in range(1, len(text)):
            left, right = text[:cut], text[cut:]
            if left in pieces and right in pieces:
                splits.append((-score, number, [left, right]))
    splits.sort(key=lambda split: split[:2])
    for _, _, pair in splits:
        yield pair


def _unigram(tokenizer: TokenizerFacts) -> dict[str, Any]:
    tokens, types = tokenizer.vocabulary or (), _types(tokenizer)
    if not tokenizer.scores or len(tokenizer.scores) < len(tokens):
        raise CannotRebuild("it has no scores")
    if tokenizer.replaces:
        raise CannotRebuild("it replaces characters by a table of its own before it splits a text")
    unknown = next((number for number, kind in enumerate(types) if kind == TokenType.UNKNOWN), None)
    model = {
        "type": "Unigram",
        "unk_id": unknown,
        "vocab": [[text, score] for text, score in zip(tokens, tokenizer.scores, strict=False)],
        "byte_fallback": any(kind == TokenType.BYTE for kind in types),
    }
    # Metaspace puts no space in front of a text that has one; sentencepiece and llama.cpp do.
    steps = _space_in_front(tokenizer)
    split = {"type": "Metaspace", "replacement": _SPACE, "prepend_scheme": "never", "split": True}
    normalizer = {"type": "Sequence", "normalizers": steps} if steps else None
    return _object(model, _added(tokenizer, _MARKED), normalizer=normalizer, pre_tokenizer=split)


def _space_in_front(tokenizer: TokenizerFacts) -> list[dict[str, Any]]:
    return [{"type": "Prepend", "prepend": _SPACE}] if tokenizer.space_prefix is not False else []


def _wordpiece(tokenizer: TokenizerFacts) -> dict[str, Any]:
    """BERT's; GGUF marks the beginning of a word with "▁" where BERT marks its continuation with "##"."""
    tokens, types = tokenizer.vocabulary or (), _types(tokenizer)
    marks_beginnings = any(text.startswith(_SPACE) for text in tokens)
    vocabulary: dict[str, int] = {}
    for number, text in enumerate(tokens):
        name = text
        if marks_beginnings and types[number] not in _WORDS:
            name = text.removeprefix(_SPACE) if text.startswith(_SPACE) else f"##{text}"
        vocabulary.setdefault(name, number)
    unknown = tokenizer.special_ids.get("unk")
    model = {
        "type": "WordPiece",
        "unk_token": tokens[unknown] if unknown is not None and unknown < len(tokens) else "[UNK]",
        "continuing_subword_prefix": "##",
        "max_input_chars_per_word": _LONGEST_WORD,
        "vocab": vocabulary,
    }
    normalizer = {
        "type": "BertNormalizer",
        "clean_text": True,
        "handle_chinese_chars": True,
        "strip_accents": None,
        "lowercase": True,
    }
    added = _added(tokenizer, (TokenType.CONTROL, TokenType.UNKNOWN))
    return _object(model, added, normalizer=normalizer, pre_tokenizer={"type": "BertPreTokenizer"})
