"""Writing to standard output: whatever its encoding is, and also where the reader leaves early."""

from __future__ import annotations

import io
import os
import shutil
import sys
import textwrap

import click

from aprtui.core.errors import AprtuiError

_RESET = "\x1b[0m"


def show(text: str) -> None:
    """Write a report, wrapped at words on a terminal. A reader that has seen enough (`| head -1`) changes no exit code.

    Raises:
        AprtuiError: It cannot be written, as on a full disk.
    """
    if sys.stdout.isatty():
        width = shutil.get_terminal_size().columns
        text = "\n".join(piece for line in text.split("\n") for piece in wrapped(line, width))
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


def wrapped(line: str, width: int) -> list[str]:
    """A line in pieces of at most `width` columns, cut between words; the rest is indented a little further.

    Args:
        line: May begin with one styled part, as `click.style` makes it.
        width: Columns of the terminal.
    """
    plain = click.unstyle(line)
    if len(plain) <= width:
        return [line]
    indent = " " * (len(plain) - len(plain.lstrip()) + 2)
    pieces = textwrap.wrap(plain, width, subsequent_indent=indent, break_on_hyphens=False)
    start, styled, _ = line.partition(_RESET)
    if not styled or not start.startswith("\x1b"):
        return pieces
    codes, head = start[: len(start) - len(click.unstyle(start))], click.unstyle(start)
    if len(head) > len(pieces[0]):
        return [f"{codes}{piece}{_RESET}" for piece in pieces]
    return [f"{codes}{head}{_RESET}{pieces[0][len(head) :]}", *pieces[1:]]
