"""apr-qa's oracles on generated text: what a text alone can tell, whatever model wrote it.

They take the extracted text only. A text that an oracle cannot judge is Skipped, never passed (apr-qa corroborates
every prompt that its arithmetic cannot parse).
"""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from math import log2

from aprtui.core.outcomes import Outcome
from aprtui.core.scenarios import OracleKind, OracleSettings, OracleVerdict
from aprtui.inference.arithmetic import expression_of, judge_arithmetic

_LONGEST_CODE = 1 << 14
_LONG_ENOUGH = 40
_WORDS_ENOUGH = 6
_REPEATED = re.compile(r"(.{2,20}?)\1{2,}", re.DOTALL)
_NOT_A_NUMBER = re.compile(r"\b(?:nan|[+-]?inf)\b", re.IGNORECASE)
_CODE_STARTS = ("def ", "fn ", "function ", "class ", "async ", "import ", "from ")
_BRACKETS = {")": "(", "]": "[", "}": "{"}


def oracles_for(prompt: str) -> tuple[OracleKind, ...]:
    """The oracles that a prompt calls for: garbage always, arithmetic or code where it is one."""
    if expression_of(prompt) is not None:
        return (OracleKind.GARBAGE, OracleKind.ARITHMETIC)
    if prompt.lstrip().startswith(_CODE_STARTS) or "```" in prompt:
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


def _garbage(_prompt: str, text: str, settings: OracleSettings) -> _Answer:
    """Empty, control characters, replacement characters, not-a-number, repetition, few characters."""
    if not text.strip():
        return Outcome.FALSIFIED, "the text is empty"
    controls = sum(1 for character in text if ord(character) < 32 and character not in "\n\r\t")
    if controls:
        return Outcome.FALSIFIED, f"the text holds {controls} control characters"
    if "\ufffd" in text:
        return Outcome.FALSIFIED, "the text holds bytes that are no UTF-8"
    if _NOT_A_NUMBER.fullmatch(text.strip()):
        return Outcome.FALSIFIED, "the text is a value that is no number"
    repeated = _repetition(text, settings)
    if repeated:
        return Outcome.FALSIFIED, repeated
    if len(text) >= _LONG_ENOUGH and len(set(text)) < settings.min_unique_chars:
        return Outcome.FALSIFIED, f"{len(text)} characters are only {len(set(text))} different ones"
    if len(text) >= _LONG_ENOUGH and _entropy(text) < 1:
        return Outcome.FALSIFIED, "characters carry less than one bit each"
    return Outcome.CORROBORATED, f"{len(text)} characters of text"


def _repetition(text: str, settings: OracleSettings) -> str:
    stripped = text.strip()
    match = max(_REPEATED.finditer(stripped[:4096]), key=lambda each: len(each[0]), default=None)
    if match is not None and len(match[0]) >= max(12, 0.7 * len(stripped)):
        return f"the text repeats {match[1]!r} {len(match[0]) // len(match[1])} times"
    words = stripped.split()
    if len(words) >= _WORDS_ENOUGH:
        word, count = Counter(words).most_common(1)[0]
        if count / len(words) > settings.max_repetition_ratio and count > 3:
            return f"{count} of {len(words)} words are {word[:20]!r}"
    return ""


def _entropy(text: str) -> float:
    """Shannon entropy of the characters, bits."""
    shares = [count / len(text) for count in Counter(text).values()]
    return -sum(share * log2(share) for share in shares)


def _code_syntax(prompt: str, text: str, settings: OracleSettings) -> _Answer:
    """Python must parse up to some line of the text; other languages must close only what was opened."""
    outcome, reason = _garbage(prompt, text, settings)
    if outcome is Outcome.FALSIFIED:
        return outcome, reason
    code = _fenced(text) or prompt + text
    if len(code) > _LONGEST_CODE:
        return Outcome.SKIPPED, "the code is too long to parse"
    if prompt.lstrip().startswith(("def ", "class ", "async ", "import ", "from ")) or "python" in prompt.lower():
        lines = code.splitlines()
        given = 1 if _fenced(text) else len(prompt.splitlines())
        for end in range(len(lines), given - 1, -1):
            if _parses("\n".join(lines[:end])):
                return Outcome.CORROBORATED, f"{end} of {len(lines)} lines are Python"
        return Outcome.FALSIFIED, "no line of the text continues the prompt as Python"
    open_: list[str] = []
    for character in code:
        if character in _BRACKETS.values():
            open_.append(character)
        elif character in _BRACKETS and (not open_ or open_.pop() != _BRACKETS[character]):
            return Outcome.FALSIFIED, f"the text closes a {character!r} that was not opened"
    return Outcome.CORROBORATED, "every bracket that closes was opened"


def _parses(code: str) -> bool:
    try:
        ast.parse(code)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return True


def _fenced(text: str) -> str | None:
    """The first block of code between fences."""
    match = re.search(r"```\w*\n(.*?)(?:```|\Z)", text, re.DOTALL)
    return match[1] if match else None


def _response(prompt: str, text: str, settings: OracleSettings) -> _Answer:
    """Not garbage, and more than the prompt again; whether it answers the prompt, words do not tell."""
    outcome, reason = _garbage(prompt, text, settings)
    if outcome is Outcome.FALSIFIED:
        return outcome, reason
    if " ".join(text.split()).lower() == " ".join(prompt.split()).lower():
        return Outcome.FALSIFIED, "the text is the prompt again"
    return Outcome.CORROBORATED, reason


def _composite(prompt: str, text: str, settings: OracleSettings) -> _Answer:
    """Every part; one that has nothing to say takes no part, unless none has."""
    parts: Sequence[OracleVerdict] = [
        ask(part, prompt, text, settings) for part in settings.parts if part is not OracleKind.COMPOSITE
    ]
    failed = [part for part in parts if part.outcome is Outcome.FALSIFIED]
    if failed:
        return Outcome.FALSIFIED, "; ".join(f"{part.oracle}: {part.reason}" for part in failed)
    passed = [part for part in parts if part.outcome is Outcome.CORROBORATED]
    if not passed:
        return Outcome.SKIPPED, "no part of it has anything to say about this prompt"
    return Outcome.CORROBORATED, f"{len(passed)} of {len(parts)} oracles hold"


_ORACLES: Mapping[OracleKind, Callable[[str, str, OracleSettings], _Answer]] = {
    OracleKind.ARITHMETIC: _arithmetic,
    OracleKind.GARBAGE: _garbage,
    OracleKind.CODE_SYNTAX: _code_syntax,
    OracleKind.RESPONSE: _response,
    OracleKind.COMPOSITE: _composite,
}
