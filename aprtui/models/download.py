"""The only place that may use the network: fetches a repository with huggingface_hub, when the user asked for it."""

from __future__ import annotations

import shlex
from importlib.util import find_spec
from pathlib import Path

from aprtui.core.errors import AprtuiError
from aprtui.paths import huggingface_cache


def download_command(repo: str, revision: str | None = None) -> str:
    """The command that brings a repository into the cache of the Hugging Face hub."""
    return shlex.join(["hf", "download", repo, *(["--revision", revision] if revision else [])])


def download_model(repo: str, revision: str | None = None) -> Path:
    """Fetch a repository into the cache of the Hugging Face hub; what is there already is not fetched again.

    Args:
        repo: "org/name".
        revision: Branch, tag or commit; None for the default branch.

    Returns:
        The folder of the snapshot.

    Raises:
        AprtuiError: huggingface_hub is not installed, or could not fetch it.
    """
    command = download_command(repo, revision)
    if find_spec("huggingface_hub") is None:
        todo = f"install it (pip install 'aprtui[download]') or run `{command}` elsewhere"
        raise AprtuiError("--download needs the package huggingface_hub, which is not installed", todo=todo)
    import huggingface_hub  # noqa: PLC0415 - not part of the base install

    try:
        return Path(huggingface_hub.snapshot_download(repo, revision=revision, cache_dir=huggingface_cache()))
    except Exception as error:  # Whatever the network, the server or the disk does ends this command alike.
        reason = next(iter(str(error).strip().splitlines()), "")
        problem = f"{repo} could not be downloaded: {type(error).__name__}: {reason}"
        raise AprtuiError(problem, todo=f"try `{command}`") from None
