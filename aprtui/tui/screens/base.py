"""What every screen of the console has, views and dialogs alike."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar

from textual.screen import Screen

if TYPE_CHECKING:
    from aprtui.tui.app import ConsoleApp

T = TypeVar("T")


class BaseScreen(Screen[T], Generic[T]):
    """A screen that knows its application."""

    @property
    def console(self) -> ConsoleApp:
        """The application."""
        from aprtui.tui.app import ConsoleApp  # noqa: PLC0415 - the application imports its screens

        assert isinstance(self.app, ConsoleApp)
        return self.app

    @property
    def key_places(self) -> tuple[str, ...]:
        """Which keys of the table work here, the screen's own first."""
        return ()

    @property
    def is_ready(self) -> bool:
        """Whether its widgets are there: one by one they go when the application ends, while timers still tick."""
        return self.app.is_running and bool(self.children)

    def on_mount(self) -> None:
        """Borders in ASCII where asked; Textual calls this beside the `on_mount` of a class below."""
        self.set_class(self.console.ascii_only, "ascii")
