"""The arithmetic oracle: the one expression of two numbers that a prompt asks for, and whether a text states its value.

Hyphens and slashes between numbers are dates, ranges and fractions as often as operations, so that they count only
where their value is asked for.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction

from aprtui.core.outcomes import Outcome

_UNSIGNED = r"\d+(?:\.\d+)?"
_EXPRESSION = re.compile(rf"(?<![\w.,])(-?{_UNSIGNED})\s*([-+*/])\s*(-?{_UNSIGNED})(?!\w|[.,]\d)")
_NUMBER = re.compile(rf"(?:(?<![\w)])-)?(?:{_UNSIGNED}|(?<!\d)\.\d+)")
_SPELLED: tuple[tuple[re.Pattern[str], str], ...] = (
    # Nobody asks for longer numbers, and Python reads or shows no products of them.
    (re.compile(r"\d{100,}"), " "),
    # 56,088, in Python 56_088, in TeX 56{,}088 or 56\,088, elsewhere with a narrow blank.
    (re.compile(r"(?<=\d)(?:[,_\u00a0\u202f]|\{,\}|\\,)(?=\d{3}(?!\d))"), ""),
    (re.compile(r"\bplus\b"), "+"),
    (re.compile(r"\bminus\b|[−–]"), "-"),
    (re.compile(r"\b(?:times|multiplied by)\b|\\times|\\cdot|×|(?<=\d)\s+x\s+(?=-?\d)"), "*"),
    (re.compile(r"\bdivided by\b|\\div|÷"), "/"),
)
_ASKS = re.compile(
    r"(?:^|what(?:'s|’s| is)|how much is|calculate|compute|evaluate|solve|simplify|(?:result|value) of):?\s*[(`$*]*$"
)
_GOES_ON = re.compile(r"\s*(?!(?:is|equals?|and|then)\b)[a-z]")
_CHAIN_BEFORE, _CHAIN_BEHIND = re.compile(r"[-+*/^(]\s*$"), re.compile(r"\)*\s*[-+*/^(]")
_RESULT = r"\s*(?:=|is|equals|makes)\s*[*$`]*"
_OPERATIONS: Mapping[str, Callable[[Fraction, Fraction], Fraction]] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": lambda a, b: a / b,
}
_WORDS = (
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"),
    *("thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen", "twenty"),
)
_IN_WORDS = re.compile(rf"(?:^|[=:]|\b(?:is|equals|makes|to))[\s*]*({'|'.join(_WORDS)})[\s*]*(?:$|[.,!;\n])")


@dataclass(frozen=True, slots=True)
class Expression:
    """An expression of two numbers.

    Attributes:
        left: As it is written.
        operator: One of + - * /.
        right: As it is written.
    """

    left: str
    operator: str
    right: str

    def __str__(self) -> str:
        return f"{self.left} {self.operator} {self.right}"

    @property
    def operands(self) -> tuple[Fraction, Fraction]:
        """Both numbers."""
        return _number(self.left), _number(self.right)

    @property
    def value(self) -> Fraction | None:
        """Its value; None for a division by zero."""
        left, right = self.operands
        return None if self.operator == "/" and not right else _OPERATIONS[self.operator](left, right)


def expression_of(prompt: str) -> Expression | None:
    """The last expression of exactly two numbers whose value a prompt asks for; None where there is none."""
    text = _plain(prompt)
    asked = [Expression(*match.groups()) for match in _EXPRESSION.finditer(text) if _is_asked(text, match)]
    return asked[-1] if asked else None


def judge_arithmetic(prompt: str, text: str, tolerance: float) -> tuple[Outcome, str]:
    """Whether a text states the value of the prompt's expression.

    Args:
        prompt: What was asked.
        text: The answer.
        tolerance: Relative; of values that are no whole numbers, which texts round.
    """
    expression = expression_of(prompt)
    if expression is None:
        return Outcome.SKIPPED, "the prompt holds no expression of two numbers"
    expected = expression.value
    if expected is None:
        return Outcome.SKIPPED, f"{expression} has no value"
    shown = f"{expression} is {_shown(expected)}"
    if any(_is_result(number, expression, expected, tolerance) for number in _said(text, expression)):
        return Outcome.CORROBORATED, f"{shown}, which the text says"
    return Outcome.FALSIFIED, f"{shown}, and the text does not say so"


def _plain(text: str) -> str:
    """A text with one spelling of each number and operation."""
    text = text.lower()
    for pattern, symbol in _SPELLED:
        text = pattern.sub(symbol, text)
    return text


def _is_asked(text: str, match: re.Match[str]) -> bool:
    """Whether an expression is no part of a longer one, of a date or of a range."""
    before, behind = text[: match.start()], text[match.end() :]
    if _CHAIN_BEFORE.search(before) and not (before.rstrip().endswith("(") and behind.lstrip().startswith(")")):
        return False
    if _CHAIN_BEHIND.match(behind):
        return False
    if match[2] in "+*" or behind.lstrip().startswith("="):
        return True
    return _ASKS.search(before) is not None and not _GOES_ON.match(behind)


def _said(text: str, expression: Expression) -> Iterator[Fraction]:
    """The numbers that a text gives for a result: those behind the repeated question, where it has any, else all.

    The question again is no answer, though its numbers may be equal to it.
    """
    plain = _plain(text)
    echo = r"\s*".join(map(re.escape, (expression.left, expression.operator, expression.right)))
    stated = re.compile(rf"(?<![\w.]){echo}{_RESULT}({_NUMBER.pattern})(?!\d)(?:\*\*|[$`])?+(?!\d|\s*[-+*/^])").findall(
        plain
    )
    yield from map(_number, stated or _NUMBER.findall(re.sub(rf"(?<![\w.]){echo}", " ", plain)))
    if not stated:
        yield from (Fraction(_WORDS.index(word)) for word in _IN_WORDS.findall(plain))


def _is_result(number: Fraction, expression: Expression, expected: Fraction, tolerance: float) -> bool:
    if expected.denominator == 1:
        # Nobody rounds a whole number: 1001 is within 1 % of 1000, and is wrong.
        return number == expected or (number.denominator != 1 and abs(number - expected) <= abs(expected) / 10**9)
    return number not in expression.operands and abs(number - expected) <= abs(expected) * Fraction(tolerance)


def _number(text: str) -> Fraction:
    return Fraction(text)


def _shown(value: Fraction) -> str:
    return str(value.numerator) if value.denominator == 1 else f"{float(value):g}"
