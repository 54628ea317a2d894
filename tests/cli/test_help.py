"""The list of commands."""

import pkgutil
import subprocess
import sys
from importlib import import_module

import pytest

import aprtui.cli
from aprtui.cli.main import group

MODULES = [module.name for module in pkgutil.iter_modules(aprtui.cli.__path__)]


def test_every_module_with_a_command_is_listed():
    with_command = {name for name in MODULES if hasattr(import_module(f"aprtui.cli.{name}"), "command")}
    assert set(group.list_commands(None)) == with_command


@pytest.mark.parametrize("name", group.list_commands(None))
def test_every_command_says_its_exit_codes(name):
    assert "Exit codes: 0" in group.get_command(None, name).help


def test_help_lists_whole_summaries_and_imports_no_command():
    code = "import sys; from aprtui.cli import main\ntry: main(['--help'])\nfinally: print(sorted(sys.modules))"
    text = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    listing, modules = text.rsplit("\n[", 1)
    assert "selftest " in listing
    assert "..." not in listing.split("Commands:")[1]
    assert "'aprtui.cli.main'" in modules
    assert "'numpy'" not in modules
    assert "'aprtui.cli.diff'" not in modules
