"""Writes docs/faults.md: every fault that aprtui can inject, and which known cause each one stands for."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from fault_references import CAUSES, OUTSIDE, SIGNATURES, TRANSFORMS

from aprtui.faults import FAULTS, Fault
from aprtui.formats.container import Format

TABLE = Path(__file__).parents[1] / "docs" / "faults.md"

_INTRODUCTION = """\
# Faults

Every damage that a conversion can do to a model file, as `aprtui.faults` injects it. Tests put each one into a good
product of every format that can carry it, and demand that its level fails for that reason; `aprtui selftest` does the
same on the model of the demo. A fault refuses to run where it would change nothing.

This file is written by `scripts/make_fault_table.py`.
"""

_REFERENCES = """
## What the references stand for

RC: causes of wrong conversions in the published history of aprender and realizar. T: what converters legitimately do,
gone wrong. S: patterns in weights.
"""


def table() -> str:
    """The whole file."""
    lines = [_INTRODUCTION, *_faults(), _REFERENCES, *_references()]
    return "\n".join(lines) + "\n"


def _faults() -> Iterator[str]:
    levels = dict.fromkeys(fault.level for fault in FAULTS.values())
    yield f"{len(FAULTS)} faults."
    for level in levels:
        faults = [fault for fault in FAULTS.values() if fault.level is level]
        yield f"\n## Level {level}: {len(faults)} faults\n"
        yield "| code | what is wrong | formats | needs | references |"
        yield "| --- | --- | --- | --- | --- |"
        yield from map(_row, faults)


def _row(fault: Fault) -> str:
    formats = "all" if len(fault.formats) == len(Format) else ", ".join(sorted(fault.formats))
    needs = [fault.requires, f"output type {fault.asked_for} asked for" if fault.asked_for else ""]
    references = ", ".join(fault.references)
    return f"| `{fault.code}` | {fault.title} | {formats} | {'; '.join(filter(None, needs))} | {references} |"


def _references() -> Iterator[str]:
    yield "| reference | what it stands for | faults, or why files cannot show it |"
    yield "| --- | --- | --- |"
    for name, meaning in (CAUSES | TRANSFORMS | SIGNATURES).items():
        codes = [f"`{fault.code}`" for fault in FAULTS.values() if name in fault.references]
        parts = [", ".join(codes), OUTSIDE.get(name, "")]
        yield f"| {name} | {meaning} | {'; '.join(filter(None, parts))} |"


if __name__ == "__main__":
    TABLE.write_text(table(), encoding="utf-8")
