"""From YAML to a typed playbook: quoted booleans and numbers as text are understood, unknown keys are listed."""

from __future__ import annotations

from pathlib import Path

from aprtui.core.errors import UsageError
from aprtui.core.gates import FORMAT_NAMES, FormatLetter
from aprtui.playbook.playbook import Complaint, Playbook, PlaybookModel
from aprtui.playbook.yaml_lines import YamlDocument, read_yaml

_USED = {
    ("name",),
    ("version",),
    ("model", "hf_repo"),
    ("model", "local_path"),
    ("model", "formats"),
    ("test_matrix", "seed"),
}
_OVERRULED = {("failure_policy",): "every gate runs even when an earlier one failed"}
_LETTERS = {name: letter for letter, name in FORMAT_NAMES.items()}


def load_playbook(path: Path) -> Playbook:
    """Read a playbook.

    Raises:
        UsageError: Not YAML, or a key that aprtui needs is absent or of the wrong type; names the line.
    """
    document = read_yaml(path)
    model = document.value.get("model")
    if not isinstance(model, dict):
        raise UsageError(
            "this playbook names no model", file=path, place=_place(document, "model"), todo="add model.hf_repo"
        )
    return Playbook(
        path=path,
        name=_text(document, path, "name"),
        version=str(document.value.get("version", "")),
        model=PlaybookModel(
            hf_repo=_text(document, path, "model", "hf_repo"),
            local_path=_local_path(document, path),
            formats=_formats(document, path),
        ),
        seed=_integer(document, path, 0, "test_matrix", "seed"),
        complaints=_complaints(document),
    )


def _value(document: YamlDocument, *key: str) -> object:
    value: object = document.value
    for part in key:
        value = value.get(part) if isinstance(value, dict) else None
    return value


def _place(document: YamlDocument, *key: str) -> str:
    line = document.lines.get(key)
    return f"line {line}, {'.'.join(key)}" if line else ".".join(key)


def _text(document: YamlDocument, path: Path, *key: str) -> str:
    value = _value(document, *key)
    if isinstance(value, str | int | float) and str(value).strip():
        return str(value).strip()
    found = "nothing" if value is None else type(value).__name__
    raise UsageError(f"text expected, found {found}", file=path, place=_place(document, *key))


def _integer(document: YamlDocument, path: Path, default: int, *key: str) -> int:
    value = _value(document, *key)
    if value is None:
        return default
    try:
        return int(str(value))
    except ValueError:
        raise UsageError(f"a whole number expected, found {value!r}", file=path, place=_place(document, *key)) from None


def _formats(document: YamlDocument, path: Path) -> tuple[FormatLetter, ...]:
    value = _value(document, "model", "formats")
    if value is None:
        return tuple(FormatLetter)
    letters = []
    for name in value if isinstance(value, list) else [value]:
        letter = _LETTERS.get(name.lower()) if isinstance(name, str) else None
        if letter is None:
            raise UsageError(
                f"unknown format {name!r}",
                file=path,
                place=_place(document, "model", "formats"),
                todo=f"use {', '.join(_LETTERS)}",
            )
        letters.append(letter)
    return tuple(dict.fromkeys(letters))


def _local_path(document: YamlDocument, path: Path) -> Path | None:
    value = _value(document, "model", "local_path")
    if not isinstance(value, str) or not value:
        return None
    local = Path(value).expanduser()
    return local if local.is_absolute() else path.parent / local


def _complaints(document: YamlDocument) -> tuple[Complaint, ...]:
    """Keys that are overruled, then the outermost keys that nothing reads."""
    found = []
    for key, line in document.lines.items():
        if key in _OVERRULED:
            found.append(Complaint(line, ".".join(key), _OVERRULED[key]))
        elif key not in _USED and not any(used[: len(key)] == key for used in _USED) and _is_outermost(key):
            found.append(Complaint(line, ".".join(key)))
    return tuple(sorted(found, key=lambda complaint: complaint.line))


def _is_outermost(key: tuple[str, ...]) -> bool:
    """Whether no part of the path above it is unread already."""
    parents = [key[:length] for length in range(1, len(key))]
    return all(any(used[: len(parent)] == parent for used in _USED) for parent in parents)
