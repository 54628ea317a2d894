"""`tokenizer.ggml.*` of a GGUF: as many tokens as the embedding has rows, as llama.cpp's converter writes them."""

from __future__ import annotations

from collections.abc import Iterator

from aprtui.convert.builtin.facts import ModelFacts
from aprtui.formats.gguf import GgufValue, ValueType
from aprtui.formats.tokenizer import TokenizerFacts, TokenizerModel, TokenType
from aprtui.formats.tokenizer.facts import unused_name
from aprtui.formats.tokenizer.gguf import MODELS, NAMED_TEMPLATE, SPECIAL_KEYS, TEMPLATE_NAMES

_NAMES = {model: name for name, model in MODELS.items()}
_NO_TOKENIZER = "none"
# What llama.cpp's converter gives an id that no piece stands for (`_create_vocab_sentencepiece`).
_SCORE_OF_UNUSED = -10000.0


def tokenizer_keys(facts: ModelFacts) -> Iterator[GgufValue]:
    """Every tokenizer key; without a tokenizer, the word that makes llama.cpp take token ids only."""
    tokenizer = facts.tokenizer
    if tokenizer is None or tokenizer.vocabulary is None or tokenizer.model is None:
        yield GgufValue("tokenizer.ggml.model", _NO_TOKENIZER, ValueType.STRING)
    else:
        yield GgufValue("tokenizer.ggml.model", _NAMES[tokenizer.model], ValueType.STRING)
        if tokenizer.pre_tokenizer is not None and tokenizer.pre_tokenizer.name is not None:
            yield GgufValue("tokenizer.ggml.pre", tokenizer.pre_tokenizer.name, ValueType.STRING)
        yield from _tokens(tokenizer, facts.values.get("vocab_size") or 0)
    for kind, number in (("bos", facts.bos), ("eos", facts.eos)):
        if number is not None:
            yield GgufValue(f"tokenizer.ggml.{kind}_token_id", number, ValueType.UINT32)
    if tokenizer is not None:
        yield from _special(tokenizer)


def _tokens(tokenizer: TokenizerFacts, rows: int) -> Iterator[GgufValue]:
    tokens = list(tokenizer.vocabulary or ())
    missing = range(len(tokens), rows)
    tokens += [unused_name(number) for number in missing]
    yield GgufValue("tokenizer.ggml.tokens", tokens, ValueType.ARRAY, ValueType.STRING)
    scores = tokenizer.scores
    if scores is None and tokenizer.model is TokenizerModel.SENTENCEPIECE and tokenizer.merges:
        scores = [-1000.0] * (len(tokens) - len(missing))
    if scores is not None:
        padded = [*scores, *(_SCORE_OF_UNUSED for _ in missing)]
        yield GgufValue("tokenizer.ggml.scores", padded, ValueType.ARRAY, ValueType.FLOAT32)
    if tokenizer.token_types is not None:
        types = [*tokenizer.token_types, *(int(TokenType.UNUSED) for _ in missing)]
        yield GgufValue("tokenizer.ggml.token_type", types, ValueType.ARRAY, ValueType.INT32)
    if tokenizer.merges:
        yield GgufValue("tokenizer.ggml.merges", list(tokenizer.merges), ValueType.ARRAY, ValueType.STRING)


def _special(tokenizer: TokenizerFacts) -> Iterator[GgufValue]:
    for kind, number in tokenizer.special_ids.items():
        if kind in SPECIAL_KEYS:
            yield GgufValue(f"tokenizer.ggml.{SPECIAL_KEYS[kind]}", number, ValueType.UINT32)
    for kind, added in (("bos", tokenizer.add_bos), ("eos", tokenizer.add_eos)):
        if added is not None:
            yield GgufValue(f"tokenizer.ggml.add_{kind}_token", added, ValueType.BOOL)
    if tokenizer.space_prefix is not None:
        yield GgufValue("tokenizer.ggml.add_space_prefix", tokenizer.space_prefix, ValueType.BOOL)
    if tokenizer.chat_template is not None:
        yield GgufValue("tokenizer.chat_template", tokenizer.chat_template, ValueType.STRING)
    for name, text in tokenizer.named_templates.items():
        yield GgufValue(f"{NAMED_TEMPLATE}{name}", text, ValueType.STRING)
    if tokenizer.named_templates:
        yield GgufValue(TEMPLATE_NAMES, list(tokenizer.named_templates), ValueType.ARRAY, ValueType.STRING)
