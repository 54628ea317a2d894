"""Settings: the command line goes before the environment, then a project's aprtui.toml, then the user's settings.toml.

The first place that sets a key decides it alone; lists are not joined. Converters are programs that get run: the
user's own file alone may name them, because a project's file may come from somebody else.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from aprtui.core.errors import AprtuiError, UsageError
from aprtui.paths import project_settings_file, user_settings_file

MODEL_FOLDERS_VARIABLE = "APRTUI_MODEL_FOLDERS"
"""Environment variable: folders with models, separated as in PATH."""

_MODEL_FOLDERS = "model_folders"
_CONVERTERS = "converters"
_KEYS = (_MODEL_FOLDERS, _CONVERTERS)
_LINE_OF_SYNTAX_ERROR = re.compile(r"\(at (?:line (?P<line>\d+), column \d+|end of document)\)")


@dataclass(frozen=True, slots=True)
class Settings:
    """What the user has set.

    Attributes:
        model_folders: Folders to look for models in, besides the caches.
        origin: Where `model_folders` were set; empty where nowhere.
        converters: The tables [converters.NAME] of the user's own file; what may stand in one, `aprtui.convert` knows.
    """

    model_folders: tuple[Path, ...] = ()
    origin: str = ""
    converters: Mapping[str, Mapping[str, object]] = field(default_factory=dict)


def load_settings(model_folders: Sequence[Path] = ()) -> Settings:
    """The settings that hold here and now.

    Args:
        model_folders: Folders from the command line.

    Raises:
        UsageError: A settings file is no TOML, or a key is unknown or of the wrong type; names file, line and key.
        AprtuiError: A settings file cannot be read.
    """
    # Files are read even where they are overruled, so that a mistake in one shows at once.
    files = [read_settings(project_settings_file(), may_name_programs=False), read_settings(user_settings_file())]
    settings = Settings(converters=files[-1].converters)
    if model_folders:
        return replace(settings, model_folders=tuple(model_folders), origin="command line")
    if variable := os.environ.get(MODEL_FOLDERS_VARIABLE):
        folders = tuple(Path(folder).expanduser() for folder in variable.split(os.pathsep) if folder)
        return replace(settings, model_folders=folders, origin=MODEL_FOLDERS_VARIABLE)
    for file in files:
        if file.origin:
            return replace(settings, model_folders=file.model_folders, origin=file.origin)
    return settings


def read_settings(path: Path, *, may_name_programs: bool = True) -> Settings:
    """The settings of one file; its origin is empty where it does not set `model_folders`, or does not exist.

    Args:
        path: The file.
        may_name_programs: Whether converters may stand in it.

    Raises:
        UsageError: It is no TOML, or a key is unknown or of the wrong type; names file, line and key.
        AprtuiError: It cannot be read.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return Settings()
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
    if _CONVERTERS in values and not may_name_programs:
        todo = f"set converters in {user_settings_file()}"
        raise UsageError(
            "a project may not name programs to run", file=path, place=_place(text, _CONVERTERS), todo=todo
        )
    folders = _folders(path, text, values)
    origin = "" if folders is None else str(path)
    return Settings(folders or (), origin, _converters(path, text, values))


def _converters(path: Path, text: str, values: Mapping[str, object]) -> Mapping[str, Mapping[str, object]]:
    tables = values.get(_CONVERTERS, {})
    if not isinstance(tables, dict) or not all(isinstance(table, dict) for table in tables.values()):
        todo = f'write [{_CONVERTERS}.NAME] and command = ["PROGRAM", …] below it'
        raise UsageError("tables of converters expected", file=path, place=_place(text, _CONVERTERS), todo=todo)
    return tables


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
