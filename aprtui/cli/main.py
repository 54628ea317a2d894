"""Entry point: the command group and the one place where errors become a line and an exit code."""

from __future__ import annotations

import importlib
import sys
import traceback
from pathlib import Path
from typing import Any

import click

import aprtui
from aprtui.cli.output import escape_what_cannot_be_written
from aprtui.core.errors import AprtuiError
from aprtui.core.outcomes import ExitCode
from aprtui.core.safe_text import safe_text

_COMMANDS = {
    "attach": "Show what happens in a run until it ends.",
    "audit": "Judge evidence files: which passes have substance.",
    "bundle": "Write a run as one file without weights.",
    "causes": "List what goes wrong with conversions, and what repairs it.",
    "compare": "Show what changed from one run to another.",
    "convert": "Convert a model to SafeTensors, GGUF or APR.",
    "demo": "Qualify good and broken conversions of the shipped model.",
    "diff": "Compare two models and say whether they are equivalent.",
    "doctor": "Say what this machine has and lacks for aprtui.",
    "golden": "Keep a model's logits, and compare products with them.",
    "init": "Write a playbook for a model.",
    "inspect": "Show what a model is, what it holds and what it lacks.",
    "open": "Open the console on a run, at its worst row.",
    "paths": "Show where aprtui keeps things and looks for them.",
    "models": "List the models on this machine.",
    "playbooks": "List playbooks and what is wrong with them.",
    "ps": "List the runs that are going on.",
    "rejudge": "Judge a run again under other tolerances, without reading weights.",
    "repair": "Write the model that a diagnosis repairs.",
    "run": "Run the gates of playbooks and write evidence.",
    "selftest": "Show that every fault of the catalogue is found.",
    "show": "Show the verdicts of a run.",
    "stop": "Stop a run; what it measured is kept.",
    "tensor": "Show where the errors of one tensor sit.",
    "watch": "Run a playbook again whenever it, the model or the converter changes.",
}
"""Each command is `command` in the module of its name; the summaries stand here so that `--help` imports none."""


class LazyGroup(click.Group):
    """Imports a command's module only when that command is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names of all commands."""
        return sorted(_COMMANDS)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list of commands with their summaries."""
        with formatter.section("Commands"):
            formatter.write_dl(sorted(_COMMANDS.items()))

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of this name."""
        if cmd_name not in _COMMANDS:
            return None
        command = importlib.import_module(f"aprtui.cli.{cmd_name}").command
        assert isinstance(command, click.Command)
        return command


@click.group(
    cls=LazyGroup,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(aprtui.__version__, prog_name="aprtui")
@click.option("--readonly", is_flag=True, help="Console: start, stop and write nothing.")
@click.option("--theme", metavar="NAME", help="Console: colours; the palette (:) lists them.")
@click.option("--ascii", "ascii_only", is_flag=True, help="Console: characters of ASCII alone.")
@click.option("--no-mouse", is_flag=True, help="Console: leave the mouse to the terminal.")
@click.option("--playbooks", multiple=True, type=click.Path(path_type=Path), help="Console: folder with playbooks.")
@click.option("--output-dir", "output", type=click.Path(path_type=Path), help="Console: directory for runs.")
@click.pass_context
def group(context: click.Context, /, **given: Any) -> int:  # noqa: ANN401 - click passes options by name
    """Qualify model format conversions between SafeTensors, GGUF and APR.

    Without a command it opens the console.
    """
    context.obj = given
    if context.invoked_subcommand is not None:
        return 0
    from aprtui.cli.console import ConsoleArguments, open_console  # noqa: PLC0415 - `--help` imports no command

    return open_console(ConsoleArguments(**given))


def main(arguments: list[str] | None = None) -> None:
    """Run a command and leave with its exit code; an error is one line on standard error."""
    escape_what_cannot_be_written()
    try:
        code: Any = group.main(arguments, prog_name="aprtui", standalone_mode=False)
    except click.exceptions.Abort:
        code = ExitCode.INTERRUPTED
    except click.ClickException as error:
        error.show()
        code = ExitCode.USAGE
    except AprtuiError as error:
        click.echo(f"aprtui: {safe_text(error.message, limit=2000)}", err=True)
        code = error.exit_code
    except KeyboardInterrupt:
        code = ExitCode.INTERRUPTED
    except MemoryError:
        click.echo("aprtui: there is not enough memory for this", err=True)
        code = ExitCode.ENVIRONMENT
    except Exception:
        # Python's own code for this would be 1, which says that a check failed.
        traceback.print_exc()
        click.echo("aprtui: this is a defect of aprtui: please report it with the lines above", err=True)
        code = ExitCode.ENVIRONMENT
    sys.exit(int(code or 0))
