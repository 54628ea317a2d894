"""Reads the catalogue: one TOML file per level, and the history that it refers to."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from importlib.resources import files
from typing import Any

from aprtui.core.causes.cause import Cause, Question, Repair, RootCause
from aprtui.core.gates import GateSeverity
from aprtui.core.outcomes import Level

_FILES = (*(level.value for level in Level if level is not Level.BEHAVIOUR), "measurement")


def _read(name: str, table: str) -> list[dict[str, Any]]:
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
        links=tuple(dict.fromkeys(link for code in history for link in HISTORY[code].links)),
    )


def _question(text: str | None) -> Question | None:
    return None if text is None else Question(text)


HISTORY: Mapping[str, RootCause] = {row["code"]: _root_cause(row) for row in _read("history", "root_cause")}
"""Every root cause by its code."""

CAUSES: Mapping[str, Cause] = {row["code"]: _cause(row) for name in _FILES for row in _read(name, "cause")}
"""Every cause by its code, in the order of the levels."""


def cause_named(code: str) -> Cause:
    """The row of a code.

    Raises:
        KeyError: The catalogue has no such cause.
    """
    return CAUSES[code]
