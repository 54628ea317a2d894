"""Checks a playbook against apr-qa's lock file; what does not fit is a warning, never an error.

`apr-qa lock-playbooks` writes one entry per file under the file's stem: the SHA-256 of its bytes. `apr-qa run` looks
entries up by the `name` inside the playbook, refuses what does not match, and does without a lock that is not there.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache
from pathlib import Path

from aprtui.core.errors import UsageError
from aprtui.playbook.playbook import Complaint, ComplaintKind
from aprtui.playbook.yaml_tree import YamlFile, read_yaml

LOCK_FILE = "playbook.lock.yaml"
_SUFFIXES = (".playbook.yaml", ".playbook.yml", ".yaml", ".yml")


def stem(path: Path) -> str:
    """The file's name as the lock file spells it."""
    ending = next((suffix for suffix in _SUFFIXES if path.name.endswith(suffix)), path.suffix)
    return path.name.removesuffix(ending)


def lock_complaints(file: YamlFile, name: str) -> list[Complaint]:
    """What a lock file beside the playbook, or in the folder above, has against it.

    Args:
        file: The playbook.
        name: The name inside it.
    """
    folder = file.path.absolute().parent
    lock_path = next((place / LOCK_FILE for place in (folder, folder.parent) if (place / LOCK_FILE).is_file()), None)
    if lock_path is None:
        return []
    try:
        state = lock_path.stat()
        lock = _read_once(lock_path, state.st_mtime_ns, state.st_size)
    except (UsageError, OSError) as error:
        message = f"the lock file was not checked: {error}"
        return [Complaint(1, "entries", message, ComplaintKind.LOCK, lock_path)]
    own = stem(file.path)
    found = []
    if name != own:
        message = f"apr-qa looks for the lock of {name!r}, and lock files go by the file's name, {own!r}"
        found.append(Complaint(file.line("name"), "name", message, ComplaintKind.LOCK))
    locked = lock.at("entries", own, "sha256")
    if locked is None:
        message = f"{lock_path} has no entry for {own}; apr-qa refuses to run it"
        found.append(Complaint(file.line("name"), "name", message, ComplaintKind.LOCK))
    elif locked != hashlib.sha256(file.content).hexdigest():
        message = f"{file.path} is not the file that was locked (SHA-256 differs); apr-qa refuses to run it"
        line = lock.line("entries", own, "sha256")
        found.append(Complaint(line, f"entries.{own}.sha256", message, ComplaintKind.LOCK, lock_path))
    return found


@lru_cache(maxsize=4)
def _read_once(path: Path, modified_ns: int, size: int) -> YamlFile:
    """A folder of playbooks shares one lock file; it is read again when it changed."""
    del modified_ns, size
    return read_yaml(path)
