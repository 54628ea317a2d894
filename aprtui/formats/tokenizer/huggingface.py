"""The tokenizer beside SafeTensors: tokenizer.model, tokenizer.json, or vocab.json with merges.txt.

They are read as llama.cpp's converter reads them (`get_vocab_base`, `_create_vocab_sentencepiece`): tokens by id with
added tokens merged in, a type for each.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from aprtui.core.errors import FormatError
from aprtui.formats.container import Container, Format
from aprtui.formats.metadata.json_files import LARGEST_CONFIG, LARGEST_TOKENIZER, read_bounded, read_json_object
from aprtui.formats.tokenizer.added_tokens import AddedToken, from_tokenizer_config, from_tokenizer_json, place
from aprtui.formats.tokenizer.facts import (
    DEFAULT_TEMPLATE,
    MOST_TOKENS,
    PreTokenizer,
    TokenizerFacts,
    TokenizerModel,
    TokenType,
    problem,
    unused_name,
)
from aprtui.formats.tokenizer.pre_tokenizers import recognise
from aprtui.formats.tokenizer.sentencepiece import read_sentencepiece
from aprtui.formats.tokenizer.special import added_flags, special_ids
from aprtui.formats.tokenizer.templates import chat_templates

_TOKENIZER_FILES = ("tokenizer.json", "tokenizer.model", "vocab.json")
_SCORE_OF_UNUSED, _SCORE_OF_ADDED = -10000.0, -1000.0
_LARGEST_SCORE = float(np.finfo(np.float32).max)
_MODELS = {"Unigram": TokenizerModel.UNIGRAM, "WordPiece": TokenizerModel.WORDPIECE, "BPE": TokenizerModel.BPE}
# Pre-tokenizers of slow tokenizers, which are code and stand in no file.
_SLOW_PRE_TOKENIZERS = {"GPT2Tokenizer": "gpt-2", "Qwen2Tokenizer": "qwen2"}


class _Files:
    """The JSON files beside a model; a file that cannot be read becomes a problem and counts as empty."""

    def __init__(self, container: Container) -> None:
        self.companions = container.companions
        self.problems: list[Any] = []

    def json(self, name: str, limit: int = LARGEST_CONFIG) -> Mapping[str, Any]:
        try:
            return read_json_object(self.companions[name], limit) if name in self.companions else {}
        except FormatError as error:
            self.problems.append(problem("file", error.problem, place=name))
            return {}


def read(container: Container) -> TokenizerFacts | None:
    """The tokenizer, or None where there is no file of one."""
    files = _Files(container)
    present = [name for name in _TOKENIZER_FILES if name in files.companions]
    if not present:
        return None
    config = files.json("tokenizer_config.json")
    whole = files.json("tokenizer.json", LARGEST_TOKENIZER)
    model = whole.get("model")
    model = model if isinstance(model, dict) else {}
    added = {**from_tokenizer_json(whole, files.problems), **from_tokenizer_config(config)}
    facts = _from_sentencepiece(files, config, has_json=bool(model.get("vocab")))
    if facts is None and model.get("vocab"):
        facts = _from_tokenizer_json(whole, model, added, files)
    if facts is None and "vocab.json" in files.companions:
        facts = _from_vocab_json(files, config, added)
    if facts is None:
        reason = f"{present[0]} is a stub: it has no vocabulary"
        return TokenizerFacts(Format.SAFETENSORS, stub=reason, problems=tuple(files.problems))
    add_bos, add_eos = added_flags(whole, config)
    templates = chat_templates(config, files.companions, files.problems)
    return replace(
        facts,
        special_ids=special_ids(whole, config, files.json("config.json")),
        add_bos=add_bos,
        add_eos=add_eos,
        chat_template=templates.pop(DEFAULT_TEMPLATE, None),
        named_templates=templates,
        problems=tuple(files.problems),
    )


def _from_sentencepiece(files: _Files, config: Mapping[str, Any], *, has_json: bool) -> TokenizerFacts | None:
    path = files.companions.get("tokenizer.model")
    if path is None:
        return None
    try:
        stated = read_sentencepiece(read_bounded(path, LARGEST_TOKENIZER))
    except FormatError as error:
        # Some models keep a tokenizer.model of another kind beside tokenizer.json.
        if not has_json:
            files.problems.append(problem("file", error.problem, place="tokenizer.model"))
        return None
    pieces = stated.pieces
    tokens = [piece.text for piece in pieces]
    # llama.cpp's converter asks for every type but this one; added_tokens_decoder marks such tokens again.
    plain = TokenType.USER_DEFINED
    types = [int(TokenType.NORMAL if piece.kind is plain else piece.kind) for piece in pieces]
    scores = [piece.score for piece in pieces]
    slow = files.json("added_tokens.json")
    added = {text: AddedToken(text, number, special=False) for text, number in slow.items() if isinstance(number, int)}
    added |= from_tokenizer_config(config)
    for token in added.values():
        while len(tokens) <= token.number < MOST_TOKENS:
            tokens.append(unused_name(len(tokens)))
            types.append(int(TokenType.UNUSED))
            scores.append(_SCORE_OF_UNUSED)
        if 0 <= token.number < len(tokens):
            tokens[token.number], types[token.number] = token.stored_text, int(token.kind)
            scores[token.number] = _SCORE_OF_ADDED
    return TokenizerFacts(
        Format.SAFETENSORS,
        TokenizerModel.UNIGRAM if stated.unigram else TokenizerModel.SENTENCEPIECE,
        vocabulary=tokens,
        token_types=types,
        scores=scores,
        space_prefix=stated.space_prefix,
        replaces=stated.replaces,
    )


def _from_tokenizer_json(
    whole: Mapping[str, Any], model: Mapping[str, Any], added: Mapping[str, AddedToken], files: _Files
) -> TokenizerFacts:
    spelt = model.get("type")
    kind = _MODELS.get(spelt) if isinstance(spelt, str) else None
    vocabulary, scores = model["vocab"], None
    if isinstance(vocabulary, list):
        vocabulary, scores = _with_scores(vocabulary, files)
    byte_fallback = model.get("byte_fallback") is True
    if kind is TokenizerModel.BPE and byte_fallback:
        kind = TokenizerModel.SENTENCEPIECE
    tokens, types = place(vocabulary, added, files.problems, bytes_marked=byte_fallback, unknown=model.get("unk_token"))
    prefix = model.get("continuing_subword_prefix")
    if kind is TokenizerModel.WORDPIECE and isinstance(prefix, str) and prefix:
        tokens = [_beginning_marked(text, number, prefix) for text, number in zip(tokens, types, strict=True)]
    raw = whole.get("pre_tokenizer")
    return TokenizerFacts(
        Format.SAFETENSORS,
        kind,
        vocabulary=tokens,
        merges=_merges(model.get("merges"), files) if kind is not TokenizerModel.WORDPIECE else None,
        token_types=types,
        scores=scores,
        pre_tokenizer=recognise(raw) if kind is TokenizerModel.BPE else None,
    )


def _beginning_marked(text: str, kind: int, prefix: str) -> str:
    """A token as GGUF stores it: marked where a word begins, and not where it goes on (`BertModel.set_vocab`)."""
    if kind in (TokenType.CONTROL, TokenType.UNUSED):
        return text
    return text.removeprefix(prefix) if text.startswith(prefix) else f"▁{text}"


def _with_scores(entries: list[Any], files: _Files) -> tuple[dict[str, int], list[float] | None]:
    """Ids and scores of a list of texts with scores (unigram); no scores where an entry is anything else."""
    vocabulary: dict[str, int] = {}
    scores: list[float] = []
    for number, entry in enumerate(entries):
        text, score = entry if isinstance(entry, list) and len(entry) == 2 else (None, None)
        if isinstance(text, str) and isinstance(score, int | float) and abs(score) <= _LARGEST_SCORE:
            vocabulary[text] = number
            scores.append(float(score))
    if len(scores) < len(entries):
        count = len(entries) - len(scores)
        files.problems.append(problem("vocabulary", f"{count} entries are not a text with a score"))
    return vocabulary, scores if len(scores) == len(vocabulary) == len(entries) else None


def _merges(raw: object, files: _Files) -> list[str] | None:
    """Merges as "a b": stored so, or as pairs since tokenizers 0.20; a space inside a part becomes Ġ, as in GGUF."""
    if not isinstance(raw, list):
        return None
    merges = []
    for entry in raw:
        if isinstance(entry, str):
            merges.append(entry)
        elif isinstance(entry, list) and len(entry) == 2 and all(isinstance(part, str) for part in entry):
            merges.append(" ".join(part.replace(" ", "Ġ") for part in entry))
        else:
            files.problems.append(problem("merges", "an entry is neither text nor a pair", entry, "tokenizer.json"))
            return None
    return merges


def _from_vocab_json(files: _Files, config: Mapping[str, Any], added: dict[str, AddedToken]) -> TokenizerFacts | None:
    vocabulary = files.json("vocab.json", LARGEST_TOKENIZER)
    if not vocabulary:
        return None
    slow = files.json("added_tokens.json")
    extra = {text: AddedToken(text, number, special=False) for text, number in slow.items() if isinstance(number, int)}
    tokens, types = place(vocabulary, {**extra, **added}, files.problems, bytes_marked=False, unknown=None)
    merges = None
    if "merges.txt" in files.companions:
        try:
            content = read_bounded(files.companions["merges.txt"], LARGEST_TOKENIZER).decode("utf-8", "surrogateescape")
        except FormatError as error:
            files.problems.append(problem("merges", error.problem, place="merges.txt"))
        else:
            lines = content.split("\n")
            kept = lines[1:] if lines[0].startswith("#") else lines
            merges = [line.strip() for line in kept if line.strip()]
    name = _SLOW_PRE_TOKENIZERS.get(str(config.get("tokenizer_class")))
    pre = None if name is None else PreTokenizer(name)
    return TokenizerFacts(
        Format.SAFETENSORS, TokenizerModel.BPE, vocabulary=tokens, merges=merges, token_types=types, pre_tokenizer=pre
    )
