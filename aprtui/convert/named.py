"""Finds the converter that a run tests: `apr` unless another one is named; one that is missing is never replaced."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from aprtui.convert.builtin import BuiltinConverter
from aprtui.convert.command import CommandConverter, Profile
from aprtui.convert.configured import ConverterTable
from aprtui.convert.converter import Converter
from aprtui.convert.profiles import apr, llama_cpp
from aprtui.convert.profiles.user_command import PLACEHOLDERS, UserCommandProfile, unknown_placeholders
from aprtui.core.errors import UsageError
from aprtui.settings import Settings

BUILTIN = "builtin"
DEFAULT = apr.NAME

_SCRIPT = "convert_hf_to_gguf.py"
_QUANTIZE = "llama-quantize"


@dataclass(frozen=True, slots=True)
class MissingConverter:
    """A converter that this machine does not have.

    Attributes:
        name: Its name.
        reason: What is missing, and what to do.
    """

    name: str
    reason: str


def converter_named(name: str | None, settings: Settings) -> Converter | MissingConverter:
    """The converter of a name: `builtin`, `apr`, `llama.cpp`, or a table [converters.NAME] of the user's settings.

    Args:
        name: None for `apr`.
        settings: The settings that hold.

    Raises:
        UsageError: There is no converter of this name, or its settings are wrong.
    """
    name = DEFAULT if name is None else name
    if name == BUILTIN:
        return BuiltinConverter()
    makers = {apr.NAME: _apr, llama_cpp.NAME: _llama_cpp}
    if name not in makers and name not in settings.converters:
        known = sorted({BUILTIN, *makers, *settings.converters})
        raise UsageError(f"there is no converter {name!r}", todo=f"name one of {', '.join(known)}")
    table = ConverterTable(name, settings.converters.get(name, {}))
    found = makers.get(name, _user_command)(table)
    return found if isinstance(found, MissingConverter) else CommandConverter(found)


def apr_program(settings: Settings) -> str:
    """The command `apr` as it is to be called: the settings' path, else its name; whether it is there is not said.

    Raises:
        UsageError: Its settings are wrong.
    """
    named = ConverterTable(apr.NAME, settings.converters.get(apr.NAME, {})).text("path") or apr.NAME
    return str(_program(named) or named)


def _apr(table: ConverterTable) -> Profile | MissingConverter:
    table.refuse_other_keys("path")
    named = table.text("path") or apr.NAME
    program = _program(named)
    if program is None:
        return _missing(apr.NAME, named)
    return apr.AprProfile(program, table.time_limit)


def _llama_cpp(table: ConverterTable) -> Profile | MissingConverter:
    table.refuse_other_keys("convert", "quantize")
    arguments = table.arguments("convert") or (_SCRIPT,)
    script = _script(arguments)
    if script is None:
        return _missing(llama_cpp.NAME, arguments[0] if len(arguments) > 1 else arguments[-1])
    if not Path(script[-1]).is_file():
        return _missing(llama_cpp.NAME, script[-1])
    quantize = _program(table.text("quantize") or _QUANTIZE)
    return llama_cpp.LlamaCppProfile(script, quantize, table.time_limit)


def _user_command(table: ConverterTable) -> Profile | MissingConverter:
    table.refuse_other_keys("command", "pairs", "parallel_safe")
    arguments = table.arguments("command")
    if not arguments:
        raise table.wrong("command", 'a list of texts expected: ["PROGRAM", "{source}", "{target}"]')
    unknown = unknown_placeholders(arguments)
    if unknown:
        known = ", ".join(f"{{{word}}}" for word in PLACEHOLDERS)
        raise table.wrong("command", f"there is no placeholder {{{unknown[0]}}}; known: {known}")
    program = _program(arguments[0])
    if program is None:
        return _missing(table.name, arguments[0])
    return UserCommandProfile(
        table.name,
        (str(program), *arguments[1:]),
        table.pairs(),
        parallel_safe=table.flag("parallel_safe"),
        time_limit=table.time_limit,
    )


def _missing(name: str, program: str) -> MissingConverter:
    place = "not an executable file" if os.sep in program else "not on PATH"
    todo = "name a converter with --converter (builtin converts all formats)"
    what = name if name == program else f"{name}: {program}"
    return MissingConverter(name, f"{what} is {place}; install it, set it in [converters] of the settings, or {todo}")


def _program(named: str) -> Path | None:
    found = shutil.which(str(Path(named).expanduser()) if os.sep in named else named)
    return Path(found).absolute() if found is not None else None


def _script(arguments: Sequence[str]) -> tuple[str, ...] | None:
    """The script with its interpreter; python3 for a script that cannot be executed by itself."""
    expanded = [str(Path(argument).expanduser()) if argument.startswith("~") else argument for argument in arguments]
    program = _program(expanded[0])
    if program is None and len(expanded) == 1 and Path(expanded[0]).is_file():
        expanded.insert(0, "python3")
        program = _program(expanded[0])
    return None if program is None else (str(program), *expanded[1:-1], *_absolute(expanded[1:][-1:]))


def _absolute(paths: Sequence[str]) -> list[str]:
    return [str(Path(path).absolute()) for path in paths]
