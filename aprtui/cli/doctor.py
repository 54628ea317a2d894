"""`aprtui doctor`: what this machine has and lacks for aprtui."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from itertools import groupby

import click

from aprtui.cli import options
from aprtui.cli.doctor_check import Check, State
from aprtui.cli.doctor_engines import engines
from aprtui.cli.doctor_machine import (
    directories,
    machine,
    models,
    playbooks,
    settings_files,
    settings_or_none,
    terminal,
)
from aprtui.cli.doctor_tools import converters, kernels, software
from aprtui.cli.output import show
from aprtui.core.json_values import to_json
from aprtui.core.outcomes import ExitCode
from aprtui.core.safe_text import safe_text

_COLOURS = {State.FINE: "green", State.MISSING: "yellow", State.BROKEN: "red"}
_WORDS = {State.FINE: "ok  ", State.MISSING: "none", State.BROKEN: "FAIL"}


@click.command(name="doctor")
@options.output_format
def command(output_format: str) -> int:
    """Say what this machine has and lacks.

    Software, kernels, converters, engines, settings, models, directories, terminal.

    Exit codes: 0 nothing that is needed is broken, 3 something is. What is missing is optional.
    """
    checks = list(every_check())
    if output_format == "json":
        show(json.dumps([to_json(check) for check in checks], indent=2))
    else:
        show("\n".join(check_lines(checks)))
    broken = any(check.state is State.BROKEN for check in checks)
    return int(ExitCode.ENVIRONMENT if broken else ExitCode.PASSED)


def every_check() -> Iterator[Check]:
    """All checks, group by group."""
    settings = settings_or_none()
    yield from software()
    yield from kernels()
    yield from settings_files()
    yield from converters(settings)
    yield from engines()
    yield from models(settings)
    yield from playbooks()
    yield from directories()
    yield from terminal()
    yield from machine()


def check_lines(checks: Sequence[Check]) -> Iterator[str]:
    """A heading for each group, a line for each check."""
    width = max(len(safe_text(check.name)) for check in checks)
    for group, members in groupby(checks, key=lambda check: check.group):
        yield click.style(group, bold=True)
        for check in members:
            word = click.style(_WORDS[check.state], fg=_COLOURS[check.state])
            yield f"  {word}  {safe_text(check.name):<{width}}  {safe_text(check.found, 2000)}"
