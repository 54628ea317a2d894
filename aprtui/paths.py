"""Where things are on a machine: caches of models, found by the rules of the tools that fill them; own files."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import aprtui
from aprtui.core.errors import AprtuiError


def huggingface_cache() -> Path:
    """The cache of the Hugging Face hub, by huggingface_hub's own rules (its `constants.py`).

    HF_HUB_CACHE, else HUGGINGFACE_HUB_CACHE, else hub/ in HF_HOME, else in huggingface/ of XDG_CACHE_HOME, else of
    ~/.cache; "~" and variables in them are replaced. An empty variable counts as set, as it does there.
    """
    environment = os.environ
    user_caches = environment.get("XDG_CACHE_HOME", str(_user_home() / ".cache"))
    home = _replaced(environment.get("HF_HOME", str(Path(user_caches) / "huggingface")))
    legacy = environment.get("HUGGINGFACE_HUB_CACHE", str(Path(home) / "hub"))
    return Path(_replaced(environment.get("HF_HUB_CACHE", legacy)))


def pacha_cache() -> Path:
    """Where `apr pull` keeps models of one file: HASH.safetensors or HASH.gguf, named by manifest.json."""
    return _user_home() / ".cache" / "pacha" / "models"


def apr_pull_cache() -> Path:
    """Where `apr pull` keeps models of several files, as ORG/NAME."""
    return _user_home() / ".apr" / "cache" / "hf"


def apr_models_cache() -> Path:
    """The cache that apr-qa fills: ORG/NAME, or short names with a folder per format."""
    return _user_home() / ".cache" / "apr-models"


def user_settings_file() -> Path:
    """The user's settings.toml: below XDG_CONFIG_HOME or ~/.config, below APPDATA on Windows."""
    base = os.environ.get("APPDATA" if sys.platform == "win32" else "XDG_CONFIG_HOME")
    return (Path(base) if base else _user_home() / ".config") / "aprtui" / "settings.toml"


def project_settings_file() -> Path:
    """The settings of a project: aprtui.toml in the working directory."""
    return Path("aprtui.toml")


def user_themes_folder() -> Path:
    """The user's own themes of the console, beside the settings."""
    return user_settings_file().parent / "themes"


def state_folder() -> Path:
    """What is kept from one time to the next: the register of runs, reports. XDG_STATE_HOME or ~/.local/state."""
    home = os.environ.get("XDG_STATE_HOME")
    return (Path(home) if home else _user_home() / ".local" / "state") / "aprtui"


def playbooks_folder() -> Path:
    """Our own playbooks.

    Raises:
        AprtuiError: They are not there; the installation is damaged.
    """
    return _carried("playbooks")


def themes_folder() -> Path:
    """Our own themes.

    Raises:
        AprtuiError: They are not there; the installation is damaged.
    """
    return _carried("themes")


def _carried(name: str) -> Path:
    """A folder of the repository: inside an installed package, beside it in a checkout."""
    package = Path(aprtui.__file__).parent
    for folder in (package / name, package.parent / name):
        if folder.is_dir():
            return folder
    raise AprtuiError(f"the {name} that come with aprtui are missing", file=package, todo="install it again")


def _user_home() -> Path:
    return Path(_replaced("~"))


def _replaced(path: str) -> str:
    # Unlike Path.expanduser, os.path leaves a "~" that it cannot replace as it is, and so does huggingface_hub.
    return os.path.expandvars(os.path.expanduser(path))  # noqa: PTH111
