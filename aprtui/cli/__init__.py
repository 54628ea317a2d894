"""The command line: the only place that writes to a terminal and decides exit codes."""

from aprtui.cli.main import main

__all__ = ["main"]
