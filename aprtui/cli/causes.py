"""`aprtui causes`: the catalogue of what goes wrong with conversions, and what repairs it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

import click

from aprtui.cli import options
from aprtui.cli.output import show
from aprtui.core.causes import CAUSES, HISTORY, Cause
from aprtui.core.errors import UsageError
from aprtui.core.json_values import to_json


@click.command(name="causes")
@click.argument("codes", nargs=-1, metavar="[CODE]…")
@options.output_format
def command(codes: tuple[str, ...], output_format: str) -> int:
    """List the causes that aprtui can name; with CODE, or RC-NN of the history, all that is known about one.

    Exit codes: 0 listed, 2 there is no such cause.
    """
    chosen = _chosen(codes)
    if output_format == "json":
        outside = [to_json(root) for root in HISTORY.values() if root.outside]
        show(json.dumps({"causes": [to_json(cause) for cause in chosen], "outside": outside}, indent=2))
    elif codes:
        show("\n\n".join("\n".join(_whole(cause)) for cause in chosen))
    else:
        show("\n".join(_list(chosen)))
    return 0


def _chosen(codes: Sequence[str]) -> list[Cause]:
    chosen = [cause for cause in CAUSES.values() if not codes or {cause.code, *cause.history} & set(codes)]
    found = {name for cause in chosen for name in (cause.code, *cause.history)}
    for code in codes:
        if code in HISTORY and code not in found:
            root = HISTORY[code]
            raise UsageError(f"no cause of the catalogue stands for {code}, {root.title}: {root.outside}")
        if code not in found:
            raise UsageError(f"there is no cause {code!r}", todo="run `aprtui causes` for all")
    return chosen


def _list(causes: Sequence[Cause]) -> Iterator[str]:
    width = max(len(cause.code) for cause in causes)
    for cause in causes:
        yield f"{cause.code:<{width}}  {cause.title}"
    yield ""
    yield "Root causes of the history that files alone cannot show:"
    yield from (f"{root.code}  {root.title}: {root.outside}" for root in HISTORY.values() if root.outside)


def _whole(cause: Cause) -> Iterator[str]:
    yield click.style(f"{cause.code}: {cause.title}", bold=True)
    rows = {
        "shows as": cause.symptoms,
        "proved by": cause.test,
        "repaired by": f"{cause.fix} ({cause.repair})",
        "advice": cause.advice,
        "severity": cause.severity,
        "history": ", ".join(f"{code} ({HISTORY[code].title})" for code in cause.history),
        "injected as": ", ".join(cause.faults),
        "links": ", ".join(cause.links),
    }
    for name, text in rows.items():
        if text:
            yield f"  {name:<12} {text}"
