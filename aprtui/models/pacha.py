"""What `apr pull` calls the files of its cache: manifest.json names them, the files themselves are called by a hash.

Facts from apr-qa: the manifest is a list of objects with `name` ("hf_ORG_NAME_FILE", "/" of the repository as "_") and
`path`.
"""

from __future__ import annotations

import json
from pathlib import Path

from aprtui.core.errors import FormatError
from aprtui.paths import pacha_cache

_LONGEST_MANIFEST = 16 << 20


def pulled_files() -> dict[str, Path]:
    """Files of the cache by the name that the manifest gives them; empty where there is no manifest.

    Raises:
        FormatError: The manifest cannot be understood.
    """
    manifest = pacha_cache() / "manifest.json"
    if not manifest.is_file():
        return {}
    try:
        with manifest.open("rb") as file:
            text = file.read(_LONGEST_MANIFEST + 1)
        entries = json.loads(text) if len(text) <= _LONGEST_MANIFEST else None
    except (OSError, ValueError, RecursionError) as error:
        raise FormatError(f"apr's manifest cannot be read: {error}", file=manifest) from None
    if not isinstance(entries, list):
        raise FormatError("apr's manifest is no list of files", file=manifest)
    named = {}
    for entry in entries:
        match entry:
            case {"name": str(name), "path": str(path)}:
                named[name] = manifest.parent / path
    return named


def files_of(repo: str, pulled: dict[str, Path]) -> dict[str, Path]:
    """The files of one repository, by their names in it; files of a "-GGUF" repository beside it are not among them."""
    prefix = f"hf_{repo.replace('/', '_')}_"
    return {name.removeprefix(prefix): path for name, path in pulled.items() if name.startswith(prefix)}
