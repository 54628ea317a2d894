"""The one place where text from files becomes fit for a terminal.

Tensor names, metadata and chat templates come from strangers and may hold escape sequences, control characters
or bidirectional overrides. Everything that is printed goes through `safe_text` at the edge.
"""

from __future__ import annotations

import unicodedata

_HIDDEN_CATEGORIES = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


def safe_text(text: object, limit: int = 400) -> str:
    """Text with every invisible or controlling character shown as an escape, cut to a length.

    Args:
        text: Anything; converted with `str`.
        limit: Longest result in characters; a cut is marked with "…".
    """
    raw = str(text)
    shown = "".join(character if _is_visible(character) else _escaped(character) for character in raw[: limit + 1])
    return shown if len(shown) <= limit else f"{shown[: limit - 1]}…"


def is_unicode(text: str) -> bool:
    """Whether a text is whole: bytes of another encoding, and escapes in JSON, come as halves of surrogate pairs."""
    return not any("\ud800" <= character <= "\udfff" for character in text)


def _is_visible(character: str) -> bool:
    return unicodedata.category(character) not in _HIDDEN_CATEGORIES


def _escaped(character: str) -> str:
    return character.encode("unicode_escape", "surrogatepass").decode("ascii")
