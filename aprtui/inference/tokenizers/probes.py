"""Texts that tell tokenizers apart: code, numbers, runs of whitespace, scripts, emoji, special tokens in text.

All of them are in Unicode's composed form (NFC): some tokenizers compose text first, and GGUF has no key for it.
"""

from __future__ import annotations

from collections.abc import Sequence

from aprtui.formats.tokenizer import TokenizerFacts, TokenType

PROBES: tuple[str, ...] = (
    "Hello world",
    " Hello, World! It's we'll I'M they'VE don't",
    "def fib(n):\n    if n < 2:\n        return n\n    return fib(n - 1) + fib(n - 2)\n",
    'for (int i = 0; i < 10; ++i) { printf("%d\\n", i); }\t// loop\r\n',
    "SELECT * FROM t WHERE a >= 1.5e-3 AND b != 'x_y';",
    "1 12 123 1234 12345 3.14159 1,000,000 0x1F 2024-01-31 ½ ²",
    "2+2= 17*3-4/5%6",
    "   leading, trailing   ",
    "a  b   c    d\n\n\ne\t\tf \t\n g\r\n\r\nh",
    "\n \n\n \n\n\n \t \t\t \t\n  \n   \n    \n",
    "camelCaseWord snake_case_word SCREAMING_CASE kebab-case HTTPServer2",
    "naïve café Äpfel über straße ÅNGSTRÖM",
    "нещо на Български; Ελληνικά; עברית; العربية",
    "日本語のテキスト。中文分詞測試，한국어 문장입니다.",
    "ไทย हिन्दी ภาษา বাংলা",
    "🚀 (normal) 😶‍🌫️ (joined) 👩🏽‍💻 ✅ 🦙.cpp",
    "!!!!!! ... ??? ------ ======= /**/ <<>> {{}} [[]] \\\\",
    "https://example.org/a_b?c=d&e=%20f#g user@example.org",
    "\u00a0\u2003\u200b\ufeff\u3000 odd spaces",
    "Zürich'ın ﬁne ﬂow — “quoted” ‘text’ … №",
)

_MOST_SPECIAL = 24


def special_probes(tokenizer: TokenizerFacts) -> tuple[str, ...]:
    """Texts with the source's own special and user-defined tokens in them, between words and between spaces.

    A special token may take the spaces beside it (`lstrip`, `rstrip`), for which GGUF has no key.
    """
    tokens: Sequence[str] = tokenizer.vocabulary or ()
    kinds = (TokenType.CONTROL, TokenType.USER_DEFINED)
    marked = [
        tokens[number]
        for number, kind in enumerate(tokenizer.token_types or ())
        if kind in kinds and number < len(tokens) and tokens[number].strip()
    ]
    # The first and the last ones: families put text markers at one end and reserved ones at the other.
    chosen = list(dict.fromkeys((*marked[: _MOST_SPECIAL // 2], *marked[-_MOST_SPECIAL // 2 :])))
    if not chosen:
        return ()
    return (
        " ".join(f"word{token}word" for token in chosen),
        " ".join(f"word {token} word\n{token}\n" for token in chosen),
        "".join(chosen),
        f"a {chosen[0]} b{chosen[-1]}",
    )
