"""Reads the catalogue: one TOML file per level, and the history that it refers to."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from typing import Any, TypeVar

from aprtui.core.causes.cause import Cause, Question, Repair, RootCause
from aprtui.core.gates import GateSeverity
from aprtui.core.outcomes import Level

_FILES = (*(level.value for level in Level if level is not Level.BEHAVIOUR), "measurement")


T = TypeVar("T")


def _read(name: str, table: str) -> list[dict[str, Any]]:
    import tomllib  # noqa: PLC0415 - only where a cause is named
    from importlib.resources import files  # noqa: PLC0415 - as above

    rows: list[dict[str, Any]] = tomllib.loads(files(__package__).joinpath(f"{name}.toml").read_text("utf-8"))[table]
    return rows


def _root_cause(row: Mapping[str, Any]) -> RootCause:
    return RootCause(row["code"], row["title"], tuple(row["links"]), row.get("outside", ""))


def _cause(row: Mapping[str, Any]) -> Cause:
    family = row["code"].partition(".")[0]
    history = tuple(row["history"])
    return Cause(
        code=row["code"],
        title=row["title"],
        level=None if family == "measurement" else Level(family),
        question=Question.TOKENIZER if family == "tokenizer" else _question(row.get("question")),
        symptoms=row["symptoms"],
        test=row["test"],
        repair=Repair(row["repair"]),
        fix=row["fix"],
        advice=row["advice"],
        severity=GateSeverity(row.get("severity", "P0")),
        history=history,
        faults=tuple(row["faults"]),
        beside=tuple(row.get("beside", ())),
        links=tuple(dict.fromkeys(link for code in history for link in HISTORY[code].links)),
    )


def _question(text: str | None) -> Question | None:
    return None if text is None else Question(text)


class _Table(Mapping[str, T]):
    """Rows by code, read from their files when first asked for: most commands never name a cause."""

    def __init__(self, names: tuple[str, ...], table: str, row: Callable[[Mapping[str, Any]], T]) -> None:
        self._names, self._table, self._row = names, table, row

    @cached_property
    def _rows(self) -> dict[str, T]:
        return {row["code"]: self._row(row) for name in self._names for row in _read(name, self._table)}

    def __getitem__(self, code: str) -> T:
        return self._rows[code]

    def __iter__(self) -> Iterator[str]:
        return iter(self._rows)

    def __len__(self) -> int:
        return len(self._rows)


HISTORY: Mapping[str, RootCause] = _Table(("history",), "root_cause", _root_cause)
"""Every root cause by its code."""

CAUSES: Mapping[str, Cause] = _Table(_FILES, "cause", _cause)
"""Every cause by its code, in the order of the levels."""


def cause_named(code: str) -> Cause:
    """The row of a code.

    Raises:
        KeyError: The catalogue has no such cause.
    """
    return CAUSES[code]
