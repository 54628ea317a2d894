"""Settings: the command line goes before the environment, then a project's aprtui.toml, then the user's settings.toml.

The first place that sets a key decides it alone; lists are not joined. Converters are programs that get run: the
user's own file alone may name them, because a project's file may come from somebody else.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from aprtui.core.errors import AprtuiError, UsageError
from aprtui.paths import project_settings_file, user_settings_file

MODEL_FOLDERS_VARIABLE = "APRTUI_MODEL_FOLDERS"
"""Environment variable: folders with models, separated as in PATH."""

_MODEL_FOLDERS = "model_folders"
_PLAYBOOK_FOLDERS = "playbook_folders"
_OUTPUT_DIR = "output_dir"
_CONVERTERS = "converters"
_CONSOLE = "console"
_KEYS = (_MODEL_FOLDERS, _PLAYBOOK_FOLDERS, _OUTPUT_DIR, _CONVERTERS, _CONSOLE)
_VARIABLES = {
    _MODEL_FOLDERS: MODEL_FOLDERS_VARIABLE,
    _PLAYBOOK_FOLDERS: "APRTUI_PLAYBOOK_FOLDERS",
    _OUTPUT_DIR: "APRTUI_OUTPUT_DIR",
    "console.theme": "APRTUI_THEME",
    "console.ascii": "APRTUI_ASCII",
    "console.mouse": "APRTUI_MOUSE",
    "console.clipboard": "APRTUI_CLIPBOARD",
}
_LINE_OF_SYNTAX_ERROR = re.compile(r"\(at (?:line (?P<line>\d+), column \d+|end of document)\)")


class ClipboardWay(StrEnum):
    """How the console copies text."""

    AUTO = "auto"
    TMUX = "tmux"
    OSC52 = "osc52"
    FILE = "file"


@dataclass(frozen=True, slots=True)
class ConsoleSettings:
    """The table [console].

    Attributes:
        theme: Name of a theme; empty for the one that suits the terminal.
        ascii_only: Whether the terminal shows ASCII alone.
        mouse: Whether the terminal sends what the mouse does.
        clipboard: How text is copied.
        bell: Whether the terminal's bell rings when a run ends.
        watch_models: Whether watching includes the model's files and the converter's program.
        keys: Other keys, by their names in the help.
    """

    theme: str = ""
    ascii_only: bool = False
    mouse: bool = True
    clipboard: ClipboardWay = ClipboardWay.AUTO
    bell: bool = True
    watch_models: bool = False
    keys: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Settings:
    """What the user has set.

    Attributes:
        model_folders: Folders to look for models in, besides the caches.
        origin: Where `model_folders` were set; empty where nowhere.
        converters: The tables [converters.NAME] of the user's own file; what may stand in one, `aprtui.convert` knows.
        playbook_folders: Folders with playbooks; empty for aprtui's own and ./playbooks.
        output_dir: Directory for evidence and run folders.
        console: Settings of the console.
    """

    model_folders: tuple[Path, ...] = ()
    origin: str = ""
    converters: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    playbook_folders: tuple[Path, ...] = ()
    output_dir: Path = Path("output")
    console: ConsoleSettings = ConsoleSettings()


def load_settings(model_folders: Sequence[Path] = ()) -> Settings:
    """The settings that hold here and now.

    Args:
        model_folders: Folders from the command line.

    Raises:
        UsageError: A settings file is no TOML, or a key is unknown or of the wrong type; names file, line and key.
        AprtuiError: A settings file cannot be read.
    """
    # Files are read even where they are overruled, so that a mistake in one shows at once.
    project, user = project_settings_file(), user_settings_file()
    files = {str(project): read_settings(project, may_name_programs=False), str(user): read_settings(user)}
    places = {"the environment": _from_environment(), **files}
    found: dict[str, Any] = {}
    for values in reversed(places.values()):
        found.update(values)
    origin = next((place for place, values in places.items() if _MODEL_FOLDERS in values), "")
    if model_folders:
        found[_MODEL_FOLDERS], origin = tuple(model_folders), "command line"
    elif origin == "the environment":
        origin = MODEL_FOLDERS_VARIABLE
    return Settings(
        model_folders=found.get(_MODEL_FOLDERS, ()),
        origin=origin,
        converters=files[str(user)].get(_CONVERTERS, {}),
        playbook_folders=found.get(_PLAYBOOK_FOLDERS, ()),
        output_dir=found.get(_OUTPUT_DIR, Path("output")),
        console=ConsoleSettings(**{name: found[key] for key, (name, _) in _IN_CONSOLE.items() if key in found}),
    )


def _from_environment() -> dict[str, Any]:
    """Settings of the environment; an empty variable sets nothing."""
    found: dict[str, Any] = {}
    for key, variable in _VARIABLES.items():
        value = os.environ.get(variable)
        if not value:
            continue
        if key in (_MODEL_FOLDERS, _PLAYBOOK_FOLDERS):
            found[key] = tuple(Path(folder).expanduser() for folder in value.split(os.pathsep) if folder)
        elif key == _OUTPUT_DIR:
            found[key] = Path(value).expanduser()
        else:
            flag = key in ("console.ascii", "console.mouse")
            found[key] = _console_value(key, value not in ("0", "false", "no") if flag else value, variable, "")
    return found


def read_settings(path: Path, *, may_name_programs: bool = True) -> dict[str, Any]:
    """What one file sets, by key; nothing where it does not exist.

    Args:
        path: The file.
        may_name_programs: Whether converters may stand in it.

    Raises:
        UsageError: It is no TOML, or a key is unknown or of the wrong type; names file, line and key.
        AprtuiError: It cannot be read.
    """
    try:
        text, values = read_toml(path, "these settings")
    except FileNotFoundError:
        return {}
    for key in values:
        if key not in _KEYS:
            place, todo = place_of_key(text, key), f"known settings: {', '.join(_KEYS)}"
            raise UsageError("there is no such setting", file=path, place=place, todo=todo)
    if _CONVERTERS in values and not may_name_programs:
        todo = f"set converters in {user_settings_file()}"
        raise UsageError(
            "a project may not name programs to run", file=path, place=place_of_key(text, _CONVERTERS), todo=todo
        )
    found: dict[str, Any] = {_CONVERTERS: _converters(path, text, values)}
    for key in (_MODEL_FOLDERS, _PLAYBOOK_FOLDERS):
        if (folders := _folders(path, text, values, key)) is not None:
            found[key] = folders
    if _OUTPUT_DIR in values:
        value = values[_OUTPUT_DIR]
        if not isinstance(value, str) or not value:
            raise UsageError("a folder expected", file=path, place=place_of_key(text, _OUTPUT_DIR))
        found[_OUTPUT_DIR] = path.parent / Path(value).expanduser()
    return found | _console(path, text, values.get(_CONSOLE, {}))


def read_toml(path: Path, what: str) -> tuple[str, dict[str, Any]]:
    """Text and values of a TOML file.

    Args:
        path: The file.
        what: What it holds, in the plural, for messages.

    Raises:
        UsageError: It is no TOML; names file and line.
        FileNotFoundError: There is no such file.
        AprtuiError: It cannot be read.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise
    except UnicodeDecodeError as error:
        raise UsageError(f"{what} are not UTF-8", file=path, place=f"offset {error.start}") from None
    except OSError as error:
        raise AprtuiError(f"{what} cannot be read: {error.strerror}", file=path) from None
    try:
        return text, tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        match = _LINE_OF_SYNTAX_ERROR.search(str(error))
        line = text.count("\n") + 1 if match is None or match["line"] is None else int(match["line"])
        reason = _LINE_OF_SYNTAX_ERROR.sub("", str(error)).strip()
        raise UsageError(f"{what} are not TOML: {reason}", file=path, place=f"line {line}") from None


