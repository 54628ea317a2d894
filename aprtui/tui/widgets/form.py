"""A form that needs only arrows, space and enter: rows of options, one or several of which are chosen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from rich.cells import cell_len
from textual.geometry import Size
from textual.message import Message

from aprtui.tui.keys import FORM, bindings
from aprtui.tui.paint import Line, Span
from aprtui.tui.widgets.lines import ScrollingLines

_LABEL = 11
_AROUND = 3


@dataclass
class Choice:
    """A row of the form.

    Attributes:
        label: What is chosen.
        options: What there is to choose from.
        chosen: Positions that are chosen.
        several: Whether more than one may be.
        at: Option that the arrows stand on.
    """

    label: str
    options: Sequence[str]
    chosen: set[int] = field(default_factory=lambda: {0})
    several: bool = False
    at: int = 0

    @property
    def value(self) -> str:
        """The chosen option of a row that has one."""
        return self.options[min(self.chosen)] if self.chosen else ""

    @property
    def values(self) -> list[str]:
        """The chosen options."""
        return [self.options[position] for position in sorted(self.chosen)]

    def step(self, by: int) -> None:
        """Move by options; a single choice follows."""
        if not self.options:
            return
        if self.several:
            self.at = (self.at + by) % len(self.options)
        else:
            self.at = (min(self.chosen, default=0) + by) % len(self.options)
            self.chosen = {self.at}

    def toggle(self) -> None:
        """Choose the option, or take it away."""
        if self.several:
            self.chosen ^= {self.at}
        else:
            self.step(1)


class Form(ScrollingLines):
    """The rows."""

    BINDINGS = bindings(FORM)

    class Changed(Message):
        """Something was chosen."""

    class Submitted(Message):
        """Enter."""

    def __init__(self, choices: Sequence[Choice]) -> None:
        super().__init__(id="form")
        self.choices = list(choices)
        self.at = 0
        self.head: list[Line] = []
        self.notes: list[Line] = []
        # A question with answers alone has no labels.
        self._label = _LABEL if any(choice.label for choice in choices) else 0

    def on_mount(self) -> None:
        """Show the rows."""
        self.redraw()

    def on_resize(self) -> None:
        """Options wrap at another width."""
        self.redraw()

    def redraw(self) -> None:
        """The rows, what stands above and what stands below them."""
        lines: list[Line] = list(self.head)
        for number, choice in enumerate(self.choices):
            lines += self._row(number, choice)
        lines += self.notes
        # Where all of it does not fit, the form scrolls below its border and above the line of keys.
        self.styles.height = max(1, min(len(lines), self.screen.size.height - _AROUND))
        self.virtual_size = Size(self.size.width, len(lines))
        self.show(lines)

    def _row(self, number: int, choice: Choice) -> list[Line]:
        on = number == self.at
        head: list[Span] = [
            ("▌" if on else " ", "mark"),
            (f"{choice.label:<{self._label}} ", "strong" if on else "muted"),
        ]
        lines: list[Line] = []
        spans, used = head, self._label + 2
        for position, option in enumerate(choice.options):
            chosen = position in choice.chosen
            glyph = ("[x] " if chosen else "[ ] ") if choice.several else ("(o) " if chosen else "( ) ")
            here = on and choice.several and position == choice.at
            paint = "title" if here else "text" if chosen else "muted"
            text = f"{glyph}{option}  "
            if used + cell_len(text) > max(20, self.size.width) and position:
                lines.append(spans)
                spans, used = [(" " * (self._label + 2), "text")], self._label + 2
            spans = [*spans, (text, paint)]
            used += cell_len(text)
        return [*lines, spans]

    def action_row(self, step: int) -> None:
        """Another row."""
        self.at = (self.at + step) % max(1, len(self.choices))
        self.redraw()

    def action_option(self, step: int) -> None:
        """Another option."""
        if self.choices:
            self.choices[self.at].step(step)
            self._changed()

    def action_choose(self) -> None:
        """Choose the option."""
        if self.choices:
            self.choices[self.at].toggle()
            self._changed()

    def _changed(self) -> None:
        self.redraw()
        self.post_message(self.Changed())

    def action_submit(self) -> None:
        """Done."""
        self.post_message(self.Submitted())
