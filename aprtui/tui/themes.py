"""Themes: one TOML file each, ours in `themes/` and the user's own in a folder of theirs.

A theme names colours; which state has which colour is the same in all of them (docs/console.md). A file that cannot be
used is told and left out, it stops nothing.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from textual.color import Color, ColorParseError
from textual.theme import BUILTIN_THEMES, Theme

from aprtui.core.errors import AprtuiError, UsageError
from aprtui.paths import themes_folder, user_themes_folder
from aprtui.settings import place_of_key, read_toml

DEFAULT = "aprtui-dark"
ANSI = "aprtui-ansi"

COLOURS = {
    "foreground": "text",
    "background": "behind everything",
    "surface": "behind dialogs",
    "primary": "buttons and selections of Textual's own widgets",
    "accent": "focus, what is running, bars",
    "warning": "out of time, out of date",
    "error": "errors of the console itself",
    "success": "confirmations",
    "pass": "corroborated",
    "fail": "falsified",
    "crash": "crashed",
    "muted": "what matters less: waiting, skipped, headers",
    "title": "the view that is open, keys",
    "line": "borders",
    "chrome": "behind the first and the last line",
    "cursor": "behind the row under the cursor",
    "cursor-blurred": "the same in a pane without the focus",
}
"""Every colour that a theme sets."""

_OWN = ("pass", "fail", "crash", "muted", "title", "line", "chrome", "cursor", "cursor-blurred")
FROM_TEXTUAL = {
    "apr-pass": "text-success",
    "apr-fail": "text-error",
    "apr-crash": "text-warning",
    "apr-muted": "foreground-muted",
    "apr-title": "text-primary",
    "apr-line": "panel-lighten-1",
    "apr-chrome": "surface",
    "apr-cursor": "primary-muted",
    "apr-cursor-blurred": "surface-lighten-1",
}
"""Which of Textual's colours stand for ours where one of its own themes is chosen."""


@dataclass(frozen=True, slots=True)
class Themes:
    """What was found.

    Attributes:
        themes: Usable themes by name; the user's go before ours.
        problems: One line for each file that cannot be used.
    """

    themes: Mapping[str, Theme]
    problems: tuple[str, ...]


def load_themes() -> Themes:
    """Ours and the user's."""
    themes: dict[str, Theme] = {}
    problems: list[str] = []
    for folder in (themes_folder(), user_themes_folder()):
        for path in sorted(folder.glob("*.toml")):
            try:
                theme = read_theme(path)
            except AprtuiError as error:
                problems.append(error.message)
            else:
                themes[theme.name] = theme
    return Themes(themes, tuple(problems))


def read_theme(path: Path) -> Theme:
    """A theme from its file; its name is the file's.

    Raises:
        UsageError: Not TOML, a colour is missing, unknown or no colour.
    """
    text, values = read_toml(path, "these colours")
    known = {*COLOURS, "dark", "ansi"}
    for key in values:
        if key not in known:
            raise UsageError(
                f"there is no colour {key!r}", file=path, place=place_of_key(text, key), todo="see docs/console.md"
            )
    colours: dict[str, str] = {}
    for name in COLOURS:
        value = values.get(name)
        if not isinstance(value, str):
            raise UsageError(f"the colour {name!r} is missing", file=path, todo="see docs/console.md")
        try:
            Color.parse(value)
        except ColorParseError:
            raise UsageError(f"{value!r} is no colour", file=path, place=place_of_key(text, name)) from None
        colours[name] = value
    ansi = values.get("ansi") is True
    dark = values.get("dark") is not False
    # What Textual's own widgets take from the terminal's palette.
    base = BUILTIN_THEMES["ansi-dark" if dark else "ansi-light"].variables if ansi else {}
    return Theme(
        name=path.stem,
        primary=colours["primary"],
        secondary=colours["accent"],
        accent=colours["accent"],
        warning=colours["warning"],
        error=colours["error"],
        success=colours["success"],
        foreground=colours["foreground"],
        background=colours["background"],
        surface=colours["surface"],
        panel=colours["surface"],
        dark=dark,
        ansi=ansi,
        variables=base | {f"apr-{name}": colours[name] for name in _OWN},
    )


def chosen_theme(asked_for: str, names: Iterable[str], environment: Mapping[str, str] = os.environ) -> str:
    """The theme to start with: the one that was asked for, else one that suits the terminal.

    Terminals without 256 colours, and SSH sessions whose terminal does not say that it has more, get the one that uses
    the terminal's own 16 colours: it costs half the bytes and looks as the user's terminal looks.
    """
    if asked_for and asked_for in names:
        return asked_for
    rich = environment.get("COLORTERM", "") in ("truecolor", "24bit")
    few = "256color" not in environment.get("TERM", "")
    if not rich and (few or "SSH_CONNECTION" in environment):
        return ANSI
    return DEFAULT
