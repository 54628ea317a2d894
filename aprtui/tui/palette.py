"""The command palette: every key of a screen as a sentence, and the themes."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterator
from typing import TYPE_CHECKING, Any

from textual.app import SystemCommand
from textual.command import CommandList, CommandPalette, SearchIcon
from textual.screen import Screen
from textual.widgets import Input

from aprtui.tui.keys import ANYWHERE, KEYS
from aprtui.tui.screens.view import ConsoleScreen
from aprtui.tui.widgets.lines import plain_scroll_bar

if TYPE_CHECKING:
    from aprtui.tui.app import ConsoleApp


def commands(app: ConsoleApp, screen: Screen[Any]) -> Iterator[SystemCommand]:
    """What the palette offers on a screen."""
    name = screen.NAME if isinstance(screen, ConsoleScreen) else ""
    for key in KEYS:
        if key.help and (name in key.where or ANYWHERE in key.where) and not key.key_id.startswith("map."):
            yield SystemCommand(key.help, key.key_id, _runs(app, key.action, screen))
    for theme in sorted(app.available_themes):
        yield SystemCommand(f"Theme {theme}", "colours", _sets_theme(app, theme))


def make_plain(screen: Screen[Any]) -> None:
    """Keep an open palette to ASCII."""
    if isinstance(screen, CommandPalette):
        screen.add_class("ascii")
        icon = screen.query_one(SearchIcon)
        icon.icon = ">"
        icon.refresh()
        plain_scroll_bar(screen.query_one(CommandList))
        screen.query_one(Input).placeholder = "type to search"


def _runs(app: ConsoleApp, action: str, screen: Screen[Any]) -> Callable[[], Coroutine[Any, Any, None]]:
    async def act() -> None:
        await app.run_action(action, screen if not action.startswith("app.") and action != "back" else app)

    return act


def _sets_theme(app: ConsoleApp, name: str) -> Callable[[], None]:
    def act() -> None:
        app.theme = name

    return act
