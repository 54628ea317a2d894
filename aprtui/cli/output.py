"""Writing to standard output: whatever its encoding is, and also where the reader leaves early."""

from __future__ import annotations

import io
import os
import sys

import click

from aprtui.core.errors import AprtuiError


def show(text: str) -> None:
    """Write a report. A reader that has seen enough (`| head -1`) does not change the exit code.

    Raises:
        AprtuiError: It cannot be written, as on a full disk.
    """
    try:
        click.echo(text)
    except BrokenPipeError:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
    except OSError as error:
        raise AprtuiError(f"the report cannot be written: {error.strerror}", file="standard output") from None


def escape_what_cannot_be_written() -> None:
    """Characters that a terminal's encoding lacks (LANG=C) are written as escapes instead of ending the command."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
