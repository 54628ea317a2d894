"""Types of single values in playbooks: what the text of a scalar may say, and the same for the JSON schema.

A scalar arrives as the text that was written, so `"true"`, `yes` and `true` are one value, and so are `1e-5` quoted or
not. The schema allows both spellings, because an editor's YAML reader sees the difference.
"""

from __future__ import annotations

import re
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, ValidationInfo, WithJsonSchema

from aprtui.core.gates import FORMAT_NAMES, FormatLetter
from aprtui.core.outcomes import Level

_NAME = r"[A-Za-z0-9][A-Za-z0-9._+-]{0,127}"
_REPOSITORY = r"[A-Za-z0-9][A-Za-z0-9._-]{0,95}(/[A-Za-z0-9][A-Za-z0-9._-]{0,95})?"
_GATE = r"[A-Z][A-Z0-9]*(-[A-Z0-9]+)+"
_LETTERS = {name: letter for letter, name in FORMAT_NAMES.items()}
COUNT_SCHEMA = {"anyOf": [{"type": "integer"}, {"type": "string", "pattern": r"^\d+$"}]}
_NUMBER = {"anyOf": [{"type": "number"}, {"type": "string", "pattern": r"^\d*\.?\d+([eE][+-]?\d+)?$"}]}
_FLAG = {"anyOf": [{"type": "boolean"}, {"enum": ["true", "false", "yes", "no", "on", "off"]}]}


class SizeCategory(StrEnum):
    """apr-qa's classes of models by size."""

    TINY = "tiny"
    SMALL = "small"
    MEDIUM = "medium"
    LARGE = "large"
    XLARGE = "xlarge"
    HUGE = "huge"
    AUTO = "auto"


class FailurePolicy(StrEnum):
    """When apr-qa stops; the spellings of its playbooks."""

    STOP_ON_FIRST = "stop_on_first"
    STOP_ON_P0 = "stop_on_p0"
    COLLECT_ALL = "collect_all"


class Invariant(StrEnum):
    """apr-qa's contract invariants."""

    I1 = "I-1"
    I2 = "I-2"
    I3 = "I-3"
    I4 = "I-4"
    I5 = "I-5"


def as_list(value: object) -> object:
    """One word where a list is expected is a list of one."""
    return [value] if isinstance(value, str) else value


def _matching(pattern: str, what: str) -> BeforeValidator:
    def check(value: object) -> object:
        if isinstance(value, str) and not re.fullmatch(pattern, value.strip()):
            raise ValueError(f"{value!r} is not {what}")
        return value.strip() if isinstance(value, str) else value

    return BeforeValidator(check)


def _format(value: object) -> object:
    letter = _LETTERS.get(value.strip().lower()) if isinstance(value, str) else None
    if letter is None:
        raise ValueError(f"unknown format {value!r}; use {', '.join(_LETTERS)}")
    return letter


def _level(value: object) -> object:
    word = value.strip().lower() if isinstance(value, str) else value
    if word not in list(Level):
        raise ValueError(f"{value!r} is not a level; use {', '.join(Level)}")
    return word


def _local_path(value: object, info: ValidationInfo) -> object:
    """Relative paths start at the playbook's folder."""
    if not isinstance(value, str):
        return value
    if "\0" in value or not value.strip():
        raise ValueError(f"{value!r} is not a path")
    try:
        path = Path(value).expanduser()
    except RuntimeError:
        raise ValueError(f"{value!r} begins with a home directory that is unknown") from None
    folder: Any = (info.context or {}).get("folder", Path())
    return path if path.is_absolute() else folder / path


Text = Annotated[str, Field(max_length=4000)]
Name = Annotated[
    str,
    _matching(_NAME, "a name: letters, digits, dot, hyphen and underscore, at most 128"),
    WithJsonSchema({"type": "string", "pattern": f"^{_NAME}$"}),
]
Repository = Annotated[
    str,
    _matching(_REPOSITORY, "a repository (org/name)"),
    WithJsonSchema({"type": "string", "pattern": f"^{_REPOSITORY}$"}),
]
GateId = Annotated[
    str,
    _matching(_GATE, "the id of a gate (F-CONV-S-G …)"),
    WithJsonSchema({"type": "string", "pattern": f"^{_GATE}$"}),
]
LocalPath = Annotated[Path, BeforeValidator(_local_path), WithJsonSchema({"type": "string"})]
Version = Annotated[str, WithJsonSchema({"type": ["string", "number"]})]
Count = Annotated[int, Field(ge=0, le=1 << 53), WithJsonSchema(COUNT_SCHEMA)]
Number = Annotated[float, Field(ge=0, allow_inf_nan=False), WithJsonSchema(_NUMBER)]
Flag = Annotated[bool, WithJsonSchema(_FLAG)]
FormatName = Annotated[FormatLetter, BeforeValidator(_format), WithJsonSchema({"enum": list(_LETTERS)})]
LevelName = Annotated[Level, BeforeValidator(_level), WithJsonSchema({"enum": [level.value for level in Level]})]
