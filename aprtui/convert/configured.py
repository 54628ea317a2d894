"""One table [converters.NAME] of the settings, checked key by key."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from aprtui.core.errors import UsageError
from aprtui.core.gate_table import CONVERSION_PAIRS
from aprtui.formats.container import Format
from aprtui.paths import user_settings_file

DEFAULT_TIME_LIMIT = 3600.0
"""Seconds for one command of a converter."""

_TIME_LIMIT = "time_limit_s"
_LONGEST = 365 * 86400
_LETTERS = {"S": Format.SAFETENSORS, "G": Format.GGUF, "A": Format.APR}


@dataclass(frozen=True, slots=True)
class ConverterTable:
    """The settings of one converter.

    Attributes:
        name: Name of the table.
        values: What stands in it.
    """

    name: str
    values: Mapping[str, object]

    def wrong(self, key: str, problem: str) -> UsageError:
        """The error for a key of this table."""
        return UsageError(problem, file=user_settings_file(), place=f"converters.{self.name}.{key}")

    def refuse_other_keys(self, *known: str) -> None:
        """Refuse keys other than these and the time limit.

        Raises:
            UsageError: There is one.
        """
        keys = (*known, _TIME_LIMIT)
        for key in self.values:
            if key not in keys:
                raise self.wrong(key, f"there is no such setting; known: {', '.join(keys)}")

    def text(self, key: str) -> str:
        """A text; empty where it is not set.

        Raises:
            UsageError: It is something else.
        """
        value = self.values.get(key, "")
        if not isinstance(value, str):
            raise self.wrong(key, f"a text expected, found {value!r}")
        return value

    def arguments(self, key: str) -> tuple[str, ...]:
        """An argument list, which may be written as a text where it has one member; empty where it is not set.

        Raises:
            UsageError: It is something else.
        """
        value = self.values.get(key, [])
        parts = [value] if isinstance(value, str) else value
        if not isinstance(parts, list) or not all(isinstance(part, str) and part for part in parts):
            raise self.wrong(key, "a list of texts expected, a program and its arguments")
        return tuple(parts)

    def flag(self, key: str) -> bool:
        """True or false; false where it is not set.

        Raises:
            UsageError: It is something else.
        """
        value = self.values.get(key, False)
        if not isinstance(value, bool):
            raise self.wrong(key, f"true or false expected, found {value!r}")
        return value

    def pairs(self) -> frozenset[tuple[Format, Format]] | None:
        """Pairs of formats, written as in gate ids ("S-G"); None where they are not set.

        Raises:
            UsageError: One is not a pair.
        """
        if "pairs" not in self.values:
            return None
        known = [f"{gate.source}-{gate.target}" for gate in CONVERSION_PAIRS]
        pairs = self.arguments("pairs")
        for pair in pairs:
            if pair not in known:
                raise self.wrong("pairs", f"there is no pair {pair!r}; known: {', '.join(known)}")
        return frozenset((_LETTERS[pair[0]], _LETTERS[pair[2]]) for pair in pairs)

    @property
    def time_limit(self) -> float:
        """Seconds for each command.

        Raises:
            UsageError: It is no number, not above zero, or above a year.
        """
        value = self.values.get(_TIME_LIMIT, DEFAULT_TIME_LIMIT)
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= _LONGEST:
            raise self.wrong(_TIME_LIMIT, f"seconds expected, more than 0 and at most {_LONGEST}, found {value!r}")
        return float(value)
