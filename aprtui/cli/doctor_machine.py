"""Checks of `aprtui doctor`: settings, models, playbooks, directories, the terminal and the machine itself."""

from __future__ import annotations

import locale
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from aprtui.cli.doctor_check import Check, Facts, State
from aprtui.core.errors import AprtuiError
from aprtui.models import list_models, model_places
from aprtui.paths import project_settings_file, user_settings_file
from aprtui.playbook.listing import default_places, list_playbooks
from aprtui.settings import Settings, load_settings, read_settings
from aprtui.store.register import register_folder

_GIB = 2**30
_CGROUP_MEMORY = Path("/sys/fs/cgroup/memory.max")
_MEMORY_INFO = Path("/proc/meminfo")
_LITTLE_SPACE = 1 << 30


def settings_files() -> Iterator[Check]:
    """Whether each settings file can be read."""
    readers: dict[str, tuple[Path, Callable[[Path], object]]] = {
        "of the user": (user_settings_file(), read_settings),
        "of the project": (project_settings_file(), lambda path: read_settings(path, may_name_programs=False)),
    }
    for name, (path, read) in readers.items():
        facts: Facts = {"path": str(path)}
        try:
            read(path)
        except AprtuiError as error:
            yield Check("settings", name, State.BROKEN, error.message, facts)
            continue
        there = f"{path}" if path.exists() else f"none at {path}"
        yield Check("settings", name, State.FINE, there, facts)


def settings_or_none() -> Settings:
    """The settings that hold; those of nobody where they are wrong, which `settings_files` says."""
    try:
        return load_settings()
    except AprtuiError:
        return Settings()


def models(settings: Settings) -> Iterator[Check]:
    """Models on this machine, place by place."""
    for listing in list_models(model_places(settings.model_folders, settings.origin)):
        path, opened = listing.place.path, sum(1 for model in listing.models if model.facts is not None)
        unreadable = len(listing.models) - opened
        facts: Facts = {"path": str(path), "models": opened, "unreadable": unreadable}
        if not path.is_dir():
            yield Check("models", listing.place.name, State.MISSING, f"there is no {path}", facts)
            continue
        damaged = f", {unreadable} that cannot be opened" if unreadable else ""
        yield Check("models", listing.place.name, State.FINE, f"{opened} models in {path}{damaged}", facts)


def playbooks() -> Iterator[Check]:
    """Folders of playbooks; our own must load."""
    try:
        folders = default_places()
    except AprtuiError as error:
        yield Check("playbooks", "aprtui's own", State.BROKEN, error.message)
        return
    for folder in folders:
        found = list(list_playbooks(folder))
        broken = [entry for entry in found if entry.error]
        loaded = sum(1 for entry in found if entry.playbook is not None)
        facts: Facts = {"path": str(folder), "playbooks": loaded, "broken": len(broken)}
        is_own = folder == folders[0]
        also = f", {len(broken)} that do not load, {broken[0].path.name} first" if broken else ""
        state = State.BROKEN if broken and is_own else State.FINE
        name = "aprtui's own" if is_own else "of the project"
        yield Check("playbooks", name, state, f"{loaded} in {folder}{also}", facts)


def directories() -> Iterator[Check]:
    """Where runs are written."""
    yield _directory(
        "output and products",
        Path("output"),
        State.BROKEN,
        "name another with --output-dir, and one for products with --scratch",
    )
    yield _directory("temporary files", Path(tempfile.gettempdir()), State.BROKEN, "set TMPDIR")
    todo = "runs are found by the path of their folder only"
    yield _directory("register of runs", register_folder(), State.MISSING, todo)


def _directory(name: str, path: Path, otherwise: State, todo: str) -> Check:
    """Whether a file can be made in a directory, or in the nearest one above that exists; without making it."""
    place = next(one for one in (path.absolute(), *path.absolute().parents) if one.exists())
    where = str(path.absolute())
    try:
        with tempfile.TemporaryFile(dir=place):
            free = shutil.disk_usage(place).free
    except OSError as error:
        found = f"{place} cannot be written: {error.strerror}; {todo}"
        return Check("directories", name, otherwise, found, {"path": where, "free_bytes": None})
    state = State.FINE if free >= _LITTLE_SPACE else State.MISSING
    little = "" if free >= _LITTLE_SPACE else ", which most products do not fit into"
    found = f"{where}, {free / _GIB:.1f} GiB free{little}"
    return Check("directories", name, state, found, {"path": where, "free_bytes": free})


def terminal() -> Iterator[Check]:
    """What the console and the commands can show."""
    size = shutil.get_terminal_size()
    streams = [name for name in ("stdin", "stdout", "stderr") if getattr(sys, name).isatty()]
    where = f"{', '.join(streams)} on a terminal" if streams else "no stream is on a terminal"
    kind = os.environ.get("TERM", "")
    facts: Facts = {"term": kind, "columns": size.columns, "lines": size.lines}
    yield Check("terminal", "size", State.FINE, f"{size.columns} x {size.lines}, {where}", facts)
    colours = _colours(kind)
    yield Check("terminal", "colours", State.FINE, f"{colours} (TERM={kind or 'not set'})", {"colours": colours})
    encoding = getattr(sys.stdout, "encoding", None) or locale.getpreferredencoding(do_setlocale=False)
    is_unicode = encoding.lower().replace("-", "") == "utf8"
    found = encoding if is_unicode else f"{encoding}: what it lacks is written as escapes; set LANG to a UTF-8 locale"
    state = State.FINE if is_unicode else State.MISSING
    yield Check("terminal", "characters", state, found, {"encoding": encoding})


def _colours(kind: str) -> str:
    if os.environ.get("NO_COLOR"):
        return "none, NO_COLOR is set"
    if os.environ.get("COLORTERM") in ("truecolor", "24bit"):
        return "16 million"
    if "256" in kind:
        return "256"
    return "none" if kind in ("", "dumb") else "16"


def machine() -> Iterator[Check]:
    """Processors and memory that this process may use."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    yield Check("machine", "processors", State.FINE, f"{usable} of {os.cpu_count()}", {"processors": usable})
    total, available = _memory()
    known = "not known" if total is None else f"{total / _GIB:.1f} GiB"
    free = "" if available is None else f", {available / _GIB:.1f} GiB available"
    yield Check("machine", "memory", State.FINE, f"{known}{free}", {"total_bytes": total, "available_bytes": available})


def _memory() -> tuple[int | None, int | None]:
    """Bytes of memory in all, limits of a container counted, and bytes that are available now."""
    total = available = None
    with suppress(OSError, ValueError, AttributeError):
        total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    with suppress(OSError, ValueError):
        limit = int(_CGROUP_MEMORY.read_text(encoding="ascii"))
        total = limit if total is None else min(total, limit)
    with suppress(OSError, ValueError, StopIteration, IndexError):
        lines = _MEMORY_INFO.read_text(encoding="ascii").splitlines()
        available = int(next(line for line in lines if line.startswith("MemAvailable:")).split()[1]) * 1024
    return total, available
