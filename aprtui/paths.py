"""Where things are on a machine: caches of models, found by the rules of the tools that fill them."""

from __future__ import annotations

import os
from pathlib import Path

import aprtui
from aprtui.core.errors import AprtuiError


def huggingface_cache() -> Path:
    """The Hugging Face hub cache: HF_HUB_CACHE, else HF_HOME/hub, else ~/.cache/huggingface/hub."""
    if cache := os.environ.get("HF_HUB_CACHE") or os.environ.get("HUGGINGFACE_HUB_CACHE"):
        return Path(cache).expanduser()
    home = os.environ.get("HF_HOME")
    return (Path(home).expanduser() if home else Path.home() / ".cache" / "huggingface") / "hub"


def cached_repository(repo: str) -> Path | None:
    """The cache folder of a repository ("org/name"); None where it was never downloaded."""
    folder = huggingface_cache() / f"models--{repo.replace('/', '--')}"
    return folder if folder.is_dir() else None


def playbooks_folder() -> Path:
    """Our own playbooks: inside an installed package, beside it in a checkout.

    Raises:
        AprtuiError: Neither is there; the installation is damaged.
    """
    package = Path(aprtui.__file__).parent
    for folder in (package / "playbooks", package.parent / "playbooks"):
        if folder.is_dir():
            return folder
    raise AprtuiError("the playbooks that come with aprtui are missing", file=package, todo="install it again")
