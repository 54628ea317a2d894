"""apr-qa's oracles on generated text: what a text alone can tell, whatever model wrote it.

They take the extracted text only. A text that an oracle cannot judge is Skipped, never passed (apr-qa corroborates
every prompt that its arithmetic cannot parse).
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from math import log2

from aprtui.core.outcomes import Outcome
from aprtui.core.scenarios import OracleKind, OracleSettings, OracleVerdict
from aprtui.inference.arithmetic import expression_of, judge_arithmetic
from aprtui.inference.code_syntax import begins_code, judge_code

_LONG_ENOUGH = 40
_WORDS_ENOUGH = 6
_SIGNS_ENOUGH = 10
_SIGNS_OF_CODE = "(){}[];=:"
_NOT_A_NUMBER = re.compile(r"(?:[+-]?(?:nan|inf)\b[\s,;]*)+", re.IGNORECASE)
_MARKED = re.compile(r"[ĠĊ▁](?=\w)")
"""What byte-level and sentencepiece vocabularies write for blanks and line ends; text has none of them."""
_REPEATED = re.compile(r"(.{2,20}?)\1{2,}", re.DOTALL)


def oracles_for(prompt: str) -> tuple[OracleKind, ...]:
    """The oracles that a prompt calls for: garbage always, arithmetic or code where it is one."""
    if expression_of(prompt) is not None:
        return (OracleKind.GARBAGE, OracleKind.ARITHMETIC)
    if begins_code(prompt):
        return (OracleKind.GARBAGE, OracleKind.CODE_SYNTAX)
    return (OracleKind.GARBAGE, OracleKind.RESPONSE)


def ask(kind: OracleKind, prompt: str, text: str, settings: OracleSettings | None = None) -> OracleVerdict:
    """Judge a generated text.

    Args:
        kind: The oracle.
        prompt: What the model was given.
        text: What it generated: extracted text, no banner, no path, no time.
        settings: The playbook's.
    """
    outcome, reason = _ORACLES[kind](prompt, text, settings or OracleSettings())
    return OracleVerdict(kind, outcome, reason)


_Answer = tuple[Outcome, str]


def _arithmetic(prompt: str, text: str, settings: OracleSettings) -> _Answer:
    return judge_arithmetic(prompt, text, settings.tolerance)


def _garbage(prompt: str, text: str, settings: OracleSettings) -> _Answer:
    """Whether a text is empty, unreadable, or nothing but repetition."""
    reason = _unreadable(text)
    if not reason and not _is_long_result(prompt, text, settings):
        reason = _repetition(prompt, text, settings) or _monotony(text, settings)
    return (Outcome.FALSIFIED, reason) if reason else (Outcome.CORROBORATED, f"{len(text)} characters of text")


def _unreadable(text: str) -> str:
    """Why characters of a text are none that a model should say; empty where they are."""
    kinds = Counter(map(unicodedata.category, text))
    if not text.strip():
        return "the text is empty"
    controls = kinds["Cc"] - sum(map(text.count, "\n\r\t"))
    if controls:
        return f"the text holds {controls} control characters"
    if "\ufffd" in text or kinds["Cs"]:
        return "the text holds bytes that are no UTF-8"
    if not sum(count for kind, count in kinds.items() if kind[0] not in "CZ"):
        return "the text holds nothing visible"
    if _NOT_A_NUMBER.fullmatch(text.strip()):
        return "the text is a value that is no number"
    shown = "".join(text.split())
    if len(shown) >= _SIGNS_ENOUGH and shown.isascii() and not any(map(str.isalnum, shown)):
        return f"the text is nothing but {len(shown)} signs"
    marks = len(_MARKED.findall(text))
    if marks > max(1, sum(map(str.isspace, text))):
        return f"the text holds {marks} of a tokenizer's own marks (Ġ, Ċ, ▁) where blanks belong"
    return ""


def _is_long_result(prompt: str, text: str, settings: OracleSettings) -> bool:
    """Whether a text is little but the result that its prompt asks for, whose digits may repeat."""
    words = text.split()
    if len(words) > _WORDS_ENOUGH or len(set(words)) < len(words) or any(map(str.isalpha, text)):
        return False
    return judge_arithmetic(prompt, text, settings.tolerance)[0] is Outcome.CORROBORATED


def _repetition(prompt: str, text: str, settings: OracleSettings) -> str:
    stripped = text.strip()
    # Without the blank, the last of several words would be no repetition.
    if found := _repeats(f"{stripped} "):
        return found
    # Signs are no words: tables, sums and code are full of them.
    words = [word for word in stripped.split() if any(map(str.isalnum, word))]
    if found := next(filter(None, (_repeats(word) for word in words if any(map(str.isalpha, word)))), ""):
        return found
    if len(words) >= _WORDS_ENOUGH:
        word, count = Counter(words).most_common(1)[0]
        is_most = count / len(words) > settings.max_repetition_ratio and count > 3
        if is_most and not _is_code(prompt, text):
            return f"{count} of {len(words)} words are {word[:20]!r}"
    return ""


def _is_code(prompt: str, text: str) -> bool:
    """Whether a text continues code, which says `and`, `int` or `return` again and again."""
    if not begins_code(prompt) or not any(sign in text for sign in _SIGNS_OF_CODE):
        return False
    return judge_code(prompt, text)[0] is Outcome.CORROBORATED


def _repeats(text: str) -> str:
    match = max(_REPEATED.finditer(text[:4096]), key=lambda each: len(each[0]), default=None)
    if match is None or len(match[0]) < max(12, 0.7 * len(text)):
        return ""
    return f"the text repeats {match[1]!r} {len(match[0]) // len(match[1])} times"


def _monotony(text: str, settings: OracleSettings) -> str:
    if len(text) < _LONG_ENOUGH:
        return ""
    if len(set(text)) < settings.min_unique_chars:
        return f"{len(text)} characters are only {len(set(text))} different ones"
    return "characters carry less than one bit each" if _entropy(text) < 1 else ""


def _entropy(text: str) -> float:
    """Shannon entropy of the characters, bits."""
    shares = [count / len(text) for count in Counter(text).values()]
    return -sum(share * log2(share) for share in shares)


def _code_syntax(prompt: str, text: str, settings: OracleSettings) -> _Answer:
    """Not garbage, and code as far as it goes."""
    outcome, reason = _garbage(prompt, text, settings)
    if outcome is Outcome.FALSIFIED:
        return outcome, reason
    return judge_code(prompt, text)


def _response(prompt: str, text: str, settings: OracleSettings) -> _Answer:
    """Not garbage, and more than the prompt again; whether it answers the prompt, words do not tell."""
    outcome, reason = _garbage(prompt, text, settings)
    if outcome is Outcome.FALSIFIED:
        return outcome, reason
    if " ".join(text.split()).lower() == " ".join(prompt.split()).lower():
        return Outcome.FALSIFIED, "the text is the prompt again"
    return Outcome.CORROBORATED, reason


def _composite(prompt: str, text: str, settings: OracleSettings) -> _Answer:
    parts = [part for part in settings.parts or oracles_for(prompt) if part is not OracleKind.COMPOSITE]
    verdict = composed([ask(part, prompt, text, settings) for part in parts])
    return verdict.outcome, verdict.reason


def composed(parts: Sequence[OracleVerdict]) -> OracleVerdict:
    """The composite of what other oracles say; one that has nothing to say takes no part, unless none has."""
    failed = [part for part in parts if part.outcome is Outcome.FALSIFIED]
    passed = [part for part in parts if part.outcome is Outcome.CORROBORATED]
    if failed:
        outcome, reason = Outcome.FALSIFIED, "; ".join(f"{part.oracle}: {part.reason}" for part in failed)
    elif passed:
        outcome, reason = Outcome.CORROBORATED, f"{len(passed)} of {len(parts)} oracles hold"
    else:
        outcome, reason = Outcome.SKIPPED, "no part of it has anything to say about this prompt"
    return OracleVerdict(OracleKind.COMPOSITE, outcome, reason)


_ORACLES: Mapping[OracleKind, Callable[[str, str, OracleSettings], _Answer]] = {
    OracleKind.ARITHMETIC: _arithmetic,
    OracleKind.GARBAGE: _garbage,
    OracleKind.CODE_SYNTAX: _code_syntax,
    OracleKind.RESPONSE: _response,
    OracleKind.COMPOSITE: _composite,
}
