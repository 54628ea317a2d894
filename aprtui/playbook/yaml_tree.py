"""Reads YAML as text with lines: what a scalar means is decided by the key that holds it, not by YAML's guesses.

PyYAML's constructors never run. YAML 1.1 reads `1e-5` as text and `yes` as a boolean, apr-qa quotes its booleans, and a
version `1.10` must not become 1.1; so every scalar stays the text that was written. Files are taken as hostile:
size, depth and width are bounded, and anchors, aliases and tags are refused.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml

from aprtui.core.errors import UsageError

LARGEST_FILE = 1 << 18
"""Bytes; the largest playbook of apr-qa has 5 KB, its lock file 24 KB."""

_DEEPEST = 40
_NULLS = frozenset({"", "~", "null", "Null", "NULL"})

KeyPath = tuple[str, ...]
Value = str | None | list["Value"] | dict[str, "Value"]
"""A scalar is its text, or None where it says null."""


@dataclass(frozen=True, slots=True)
class YamlFile:
    """A parsed file.

    Attributes:
        path: The file.
        content: Its bytes.
        value: The outermost mapping.
        lines: Line of each key path, from 1; items of lists stand under their index.
    """

    path: Path
    content: bytes
    value: Mapping[str, Value]
    lines: Mapping[KeyPath, int]

    def at(self, *key: str) -> Value:
        """The value of a key path; None where it is absent."""
        value: Value = dict(self.value)
        for part in key:
            value = value.get(part) if isinstance(value, dict) else None
        return value

    def line(self, *key: str) -> int:
        """The line of a key path, or of the innermost key above it that is there."""
        for length in range(len(key), 0, -1):
            if key[:length] in self.lines:
                return self.lines[key[:length]]
        return 1

    def place(self, *key: str) -> str:
        """The line and the key, for an error."""
        return f"line {self.line(*key)}, {'.'.join(key)}"


def read_yaml(path: Path) -> YamlFile:
    """Parse a YAML mapping.

    Raises:
        UsageError: No file, too large, not YAML, not a mapping, nested too deeply, or with anchors, tags
            or a key that stands there twice.
    """
    content = _content(path)
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageError(f"not UTF-8 text ({error.reason} at byte {error.start})", file=path) from None
    try:
        reader = _Reader(path, yaml.parse(text, Loader=yaml.SafeLoader))
        return YamlFile(path, content, reader.document(), reader.lines)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f"line {mark.line + 1}, column {mark.column + 1}" if mark else "line 1"
        problem = getattr(error, "problem", None) or getattr(error, "reason", None) or "it cannot be parsed"
        raise UsageError(f"not valid YAML: {problem}", file=path, place=place) from None


def _content(path: Path) -> bytes:
    try:
        if not path.is_file() and path.exists():
            raise UsageError("not a file", file=path, todo="name a playbook")
        with path.open("rb") as file:
            content = file.read(LARGEST_FILE + 1)
    except OSError as error:
        raise UsageError(f"cannot be read: {error.strerror}", file=path) from None
    except ValueError:
        raise UsageError("not a path", file=repr(str(path))) from None
    if len(content) > LARGEST_FILE:
        raise UsageError(f"a playbook of more than {LARGEST_FILE} bytes", file=path)
    return content


class _Reader:
    """Builds values from parser events, so that nothing is built before its depth is known.

    Args:
        path: The file, for errors.
        events: PyYAML's events.
    """

    def __init__(self, path: Path, events: Iterator[yaml.Event]) -> None:
        self._path = path
        self._events = events
        self.lines: dict[KeyPath, int] = {}

    def document(self) -> dict[str, Value]:
        """The one mapping of the file."""
        event = next(self._events)
        while isinstance(event, yaml.StreamStartEvent | yaml.DocumentStartEvent):
            event = next(self._events)
        if not isinstance(event, yaml.MappingStartEvent):
            raise UsageError("a playbook is a mapping of keys", file=self._path, place="line 1")
        value = self._mapping(event, ())
        next(self._events)
        if not isinstance(event := next(self._events), yaml.StreamEndEvent):
            raise self._error(event, "a second document; a playbook is one")
        return value

    def _value(self, event: yaml.Event, at: KeyPath) -> Value:
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None) is not None:
            raise self._error(event, "anchors and aliases are not read in playbooks")
        if getattr(event, "tag", None) is not None:
            raise self._error(event, "tags are not read in playbooks", "remove the word that begins with !")
        if len(at) > _DEEPEST:
            raise self._error(event, "nested too deeply")
        if isinstance(event, yaml.MappingStartEvent):
            return self._mapping(event, at)
        if isinstance(event, yaml.SequenceStartEvent):
            return self._sequence(at)
        assert isinstance(event, yaml.ScalarEvent)
        return None if event.style is None and event.value in _NULLS else event.value

    def _mapping(self, start: yaml.Event, at: KeyPath) -> dict[str, Value]:
        if getattr(start, "tag", None) is not None or getattr(start, "anchor", None) is not None:
            raise self._error(start, "anchors and tags are not read in playbooks")
        found: dict[str, Value] = {}
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            if not isinstance(event, yaml.ScalarEvent):
                raise self._error(event, "a key is a word, not a list or a mapping")
            key = self._value(event, at) or str(event.value)
            assert isinstance(key, str)
            inner = (*at, key)
            if inner in self.lines:
                raise self._error(event, f"{key!r} stands here twice, first in line {self.lines[inner]}")
            self.lines[inner] = _line(event)
            found[key] = self._value(next(self._events), inner)
        return found

    def _sequence(self, at: KeyPath) -> list[Value]:
        found: list[Value] = []
        while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
            inner = (*at, str(len(found)))
            self.lines[inner] = _line(event)
            found.append(self._value(event, inner))
        return found

    def _error(self, event: yaml.Event, problem: str, todo: str | None = None) -> UsageError:
        return UsageError(problem, file=self._path, place=f"line {_line(event)}", todo=todo)


def _line(event: yaml.Event) -> int:
    return event.start_mark.line + 1 if event.start_mark is not None else 1
