"""Added tokens of a tokenizer, and where they stand among the tokens by id."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from aprtui.core.findings import Finding
from aprtui.formats.tokenizer.facts import MOST_TOKENS, TokenType, problem, unused_name

# llama.cpp `does_token_look_special`: added tokens that models forgot to mark as special.
_LOOK_SPECIAL = frozenset({"<pad>", "<mask>", "<2mass>", "[@BOS@]"})
_LOOK_SPECIAL_ENDS = (("<|", "|>"), ("<｜", "｜>"), ("<unused", ">"))


@dataclass(frozen=True, slots=True)
class AddedToken:
    """A token beside the vocabulary of the model.

    Attributes:
        text: Its text.
        number: Its id.
        special: Whether it is special.
    """

    text: str
    number: int
    special: bool

    @property
    def kind(self) -> TokenType:
        """The type that llama.cpp's converter gives it."""
        looks_special = self.text in _LOOK_SPECIAL or any(
            self.text.startswith(start) and self.text.endswith(end) for start, end in _LOOK_SPECIAL_ENDS
        )
        return TokenType.CONTROL if self.special or looks_special else TokenType.USER_DEFINED

    @property
    def stored_text(self) -> str:
        """The text that GGUF stores: spaces of user-defined tokens as spaces."""
        return self.text if self.kind is TokenType.CONTROL else self.text.replace("▁", " ")


def from_tokenizer_json(whole: Mapping[str, Any], problems: list[Finding]) -> dict[str, AddedToken]:
    """Added tokens of tokenizer.json by text."""
    found = {}
    raw = whole.get("added_tokens")
    for entry in raw if isinstance(raw, list) else ():
        text, number = (entry.get("content"), entry.get("id")) if isinstance(entry, dict) else (None, None)
        if isinstance(text, str) and isinstance(number, int) and 0 <= number < MOST_TOKENS:
            found[text] = AddedToken(text, number, bool(entry.get("special")))
        else:
            problems.append(problem("vocabulary", "an added token has no text or no id", entry, "tokenizer.json"))
    return found


def from_tokenizer_config(config: Mapping[str, Any]) -> dict[str, AddedToken]:
    """`added_tokens_decoder` of tokenizer_config.json by text."""
    found = {}
    raw = config.get("added_tokens_decoder")
    for number, entry in raw.items() if isinstance(raw, dict) else ():
        text = entry.get("content") if isinstance(entry, dict) else None
        if isinstance(text, str) and number.isdecimal() and len(number) < 9 and int(number) < MOST_TOKENS:
            found[text] = AddedToken(text, int(number), bool(entry.get("special")))
    return found


def place(
    vocabulary: object,
    added: Mapping[str, AddedToken],
    problems: list[Finding],
    *,
    bytes_marked: bool,
    unknown: object,
) -> tuple[list[str], list[int]]:
    """Tokens and types by id; ids without a token are unused.

    Args:
        vocabulary: The model's own tokens: id by text.
        added: Added tokens by text; they replace what stands at their id.
        problems: Entries that are not text to id are recorded here.
        bytes_marked: Tokens like <0x0A> stand for bytes (byte fallback).
        unknown: The unknown token of a model with byte fallback.
    """
    own = vocabulary if isinstance(vocabulary, Mapping) else {}
    by_id: dict[int, tuple[str, TokenType]] = {}
    refused = 0
    for text, number in own.items():
        if isinstance(number, int) and not isinstance(number, bool) and 0 <= number < MOST_TOKENS:
            kind = TokenType.NORMAL
            if bytes_marked and len(text) == 6 and text.startswith("<0x") and text.endswith(">"):
                kind = TokenType.BYTE
            elif bytes_marked and text == unknown:
                kind = TokenType.UNKNOWN
            by_id[number] = (text, kind)
        else:
            refused += 1
    if refused or not isinstance(vocabulary, Mapping):
        problems.append(problem("vocabulary", f"{refused} entries are not a text with an id"))
    for token in added.values():
        is_unknown = bytes_marked and token.text == unknown
        by_id[token.number] = (token.stored_text, TokenType.UNKNOWN if is_unknown else token.kind)
    size = max(by_id, default=-1) + 1
    unused = [(unused_name(number), TokenType.UNUSED) for number in range(size) if number not in by_id]
    gaps = iter(unused)
    ordered = [by_id[number] if number in by_id else next(gaps) for number in range(size)]
    return [text for text, _ in ordered], [int(kind) for _, kind in ordered]
