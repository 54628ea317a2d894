"""The code oracle: whether a text continues a prompt as code, as far as a parser or brackets tell."""

from __future__ import annotations

import codeop
import re
import warnings
from collections.abc import Iterator

from aprtui.core.outcomes import Outcome

_LONGEST = 1 << 14
_MOST_LINES = 64
"""Lines of a text that are tried one by one; 32 tokens have fewer."""
_STARTS = ("def ", "fn ", "function ", "class ", "async ", "import ", "from ")
_BRACKETS = {")": "(", "]": "[", "}": "{"}
_FENCE = re.compile(r"^[ \t]*```([^\n`]*)\n?", re.MULTILINE)
_COMMENTS_AND_STRINGS = r'"(?:\\.|[^"\\])*"|//[^\n]*|/\*.*?(?:\*/|\Z)'
# A quote is a string in JavaScript, one character in C and a lifetime in Rust.
_NO_CODE = (
    re.compile(rf"{_COMMENTS_AND_STRINGS}|'(?:\\.|[^'\\\n])'", re.DOTALL),
    re.compile(rf"{_COMMENTS_AND_STRINGS}|'(?:\\.|[^'\\\n])*'", re.DOTALL),
)


def begins_code(prompt: str) -> bool:
    """Whether a prompt is code that goes on, by its first word or a fence that it leaves open."""
    return prompt.lstrip().startswith(_STARTS) or len(_FENCE.findall(prompt)) % 2 == 1


def holds_code(prompt: str, text: str) -> bool:
    """Whether an answer to a turn of a chat holds code: a block of it, or the prompt's once more."""
    return _FENCE.search(text) is not None or _repeats(_begun(prompt), text)


def judge_code(prompt: str, text: str) -> tuple[Outcome, str]:
    """Python must parse up to some line of the text, or be the beginning of it; others close only what was opened.

    Args:
        prompt: Code that goes on, or words that ask for some.
        text: The answer. Of words with a fenced block in them, the block is judged.
    """
    begun, is_python = _begun(prompt), _is_python(prompt)
    found = list(dict.fromkeys(_codes(begun, text)))
    if not found:
        return Outcome.SKIPPED, "the text holds no block of code"
    if max(len(code) for code, _ in found) > _LONGEST:
        return Outcome.SKIPPED, "the code is too long to parse"
    verdicts = [_python(code, given) if is_python else _brackets(code) for code, given in found]
    return next((one for one in verdicts if one[0] is Outcome.CORROBORATED), verdicts[0])


def _begun(prompt: str) -> str | None:
    """The code that a prompt leaves to be continued, which may have yet to begin; None where it asks in words."""
    if not begins_code(prompt):
        return None
    fences = list(_FENCE.finditer(prompt))
    return prompt[fences[-1].end() :] if len(fences) % 2 else prompt


def _is_python(prompt: str) -> bool:
    """Whether a prompt names Python, or is some: other languages have `def`, `class` and `import` too."""
    begun = _begun(prompt)
    if "python" in prompt.lower():
        return True
    if begun is None or not begun.strip() or re.search(r";[ \t]*$", begun, re.MULTILINE):
        return False
    whole_lines = begun.rstrip().rpartition("\n")[0]
    return _parses(begun) or (bool(whole_lines.strip()) and _parses(whole_lines))


def _codes(begun: str | None, text: str) -> Iterator[tuple[str, int]]:
    """Readings of a text as code, and how many characters of each the prompt gave."""
    fences = list(_FENCE.finditer(text))
    before = text[: fences[0].start()] if fences else text
    is_opened = bool(fences) and (len(fences) > 1 or bool(fences[0][1].strip()) or not before.strip())
    if is_opened:
        block = text[fences[0].end() : fences[1].start() if len(fences) > 1 else len(text)]
        yield block, 0
        if begun:
            lines = begun if begun.endswith("\n") else f"{begun}\n"
            yield lines + block, len(lines)
    if begun is not None and before.strip():
        yield begun + before, len(begun)
    if _repeats(begun, text):
        yield before.lstrip(), 0


def _repeats(begun: str | None, text: str) -> bool:
    return begun is not None and bool(begun.strip()) and text.lstrip().startswith(begun.strip())


def _python(code: str, given: int) -> tuple[Outcome, str]:
    lines = code.split("\n")
    # The first line that holds anything of the text: what the prompt alone says is no answer.
    first = code[: given + len(code[given:]) - len(code[given:].lstrip())].count("\n") + 1
    for end in range(min(len(lines), first + _MOST_LINES), first - 1, -1):
        if _parses("\n".join(lines[:end])):
            return Outcome.CORROBORATED, f"{end} of {len(lines)} lines are Python"
    return Outcome.FALSIFIED, "no line of the text continues the prompt as Python"


def _parses(code: str) -> bool:
    """Whether code is Python, or the beginning of some: a text ends where its tokens end, in a docstring as well."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            codeop.compile_command(code, symbol="exec")
        except (SyntaxError, ValueError, OverflowError, RecursionError, MemoryError):
            return False
    return True


def _brackets(code: str) -> tuple[Outcome, str]:
    """Brackets in strings and comments count for nothing; where a quote ends is a matter of the language."""
    wrong = [_wrongly_closed(pattern.sub(" ", code)) for pattern in _NO_CODE]
    if all(wrong):
        return Outcome.FALSIFIED, f"the text closes a {wrong[0]!r} that was not opened"
    return Outcome.CORROBORATED, "every bracket that closes was opened"


def _wrongly_closed(code: str) -> str:
    opened: list[str] = []
    for character in code:
        if character in _BRACKETS.values():
            opened.append(character)
        elif character in _BRACKETS and (not opened or opened.pop() != _BRACKETS[character]):
            return character
    return ""
