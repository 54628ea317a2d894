"""Safe YAML with the line of every key, bounded in size and depth."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from aprtui.core.errors import UsageError

_MAX_BYTES = 1 << 20
_MAX_DEPTH = 40

KeyPath = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class YamlDocument:
    """A parsed file.

    Attributes:
        value: Plain mappings, lists and scalars.
        lines: Line of each key path, from 1.
    """

    value: dict[str, Any]
    lines: dict[KeyPath, int]


def read_yaml(path: Path) -> YamlDocument:
    """Parse a YAML mapping.

    Raises:
        UsageError: No file, too large, not YAML, not a mapping, nested too deeply, or with anchors.
    """
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise UsageError(f"a playbook of more than {_MAX_BYTES} bytes", file=path)
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise UsageError(f"not UTF-8 text ({error.reason} at byte {error.start})", file=path) from None
    except OSError as error:
        raise UsageError(f"cannot be read: {error.strerror}", file=path) from None
    try:
        return _compose(text, path)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f"line {mark.line + 1}, column {mark.column + 1}" if mark else None
        problem = getattr(error, "problem", None) or str(error)
        raise UsageError(f"not valid YAML: {problem}", file=path, place=place) from None
    except RecursionError:
        raise UsageError("nested too deeply", file=path) from None


def _compose(text: str, path: Path) -> YamlDocument:
    if any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text, Loader=yaml.SafeLoader)):
        raise UsageError("anchors and aliases are not read in playbooks", file=path)
    node = yaml.compose(text, Loader=yaml.SafeLoader)
    if not isinstance(node, yaml.MappingNode):
        raise UsageError("a playbook is a mapping of keys", file=path, place="line 1")
    lines: dict[KeyPath, int] = {}
    _walk(node, (), lines, path)
    value = yaml.safe_load(text)
    return YamlDocument(value, lines)


def _walk(node: yaml.Node, at: KeyPath, lines: dict[KeyPath, int], path: Path) -> None:
    if len(at) > _MAX_DEPTH:
        raise UsageError("nested too deeply", file=path, place=f"line {node.start_mark.line + 1}")
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            inner = (*at, str(key.value))
            lines[inner] = key.start_mark.line + 1
            _walk(value, inner, lines, path)
    elif isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            _walk(item, (*at, str(index)), lines, path)
