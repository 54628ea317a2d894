"""Puts a document's values into the table of keys; what does not fit is one line with the place and what to write."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from aprtui.core.errors import UsageError
from aprtui.playbook.keys import AprtuiKeys, PlaybookKeys, Section, Tolerance
from aprtui.playbook.yaml_tree import KeyPath, Value

Places = Mapping[KeyPath, tuple[Path, int]]

_PROGRAMS = ("command", "converter", "engine", "program", "executable", "binary", "shell", "script", "exec", "env")
_KINDS = {dict: "a mapping", list: "a list", type(None): "nothing"}
_OWN_SECTIONS: dict[KeyPath, type[Section]] = {("aprtui",): AprtuiKeys, ("aprtui", "tolerance"): Tolerance}
_EXPECTED = {
    "string": "text",
    "int": "a whole number",
    "float": "a number",
    "finite": "a number",
    "bool": "true or false",
    "tuple": "a list",
    "list": "a list",
    "model": "a mapping",
    "mapping": "a mapping",
    "dict": "a mapping",
}


def validated(value: Mapping[str, Value], places: Places, path: Path) -> PlaybookKeys:
    """The keys of a playbook.

    Args:
        value: The whole document.
        places: File and line of its keys.
        path: The playbook; relative paths in it start at its folder.

    Raises:
        UsageError: A value does not fit; the first one by line, with the number of others.
    """
    refuse_programs(value.get("aprtui"), places)
    try:
        return PlaybookKeys.model_validate(_without_nulls(dict(value)), context={"folder": path.parent})
    except ValidationError as error:
        errors = [_Problem(details, value, places, path) for details in error.errors(include_url=False)]
    first, *others = sorted(errors, key=lambda problem: (problem.file != path, problem.line))
    more = f" (and {len(others)} more: {', '.join(problem.key for problem in others[:5])})" if others else ""
    place = f"line {first.line}, {first.key}"
    raise UsageError(first.message + more, file=first.file, place=place, todo=first.todo)


def refuse_programs(settings: Value, places: Places) -> None:
    """A playbook comes from somebody else; it must not say what to run on this machine.

    Raises:
        UsageError: A key that names a program.
    """
    for key in settings if isinstance(settings, dict) else ():
        if any(word in _PROGRAMS for word in key.lower().replace("-", "_").split("_")):
            file, line = places["aprtui", key]
            raise UsageError(
                "a playbook cannot say what to run",
                file=file,
                place=f"line {line}, aprtui.{key}",
                todo="name the converter with --converter or in your own settings",
            )


def near_match(key: str, known: set[str] | frozenset[str]) -> str | None:
    """The known key that was probably meant."""
    matches = get_close_matches(key.lower().replace("-", "_"), sorted(known), n=1, cutoff=0.75)
    return matches[0] if matches else None


def _without_nulls(value: Value) -> object:
    """A key that says null is as good as absent."""
    if isinstance(value, dict):
        return {key: _without_nulls(item) for key, item in value.items() if item is not None}
    return [_without_nulls(item) for item in value] if isinstance(value, list) else value


class _Problem:
    """One error of pydantic in aprtui's words."""

    def __init__(self, details: ErrorDetails, value: Mapping[str, Value], places: Places, path: Path) -> None:
        located = tuple(str(part) for part in details["loc"] if part != "[key]")
        known = next((located[:length] for length in range(len(located), 0, -1) if located[:length] in places), ())
        self.file, self.line = places.get(known, (path, 1))
        self.key = ".".join(part for part in located if not part.isdigit())
        self.todo: str | None = None
        word = details["type"].split("_")[0]
        if details["type"] == "missing":
            self._missing(located)
        elif details["type"] == "extra_forbidden":
            self._unknown(located)
        elif details["type"] == "value_error":
            self._split(str(details["ctx"]["error"]))
        elif details["type"] == "enum":
            self.message = f"{details['input']!r} is unknown"
            self.todo = f"use {details['ctx']['expected'].replace(' or ', ', ')}"
        elif word in _EXPECTED and not details["type"].startswith("string_too"):
            self.message = f"{_EXPECTED[word]} expected, found {_found(details['input'])}"
        else:
            self.message = f"{details['msg'][0].lower()}{details['msg'][1:]}, found {_found(details['input'])}"

    def _missing(self, located: KeyPath) -> None:
        names_model = located in (("model",), ("model", "hf_repo"))
        self.message = "this playbook names no model" if names_model else "nothing stands here"
        self.todo = f"add {'model.hf_repo' if names_model else self.key}"

    def _unknown(self, located: KeyPath) -> None:
        section = _OWN_SECTIONS[located[:-1]]
        known = frozenset(section.model_fields)
        near = near_match(located[-1], known)
        self.message = "aprtui has no such key"
        self.todo = f"did you mean {near}?" if near else f"use {', '.join(sorted(known))}"

    def _split(self, message: str) -> None:
        self.message, _, todo = message.partition("; ")
        self.todo = todo or None


def _found(value: object) -> str:
    return _KINDS.get(type(value), repr(value)[:80])
