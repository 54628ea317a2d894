"""What is typed after "/": words, exclusions and comparisons that narrow a table; all of them have to hold.

q_proj          the name holds these letters, whatever their case
!norm           the name does not
layers.*.mlp    * stands for anything
dtype:q4_K      the type of source or target
status:nan      the word in the first column
rule:certif     the tolerance rule
margin>2        also <, >=, <=, = on margin, max (largest difference), ulp, nmse, bytes
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from fnmatch import translate

from aprtui.store.columns import Columns
from aprtui.store.row_status import RowStatus

Predicate = Callable[[int], bool]
NUMBERS = ("margin", "max", "ulp", "nmse", "bytes")
TEXTS = ("dtype", "status", "rule")

_COMPARISON = re.compile(r"(?P<key>[a-z]+)(?P<sign>>=|<=|>|<|=)(?P<value>.*)")
_SIGNS: dict[str, Callable[[float, float], bool]] = {
    ">": operator.gt,
    "<": operator.lt,
    ">=": operator.ge,
    "<=": operator.le,
    "=": operator.eq,
}


class FilterError(ValueError):
    """A filter cannot be understood; the message says which word and what is possible."""


class Filter:
    """A parsed filter.

    Args:
        text: As it was typed.

    Raises:
        FilterError: A word of it cannot be understood.
    """

    def __init__(self, text: str) -> None:
        self.text = text.strip()
        self._terms = [_Term(word) for word in self.text.split()]

    def __bool__(self) -> bool:
        return bool(self._terms)

    def rows(self, columns: Columns, numbers: Iterable[int]) -> list[int]:
        """The rows among these for which every word holds, in their order."""
        found = list(numbers)
        for term in self._terms:
            holds = term.predicate(columns)
            found = [number for number in found if holds(number) != term.negated]
        return found

    def names(self, names: Iterable[str]) -> list[int]:
        """Positions among these names for which every word holds; in lists that have names only."""
        found = list(enumerate(names))
        for term in self._terms:
            found = [(position, name) for position, name in found if term.fits_name(name)]
        return [position for position, _ in found]


class _Term:
    """One word."""

    def __init__(self, word: str) -> None:
        self.negated = word.startswith("!")
        word = word[1:] if self.negated else word
        key, colon, value = word.partition(":")
        match = _COMPARISON.fullmatch(word)
        self.key, self.word, self.sign, self.value = "", word.lower(), "", 0.0
        if match is not None and match["key"] in NUMBERS:
            self.key, self.sign, self.value = match["key"], match["sign"], _number(word, match["value"])
        elif colon and key in TEXTS:
            self.key, self.word = key, value.lower()
        elif match is not None or (colon and key.isalpha()):
            known = ", ".join([*(f"{text}:…" for text in TEXTS), *(f"{number}>…" for number in NUMBERS)])
            raise FilterError(f"{word}: no such column; there are {known}")
        self._matches = re.compile(translate(f"*{self.word}*")).match if "*" in self.word else None

    def fits_name(self, name: str) -> bool:
        """Whether a name fits; a word that is about a column of tensors fits none."""
        return not self.key and self._holds_text(name) != self.negated

    def predicate(self, columns: Columns) -> Predicate:
        """The test of a row, without the negation."""
        if self.sign:
            compare, value = _SIGNS[self.sign], self.value
            columns_of: Mapping[str, Sequence[float]] = {
                "margin": columns.margins,
                "max": columns.max_abs,
                "ulp": columns.max_ulps,
                "nmse": columns.nmses,
                "bytes": columns.nbytes,
            }
            values = columns_of[self.key]
            return lambda number: compare(values[number], value)
        if self.key == "dtype":
            return lambda number: (
                self.word
                in (
                    columns.source_types[number].lower(),
                    columns.target_types[number].lower(),
                )
            )
        if self.key == "status":
            statuses, fits = columns.statuses, [status.word.lower() == self.word for status in RowStatus]
            return lambda number: fits[statuses[number]]
        if self.key == "rule":
            return lambda number: columns.rules[number].startswith(self.word)
        names = columns.names
        return lambda number: self._holds_text(names[number])

    def _holds_text(self, name: str) -> bool:
        if self._matches is not None:
            return self._matches(name.lower()) is not None
        return self.word in name.lower()


def _number(word: str, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise FilterError(f"{word}: {text or 'nothing'} is no number") from None
