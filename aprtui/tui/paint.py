"""The edge between text and terminal: every character that the console shows goes through `strip` or `content`.

Names of tensors, metadata, reasons and log lines come from files of strangers. Here they lose what could steer a
terminal, are cut to the room they have, and in ASCII mode lose everything beyond it. Nothing is ever read as markup.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from rich.style import Style
from textual.css.styles import RenderStyles
from textual.markup import escape
from textual.strip import Strip
from textual.widget import Widget

from aprtui.core.safe_text import safe_text

Span = tuple[str, str]
"""A piece of text and the name of its paint."""

Line = Sequence[Span]

PAINTS = frozenset(
    f"paint--{name}"
    for name in (
        *("text", "strong", "muted", "title", "accent", "pass", "fail", "nan", "crash", "warn", "skip", "wait", "run"),
        *(
            "key",
            "over",
            "bar",
            "bar-over",
            "track",
            "tab",
            "tab-on",
            "cursor",
            "cursor-blurred",
            "header",
            "mark",
            "heat",
        ),
    )
)
"""Component classes of the application; their colours stand in console.tcss.

Not of each widget that paints: Textual works out every class of every widget anew whenever a style may have changed.
"""

_LONGEST = 600
_ASCII = str.maketrans(
    {
        **dict(zip("✓✗·▶▸▾│─┌┐└┘├┤", "+x.>>v|-++++++", strict=True)),
        **dict(zip("█▉▊▋▌▍▎▏▓▒░", "########=-.", strict=True)),
        **dict(zip("→←↑↓…—–×ΔεσµⓇ", "><^v~--xdesuR", strict=True)),
        **dict(zip("≤≥≠±∞⇥▲▼•╋┼", "<>!+8>^v*@+", strict=True)),
        # A word: "< open" would say nothing.
        "⏎": "enter",
    }
)
_FAINT = frozenset({"muted", "wait", "skip"})
_EIGHTHS = " ▏▎▍▌▋▊▉█"
_LAYER = re.compile(r"\.(\d{1,4})\.")


def shown(text: object, *, ascii_only: bool = False) -> str:
    """Text that is fit for a terminal; in ASCII mode every character beyond it has a stand-in of a cell or a word."""
    safe = safe_text(text, _LONGEST)
    if not ascii_only or safe.isascii():
        return safe
    return safe.translate(_ASCII).encode("ascii", "replace").decode("ascii")


def fit(text: str, width: int, *, right: bool = False, keep_end: bool = False) -> str:
    """Text of exactly this many cells; what is too long is cut, at its start where its end tells more.

    Args:
        text: Safe text.
        width: Cells.
        right: Whether it stands at the right.
        keep_end: Whether it is cut at its start, behind a dot, of a path a slash, where one is near.
    """
    length = cell_len(text)
    if length > width:
        if width < 2:
            return set_cell_size(text, width)
        text = _cut_at_start(text, width) if keep_end else f"{set_cell_size(text, width - 1).rstrip()}…"
        length = cell_len(text)
    room = " " * (width - length)
    return f"{room}{text}" if right else f"{text}{room}"


def _cut_at_start(text: str, width: int) -> str:
    """From the number of a layer on, where there is one; else the longest end behind a dot or a slash, or any."""
    layer = _LAYER.search(text)
    if layer is not None:
        tail = text[layer.start(1) :]
        if cell_len(tail) <= width - 1:
            return f"…{tail}"
        if short := _shortened(tail[len(layer[1]) + 1 :], layer[1], width):
            return short
    between = "/" if "/" in text else "."
    start = text.find(between)
    while start >= 0:
        tail = text[start + 1 :]
        if cell_len(tail) <= width - 1:
            if len(tail) >= width // 3:
                return f"…{tail}"
            break
        start = text.find(between, start + 1)
    return f"…{_end(text, width - 1)}"


def _shortened(name: str, layer: str, width: int) -> str:
    """A tensor of a layer without what most have in common (`weight`, its first parts), in whole words.

    The number tells rows apart, and the last part says what they are; of one that is too long the beginning does:
    `post_attention_layernorm` and `pre_feedforward_layernorm` end alike. Empty where not even that fits.
    """
    stem, _, last = name.rpartition(".")
    ending = ".…" if last == "weight" else f".{last}"
    part = stem.rpartition(".")[2]
    head = f"…{layer}."
    while stem:
        if cell_len(f"{head}{stem}{ending}") <= width:
            return f"{head}{stem}{ending}"
        stem, head = stem.partition(".")[2], f"…{layer}.…"
    words = part[: width - len(f"…{layer}.…")].rpartition("_")[0]
    return f"…{layer}.{words}_…" if cell_len(f"…{layer}.{words}_…") <= width and words else ""


def _end(text: str, width: int, marks: str = "._", least: int = 12) -> str:
    """As much of the end as fits, from the beginning of a word on where at least so many letters are left."""
    tail = text[-width:]
    while cell_len(tail) > width:
        tail = tail[1:]
    if text[-len(tail) - 1 : -len(tail)] in marks:
        return tail
    start = next((at for at, letter in enumerate(tail, start=1) if letter in marks), 0)
    return tail[start:] if len(tail) - start >= least else tail


def fit_path(path: object, width: int) -> str:
    """A path in at most this many cells, cut at its start: which file it is, stands at its end."""
    text = shown(path)
    return text if cell_len(text) <= width else f"…{_end(text, width - 1, '/', 1)}"


def bar(share: float, width: int) -> str:
    """A bar of eighth blocks, filled up to a share between 0 and 1; trailing room is blank."""
    eighths = round(max(0.0, min(1.0, share)) * width * 8)
    full, rest = divmod(eighths, 8)
    return (("█" * full) + (_EIGHTHS[rest] if rest else "")).ljust(width)


def title(text: str, *, ascii_only: bool = False) -> str:
    """Text for the title of a border, which Textual reads as markup."""
    return escape(shown(text, ascii_only=ascii_only))


class Painter:
    """Paints lines in the colours of a widget.

    Args:
        widget: What is painted.
    """

    def __init__(self, widget: Widget) -> None:
        self._widget = widget
        self._styles: dict[tuple[str, str], Style] = {}

    def forget(self) -> None:
        """Colours changed."""
        self._styles.clear()

    @property
    def ascii_only(self) -> bool:
        """Whether the terminal shows ASCII alone."""
        return bool(getattr(self._widget.app, "ascii_only", False))

    def style(self, name: str, under: str = "") -> Style:
        """The style of a paint, upon the background of another one."""
        found = self._styles.get((name, under))
        if found is None:
            base = self._component(under).rich_style if under else self._widget.rich_style
            if under == "cursor" and name in _FAINT and self._widget.app.current_theme.ansi:
                # Of sixteen colours, no grey is read on another colour.
                name = "text"
            found = self._styles[name, under] = base + self._component(name).partial_rich_style
        return found

    def _component(self, name: str) -> RenderStyles:
        return self._widget.app.get_component_styles(f"paint--{name}")

    def strip(self, line: Iterable[Span], width: int, under: str = "") -> Strip:
        """A line of exactly this many cells."""
        segments: list[Segment] = []
        used = 0
        for text, name in line:
            safe = shown(text, ascii_only=self.ascii_only)
            length = cell_len(safe)
            if used + length > width:
                safe = fit(safe, width - used) if width > used else ""
                safe = shown(safe, ascii_only=True) if self.ascii_only else safe
                length = cell_len(safe)
            if safe.isspace() and segments and (last := segments[-1]).style is not None and not last.style.reverse:
                # A blank looks the same in any colour; a change of colour costs forty bytes.
                segments[-1] = Segment(last.text + safe, last.style)
            elif safe:
                segments.append(Segment(safe, self.style(name, under)))
            used += length
        if used < width:
            segments.append(Segment(" " * (width - used), self.style("text", under)))
        return Strip(segments, width)
