"""Writes docs/causes.md: every cause that aprtui can name, from the catalogue itself."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from aprtui.core.causes import CAUSES, HISTORY, Cause

TABLE = Path(__file__).parents[1] / "docs" / "causes.md"

_INTRODUCTION = """\
# Causes

What `aprtui diff` can name when a conversion is wrong. Each cause has a test that proves it, and a repair. `rearrange`
puts bytes that are all there into their place, `metadata` and `tokenizer` write what the source says, `restore` takes
what is lost from the source; `convert again` means that the product alone cannot be mended. `aprtui causes CODE` prints
one with its history.

This file is written by `scripts/make_cause_table.py`.
"""

_OUTSIDE = """
## What files cannot show

Root causes of the published history that leave no trace in model files.

| root cause | what it was | why |
| --- | --- | --- |"""


def table() -> str:
    """The whole file."""
    return "\n".join([_INTRODUCTION, *_causes(), _OUTSIDE, *_outside()]) + "\n"


def _causes() -> Iterator[str]:
    covered = {code for cause in CAUSES.values() for code in cause.history}
    yield f"{len(CAUSES)} causes, which cover {len(covered)} of the {len(HISTORY)} root causes of the history."
    for family in dict.fromkeys(cause.code.partition(".")[0] for cause in CAUSES.values()):
        yield f"\n## {family.capitalize()}\n"
        yield "| code | cause | shows as | proved by | repair | advice | history |"
        yield "| --- | --- | --- | --- | --- | --- | --- |"
        yield from (_row(cause) for cause in CAUSES.values() if cause.code.startswith(f"{family}."))


def _row(cause: Cause) -> str:
    repair = f"{cause.repair}: {cause.fix}"
    cells = (f"`{cause.code}`", cause.title, cause.symptoms, cause.test, repair, cause.advice, ", ".join(cause.history))
    return f"| {' | '.join(cells)} |"


def _outside() -> Iterator[str]:
    for root in HISTORY.values():
        if root.outside:
            yield f"| {root.code} | {root.title} | {root.outside} |"


if __name__ == "__main__":
    TABLE.write_text(table(), encoding="utf-8")
