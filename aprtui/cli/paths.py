"""`aprtui paths`: where things are kept and looked for."""

from __future__ import annotations

import json
from pathlib import Path

import click

from aprtui import paths
from aprtui.cli import options
from aprtui.cli.output import show
from aprtui.core.safe_text import safe_text
from aprtui.settings import load_settings


@click.command(name="paths")
@options.output_format
def command(output_format: str) -> int:
    """Show the files and folders that aprtui reads and writes, and whether each is there.

    Exit codes: 0 shown, 2 settings are wrong.
    """
    found = all_paths()
    if output_format == "json":
        show(json.dumps({name: {"path": str(path), "exists": path.exists()} for name, path in found}, indent=2))
        return 0
    width = max(len(name) for name, _ in found)
    show(
        "\n".join(
            f"{name:<{width}}  {safe_text(path)}{'' if path.exists() else '  (not there)'}" for name, path in found
        )
    )
    return 0


def all_paths() -> list[tuple[str, Path]]:
    """Name and place, in the order in which they matter."""
    settings = load_settings()
    state = paths.state_folder()
    named = [
        ("settings", paths.user_settings_file()),
        ("settings of the project", paths.project_settings_file().absolute()),
        ("themes of aprtui", paths.themes_folder()),
        ("your themes", paths.user_themes_folder()),
        ("playbooks of aprtui", paths.playbooks_folder()),
        *((f"playbook folder {number}", path) for number, path in enumerate(settings.playbook_folders, start=1)),
        ("runs and evidence", settings.output_dir.absolute()),
        ("register of runs", state / "runs"),
        ("state of the console", state / "console"),
        ("copied text", state / "clipboard.txt"),
    ]
    caches = [
        ("Hugging Face cache", paths.huggingface_cache()),
        ("apr's cache of single files", paths.pacha_cache()),
        ("apr's cache of sharded models", paths.apr_pull_cache()),
        ("apr-qa's cache", paths.apr_models_cache()),
    ]
    models = [(f"model folder {number}", path) for number, path in enumerate(settings.model_folders, start=1)]
    return [*named, *caches, *models]
