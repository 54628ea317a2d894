"""Writing to standard output: whatever its encoding is, and also where the reader leaves early."""

from __future__ import annotations

import io
import os
import sys

import click


def show(text: str) -> None:
    """Write a report. A reader that has seen enough (`| head -1`) does not change the exit code."""
    try:
        click.echo(text)
    except BrokenPipeError:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


def escape_what_cannot_be_written() -> None:
    """Characters that a terminal's encoding lacks (LANG=C) are written as escapes instead of ending the command."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
