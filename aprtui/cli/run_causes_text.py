"""The causes of a run as lines of text: each once, with the comparisons that show it."""

from __future__ import annotations

from collections.abc import Iterator

import click

from aprtui.cli.diagnosis_text import named_cause_lines
from aprtui.core.safe_text import safe_text
from aprtui.store.run_causes import RunCauses


def cause_lines(causes: RunCauses) -> Iterator[str]:
    """Causes, then how much is left without one; nothing where nothing fails."""
    if not causes.causes and not causes.unexplained:
        return
    yield ""
    yield click.style("causes", bold=True)
    for number, found in enumerate(causes.causes, start=1):
        yield from named_cause_lines(number, found.first)
        for where, (_, comparisons) in found.shown.items():
            members = "" if len(found.shown) == 1 else f": {safe_text(where)}"
            yield f"      shows in  {safe_text(', '.join(comparisons))}{members}"
    if causes.unexplained:
        many = f"{causes.unexplained} failures are" if causes.unexplained > 1 else "one failure is"
        yield f"{many} unexplained; `aprtui diff` says what"
