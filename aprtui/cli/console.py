"""Opening the console: the only place of the command line that imports a terminal toolkit, and only when it is used."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import click

from aprtui.core.errors import UsageError
from aprtui.core.outcomes import ExitCode
from aprtui.settings import load_settings


@dataclass(frozen=True, slots=True)
class ConsoleArguments:
    """What a command line says about the console.

    Attributes:
        run: Folder of the run to show; None for the list of playbooks.
        gate: Gate to show.
        readonly: Whether nothing may be started, stopped or written.
        theme: Name of a theme; None for the settings'.
        ascii_only: Whether to show ASCII alone.
        no_mouse: Whether to leave the mouse to the terminal.
        output: Directory for runs that are started; None for the settings'.
        playbooks: Folders with playbooks; empty for the settings'.
    """

    run: Path | None = None
    gate: str = ""
    readonly: bool = False
    theme: str | None = None
    ascii_only: bool = False
    no_mouse: bool = False
    output: Path | None = None
    playbooks: tuple[Path, ...] = ()


def has_terminal() -> bool:
    """Whether standard input, output and error are a terminal; the last is the one that Textual draws on."""
    return all(stream.isatty() for stream in (sys.stdin, sys.stdout, sys.stderr))


def open_console(arguments: ConsoleArguments) -> int:
    """Run the console until it is left; 70 where it failed.

    Raises:
        UsageError: Standard input, output or error is no terminal, or settings are wrong.
    """
    if not has_terminal():
        raise UsageError("the console needs a terminal", todo="`aprtui --help` lists the commands that need none")
    settings = load_settings()
    console = settings.console
    if arguments.theme is not None:
        console = replace(console, theme=arguments.theme)
    if arguments.ascii_only:
        console = replace(console, ascii_only=True)
    if arguments.no_mouse:
        console = replace(console, mouse=False)
    if "SSH_CONNECTION" in os.environ:
        # Textual reads it when it is imported: over a slow line fewer frames are better frames.
        os.environ.setdefault("TEXTUAL_FPS", "15")
    from aprtui.tui import crash  # noqa: PLC0415 - the command line stays fast without
    from aprtui.tui.app import ConsoleApp  # noqa: PLC0415
    from aprtui.tui.options import ConsoleOptions, Opening  # noqa: PLC0415

    options = ConsoleOptions(
        settings=console,
        readonly=arguments.readonly,
        output=arguments.output or settings.output_dir,
        playbooks=arguments.playbooks or settings.playbook_folders,
    )
    app = ConsoleApp(options, Opening(arguments.run, arguments.gate))
    app.run(mouse=console.mouse)
    if app.failure is not None:
        click.echo(crash.paragraph(app.failure, app.report), err=True)
        return int(ExitCode.CONSOLE_CRASHED)
    return app.return_code or 0
