"""Ids back to text, by what a tokenizer states: for showing what a model said, never for judging it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache

from aprtui.formats.tokenizer import TokenizerFacts, TokenizerModel

_BYTE = re.compile(r"<0x([0-9A-Fa-f]{2})>")


def text_of(facts: TokenizerFacts | None, ids: Sequence[int]) -> str:
    """The text of ids; ids without a token are shown as numbers in brackets."""
    tokens = (facts.vocabulary if facts else None) or ()
    pieces = [tokens[number] if 0 <= number < len(tokens) else f"[{number}]" for number in ids]
    if facts is not None and facts.model is TokenizerModel.BPE:
        table = _byte_of_character()
        raw = b"".join(
            bytes(table[character] for character in piece) if all(c in table for c in piece) else _stored(piece)
            for piece in pieces
        )
        return raw.decode("utf-8", "replace")
    raw = b"".join(
        bytes([int(match[1], 16)]) if (match := _BYTE.fullmatch(piece)) else _stored(piece.replace("▁", " "))
        for piece in pieces
    )
    return raw.decode("utf-8", "replace")


def _stored(piece: str) -> bytes:
    """The bytes of a token; a file may hold some that are no UTF-8, or half of a pair of surrogates."""
    try:
        return piece.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return piece.encode("utf-8", "surrogatepass")


@cache
def _byte_of_character() -> dict[str, int]:
    """GPT-2's printable stand-ins for bytes (`bytes_to_unicode` of its encoder.py)."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    found = {chr(byte): byte for byte in printable}
    others = (byte for byte in range(256) if byte not in printable)
    return found | {chr(256 + index): byte for index, byte in enumerate(others)}
