"""tokenizer.json and tokenizer_config.json, built from a byte-level BPE's tokens, merges and types.

The file splits, merges and decodes as Hugging Face's `tokenizers` does for the model family that the pre-tokenizer's
name stands for. Normalisation is not among the facts that GGUF and APR keep, so there is none.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from aprtui.convert.builtin.facts import ModelFacts
from aprtui.formats.tokenizer import TokenizerFacts, TokenizerModel, TokenType
from aprtui.formats.tokenizer.pre_tokenizers import ADDS_BOS, structure

_ADDED = (TokenType.CONTROL, TokenType.USER_DEFINED, TokenType.UNKNOWN)
_BYTE_LEVEL = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}


def cannot_rebuild(tokenizer: TokenizerFacts) -> str | None:
    """Why there can be no tokenizer.json; None where there can."""
    if tokenizer.model is not TokenizerModel.BPE:
        return f"the tokenizer is {tokenizer.model or 'of an unknown kind'}, and only byte-level BPE is rebuilt"
    lacking = {"vocabulary": tokenizer.vocabulary, "merges": tokenizer.merges, "token types": tokenizer.token_types}
    absent = [name for name, value in lacking.items() if not value]
    if absent:
        return f"the source's tokenizer lacks {' and '.join(absent)}"
    name = tokenizer.pre_tokenizer.name if tokenizer.pre_tokenizer is not None else None
    if name is None:
        return "the source's pre-tokenizer has no name that we know"
    return None if structure(name) is not None else f"how the pre-tokenizer {name} splits text is not known"


def tokenizer_json(facts: ModelFacts, tokenizer: TokenizerFacts) -> dict[str, Any]:
    """The object of tokenizer.json for a tokenizer that `cannot_rebuild` has nothing against."""
    return bpe_json(tokenizer) | {"post_processor": _post_processor(facts, tokenizer)}


def bpe_json(tokenizer: TokenizerFacts) -> dict[str, Any]:
    """The same object without what puts bos in front of a text and eos behind it."""
    tokens, types = tokenizer.vocabulary, tokenizer.token_types
    assert tokens is not None
    assert types is not None
    assert tokenizer.pre_tokenizer is not None
    name = tokenizer.pre_tokenizer.name or ""
    used = [(number, text, kind) for number, (text, kind) in enumerate(zip(tokens, types, strict=False))]
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [added_token(*token) for token in used if token[2] in _ADDED],
        "normalizer": None,
        "pre_tokenizer": structure(name),
        "post_processor": None,
        "decoder": dict(_BYTE_LEVEL, add_prefix_space=True, use_regex=True),
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": False,
            "byte_fallback": False,
            # llama.cpp looks whole words up first under the names that also add bos (`llama_vocab::impl::load`).
            "ignore_merges": name in ADDS_BOS,
            # Added tokens stand here too: it fixes their ids, whatever other tokens there are.
            "vocab": {text: number for number, text, kind in used if kind != TokenType.UNUSED},
            "merges": [merge.split(" ", 1) for merge in tokenizer.merges or ()],
        },
    }


def added_token(number: int, text: str, kind: int) -> dict[str, Any]:
    """An entry of `added_tokens`; everything but a user-defined token is special."""
    return {
        "id": number,
        "content": text,
        "single_word": False,
        "lstrip": False,
        "rstrip": False,
        "normalized": False,
        "special": kind != TokenType.USER_DEFINED,
    }


def _post_processor(facts: ModelFacts, tokenizer: TokenizerFacts) -> dict[str, Any] | None:
    """What puts bos in front of a text and eos behind it."""
    if tokenizer.add_bos is None:
        return None
    texts = special_texts(facts, tokenizer)
    bos, eos = (
        texts.get(f"{kind}_token") if added else None
        for kind, added in (("bos", tokenizer.add_bos), ("eos", tokenizer.add_eos))
    )
    if bos is None and eos is None:
        return dict(_BYTE_LEVEL)
    ids = {text: number for text, number in ((bos, facts.bos), (eos, facts.eos)) if text is not None}
    template = {
        "type": "TemplateProcessing",
        "single": _template(bos, eos, ("A",)),
        "pair": _template(bos, eos, ("A", "B")),
        "special_tokens": {text: {"id": text, "ids": [number], "tokens": [text]} for text, number in ids.items()},
    }
    return {"type": "Sequence", "processors": [dict(_BYTE_LEVEL), template]}


def _template(bos: str | None, eos: str | None, sequences: tuple[str, ...]) -> list[dict[str, Any]]:
    parts: list[dict[str, Any]] = []
    for type_id, sequence in enumerate(sequences):
        parts += [{"SpecialToken": {"id": bos, "type_id": type_id}}] if bos is not None else []
        parts.append({"Sequence": {"id": sequence, "type_id": type_id}})
        parts += [{"SpecialToken": {"id": eos, "type_id": type_id}}] if eos is not None else []
    return parts


def special_texts(facts: ModelFacts, tokenizer: TokenizerFacts) -> Mapping[str, str]:
    """Text of each special token under its name in tokenizer_config.json."""
    tokens = tokenizer.vocabulary or ()
    ids = {"bos": facts.bos, "eos": facts.eos, **tokenizer.special_ids}
    named = {kind: ids.get(kind) for kind in ("bos", "eos", "unk", "sep", "pad", "cls", "mask")}
    return {
        f"{kind}_token": tokens[number] for kind, number in named.items() if number is not None and number < len(tokens)
    }


def tokenizer_config_json(facts: ModelFacts, tokenizer: TokenizerFacts) -> dict[str, Any]:
    """The object of tokenizer_config.json; the class is the one that takes tokenizer.json as it stands."""
    return {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "clean_up_tokenization_spaces": False,
        **dict(_flags(tokenizer)),
        **special_texts(facts, tokenizer),
        **({"model_max_length": context} if (context := facts.values.get("max_position_embeddings")) else {}),
        **_stated_templates(tokenizer),
    }


def _stated_templates(tokenizer: TokenizerFacts) -> dict[str, Any]:
    """One template as a text, several as a list with their names (transformers' `save_pretrained` of old)."""
    if not tokenizer.named_templates:
        return {} if tokenizer.chat_template is None else {"chat_template": tokenizer.chat_template}
    return {"chat_template": [{"name": name, "template": text} for name, text in tokenizer.templates.items()]}


def _flags(tokenizer: TokenizerFacts) -> Iterator[tuple[str, bool]]:
    for kind, added in (("bos", tokenizer.add_bos), ("eos", tokenizer.add_eos)):
        if added is not None:
            yield f"add_{kind}_token", added
