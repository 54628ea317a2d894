"""Dialogs: a question with a few answers, and a text that is too long for a toast."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar, Generic, TypeVar

from textual import on
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.geometry import Size
from textual.screen import ModalScreen

from aprtui.tui.keys import DIALOG, FORM, TEXT, bindings
from aprtui.tui.paint import Line, title
from aprtui.tui.screens.base import BaseScreen
from aprtui.tui.widgets.form import Choice, Form
from aprtui.tui.widgets.lines import Lines, ScrollingLines, wrapped

T = TypeVar("T")


class Dialog(ModalScreen[T], BaseScreen[T], Generic[T]):
    """A box above the screen; escape closes it without an answer."""

    BINDINGS: ClassVar = bindings(DIALOG)
    PLACES: ClassVar[tuple[str, ...]] = (DIALOG, FORM)

    @property
    def key_places(self) -> tuple[str, ...]:
        """Those of dialogs and of what it holds."""
        return self.PLACES

    def action_cancel(self) -> None:
        """Close without an answer."""
        self.dismiss(None)

    def to_copy(self) -> tuple[str, str]:
        """What is copied from the dialog, and what to call it."""
        return "", ""

    def action_copy(self) -> None:
        """Copy what the dialog holds."""
        text, what = self.to_copy()
        if text:
            self.console.copy(text, what)
        else:
            self.console.say("there is nothing to copy here", "warning")


class FormDialog(Dialog[T], Generic[T]):
    """A dialog with a form."""

    def __init__(self, title: str, choices: Sequence[Choice], keys: str) -> None:
        super().__init__()
        self._title, self._choices, self._keys = title, choices, keys

    def compose(self) -> ComposeResult:
        """Form and keys."""
        with Vertical(classes="dialog") as box:
            box.border_title = title(self._title, ascii_only=self.console.ascii_only)
            yield Form(self._choices)
            keys = Lines([(self._keys, "muted")], id="dialog-keys")
            keys.styles.height = 1
            yield keys

    @property
    def form(self) -> Form:
        """The form."""
        return self.query_one(Form)

    def note(self, lines: Sequence[Line]) -> None:
        """Write below the rows."""
        if self.is_ready:
            self.form.notes = [(), *lines]
            self.form.redraw()

    @on(Form.Submitted)
    def _submitted(self) -> None:
        self.submit()

    def submit(self) -> None:
        """Enter was pressed."""


class AskDialog(FormDialog[str]):
    """A question with a few answers; the answer is one of them.

    Args:
        title: What it is about.
        text: The question.
        answers: What there is to choose from, the harmless one first.
    """

    def __init__(self, title: str, text: str, answers: Sequence[str]) -> None:
        super().__init__(title, [Choice("", answers)], "⏎ choose   ←→ other answer   esc cancel")
        self._text = text

    def on_mount(self) -> None:
        """Show the question."""
        self._ask()
        self.form.focus()

    def to_copy(self) -> tuple[str, str]:
        """The question."""
        return self._text, "the question"

    def on_resize(self) -> None:
        """Wrap it for the room there is now."""
        self._ask()

    def _ask(self) -> None:
        self.form.head = [*wrapped(self._text, max(1, min(70, self.app.size.width - 6))), ()]
        self.form.redraw()

    def submit(self) -> None:
        """Give the answer."""
        self.dismiss(self._choices[0].value)


class TextDialog(Dialog[None]):
    """A text to read, such as an error with its details; y copies it.

    Args:
        title: What it is about.
        text: The text.
        make: Makes its lines at a width; wrapped as it is where there is none.
    """

    PLACES: ClassVar[tuple[str, ...]] = (DIALOG, TEXT)

    def __init__(self, title: str, text: str, make: Callable[[int], Sequence[Line]] | None = None) -> None:
        super().__init__()
        self._title, self._text, self._make = title, text, make or self._wrapped

    def compose(self) -> ComposeResult:
        """Text and keys."""
        with Vertical(classes="dialog") as box:
            box.border_title = title(self._title, ascii_only=self.console.ascii_only)
            yield ScrollingLines(id="text")
            keys = Lines([("↑↓ scroll   y copy   esc close", "muted")])
            keys.styles.height = 1
            yield keys

    def on_mount(self) -> None:
        """Show the text."""
        self._fill()
        self.query_one("#text").focus()

    def on_resize(self) -> None:
        """Wrap it for the room there is now."""
        self._fill()

    def _fill(self) -> None:
        width = max(1, min(72, self.app.size.width - 6))
        lines = list(self._make(width))
        text = self.query_one("#text", ScrollingLines)
        text.styles.height = max(1, min(len(lines), self.app.size.height - 6))
        text.virtual_size = Size(width, len(lines))
        text.show(lines)

    def _wrapped(self, width: int) -> Sequence[Line]:
        return [line for paragraph in self._text.splitlines() for line in wrapped(paragraph, width) or [()]]

    def to_copy(self) -> tuple[str, str]:
        """The text."""
        return self._text, "the text"