def _keys_of(value: object) -> Mapping[str, str]:
    if not isinstance(value, dict) or not all(isinstance(key, str) for key in value.values()):
        raise TypeError
    return value


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise TypeError
    return value


def _name(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


_IN_CONSOLE: Mapping[str, tuple[str, Callable[[Any], Any]]] = {
    "console.theme": ("theme", _name),
    "console.ascii": ("ascii_only", _flag),
    "console.mouse": ("mouse", _flag),
    "console.clipboard": ("clipboard", ClipboardWay),
    "console.bell": ("bell", _flag),
    "console.watch_models": ("watch_models", _flag),
    "console.keys": ("keys", _keys_of),
}
"""Keys of the table [console]: the field that each one sets, and what makes its value."""


def _console(path: Path, text: str, table: object) -> dict[str, Any]:
    if not isinstance(table, dict):
        raise UsageError("a table expected", file=path, place=place_of_key(text, _CONSOLE), todo=f"write [{_CONSOLE}]")
    found = {}
    for name, value in table.items():
        key = f"{_CONSOLE}.{name}"
        if key not in _IN_CONSOLE:
            known = ", ".join(one.removeprefix(f"{_CONSOLE}.") for one in _IN_CONSOLE)
            raise UsageError(f"there is no {key}", file=path, place=place_of_key(text, name), todo=f"known: {known}")
        found[key] = _console_value(key, value, path, place_of_key(text, name))
    return found


def _console_value(key: str, value: object, source: Path | str, place: str) -> object:
    try:
        return _IN_CONSOLE[key][1](value)
    except (TypeError, ValueError):
        ways = f": {', '.join(ClipboardWay)}" if key == "console.clipboard" else ""
        problem = f"{value!r} is no value of {key}{ways}"
        raise UsageError(problem, file=source, place=place or None) from None


def _converters(path: Path, text: str, values: Mapping[str, object]) -> Mapping[str, Mapping[str, object]]:
    tables = values.get(_CONVERTERS, {})
    if not isinstance(tables, dict) or not all(isinstance(table, dict) for table in tables.values()):
        todo = f'write [{_CONVERTERS}.NAME] and command = ["PROGRAM", …] below it'
        raise UsageError("tables of converters expected", file=path, place=place_of_key(text, _CONVERTERS), todo=todo)
    return tables


def _folders(path: Path, text: str, values: Mapping[str, object], key: str) -> tuple[Path, ...] | None:
    value = values.get(key)
    if value is None:
        return None
    if not isinstance(value, list):
        raise _not_folders(path, text, key, f"found {type(value).__name__}")
    folders = []
    for number, item in enumerate(value, start=1):
        if not isinstance(item, str) or not item:
            raise _not_folders(path, text, key, f"entry {number} is {item!r}")
        # A relative folder stands relative to the file that names it.
        folders.append(path.parent / Path(item).expanduser())
    return tuple(folders)


def _not_folders(path: Path, text: str, key: str, found: str) -> UsageError:
    todo = f'write {key} = ["FOLDER", …]'
    return UsageError(f"a list of folders expected, {found}", file=path, place=place_of_key(text, key), todo=todo)


def place_of_key(text: str, key: str) -> str:
    """The line that sets a top-level key; the parser does not tell it."""
    setting = re.compile(rf"\s*\[*\s*[\"']?{re.escape(key)}[\"']?\s*[\].=]")
    lines = (number for number, line in enumerate(text.splitlines(), start=1) if setting.match(line))
    line = next(lines, None)
    return key if line is None else f"line {line}, {key}"
