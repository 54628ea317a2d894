"""Settings: the command line goes before the environment, then a project's aprtui.toml, then the user's settings.toml.

The first place that sets a key decides it alone; lists are not joined.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from aprtui.core.errors import AprtuiError, UsageError
from aprtui.paths import project_settings_file, user_settings_file

MODEL_FOLDERS_VARIABLE = "APRTUI_MODEL_FOLDERS"
"""Environment variable: folders with models, separated as in PATH."""

_MODEL_FOLDERS = "model_folders"
_KEYS = (_MODEL_FOLDERS,)
_LINE_OF_SYNTAX_ERROR = re.compile(r"\(at (?:line (?P<line>\d+), column \d+|end of document)\)")


@dataclass(frozen=True, slots=True)
class Settings:
    """What the user has set.

    Attributes:
        model_folders: Folders to look for models in, besides the caches.
        origin: Where `model_folders` were set; empty where nowhere.
    """

    model_folders: tuple[Path, ...] = ()
    origin: str = ""


def load_settings(model_folders: Sequence[Path] = ()) -> Settings:
    """The settings that hold here and now.

    Args:
        model_folders: Folders from the command line.

    Raises:
        UsageError: A settings file is no TOML, or a key is unknown or of the wrong type; names file, line and key.
        AprtuiError: A settings file cannot be read.
    """
    # Files are read even where they are overruled, so that a mistake in one shows at once.
    files = [(path, _read(path)) for path in (project_settings_file(), user_settings_file())]
    if model_folders:
        return Settings(tuple(model_folders), "command line")
    if variable := os.environ.get(MODEL_FOLDERS_VARIABLE):
        folders = (Path(folder).expanduser() for folder in variable.split(os.pathsep) if folder)
        return Settings(tuple(folders), MODEL_FOLDERS_VARIABLE)
    for path, folders_in_file in files:
        if folders_in_file is not None:
            return Settings(folders_in_file, str(path))
    return Settings()


def _read(path: Path) -> tuple[Path, ...] | None:
    """`model_folders` of one file; None where it does not set them, or does not exist."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except UnicodeDecodeError as error:
        raise UsageError("these settings are not UTF-8", file=path, place=f"offset {error.start}") from None
    except OSError as error:
        raise AprtuiError(f"the settings cannot be read: {error.strerror}", file=path) from None
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise _not_toml(path, text, error) from None
    for key in values:
        if key not in _KEYS:
            place, todo = _place(text, key), f"known settings: {', '.join(_KEYS)}"
            raise UsageError("there is no such setting", file=path, place=place, todo=todo)
    return _folders(path, text, values)


def _folders(path: Path, text: str, values: Mapping[str, object]) -> tuple[Path, ...] | None:
    value = values.get(_MODEL_FOLDERS)
    if value is None:
        return None
    if not isinstance(value, list):
        raise _not_folders(path, text, f"found {type(value).__name__}")
    folders = []
    for number, item in enumerate(value, start=1):
        if not isinstance(item, str) or not item:
            raise _not_folders(path, text, f"entry {number} is {item!r}")
        # A relative folder stands relative to the file that names it.
        folders.append(path.parent / Path(item).expanduser())
    return tuple(folders)


def _not_folders(path: Path, text: str, found: str) -> UsageError:
    todo = f'write {_MODEL_FOLDERS} = ["FOLDER", …]'
    return UsageError(f"a list of folders expected, {found}", file=path, place=_place(text, _MODEL_FOLDERS), todo=todo)


def _not_toml(path: Path, text: str, error: tomllib.TOMLDecodeError) -> UsageError:
    match = _LINE_OF_SYNTAX_ERROR.search(str(error))
    line = text.count("\n") + 1 if match is None or match["line"] is None else int(match["line"])
    reason = _LINE_OF_SYNTAX_ERROR.sub("", str(error)).strip()
    return UsageError(f"these settings are not TOML: {reason}", file=path, place=f"line {line}")


def _place(text: str, key: str) -> str:
    """The line that sets a top-level key; the parser does not tell it."""
    setting = re.compile(rf"\s*\[*\s*[\"']?{re.escape(key)}[\"']?\s*[\].=]")
    lines = (number for number, line in enumerate(text.splitlines(), start=1) if setting.match(line))
    line = next(lines, None)
    return key if line is None else f"line {line}, {key}"
