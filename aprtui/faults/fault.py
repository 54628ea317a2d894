"""What a fault is: a named damage with the level that must notice it, and the function that does it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from aprtui.core.outcomes import Level
from aprtui.faults.draft import Draft
from aprtui.formats.container import Format

Apply = Callable[[Draft], None]

ALL_FORMATS = frozenset(Format)
"""The three formats."""

BLOCK_FORMATS = frozenset({Format.GGUF, Format.APR})
"""The formats that hold quantised blocks."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One kind of damage.

    Attributes:
        code: Stable name: the level that must fail, a dot, and the damage.
        title: What went wrong, as a sentence without a full stop.
        level: The level that must fail; others may fail too.
        formats: Formats whose files can carry it.
        references: Root causes (RC-01 …), transforms gone wrong (T1 …) and rows of the signature table (S: …).
        requires: What a product must have for the fault to apply; empty where every model has it.
        asked_for: Output type under which the level must fail; the damage may be legitimate under another.
        apply: Edits a draft of the good product; raises `NotApplicableError` where it does not apply.
    """

    code: str
    title: str
    level: Level
    formats: frozenset[Format]
    references: tuple[str, ...]
    requires: str
    asked_for: str | None
    apply: Apply


def fault(
    code: str,
    *references: str,
    formats: frozenset[Format] = ALL_FORMATS,
    requires: str = "",
    asked_for: str | None = None,
) -> Callable[[Apply], Fault]:
    """Make a fault of a function; its docstring is the title, the first part of the code the level."""

    def make(apply: Apply) -> Fault:
        title = (apply.__doc__ or "").strip().splitlines()[0].removesuffix(".")
        level = Level(code.partition(".")[0])
        return Fault(code, title, level, formats, references, requires, asked_for, apply)

    return make
