"""Checks of `aprtui doctor`: Python, packages, compiled kernels, converters. Nothing large is imported to find out."""

from __future__ import annotations

import platform
import re
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import numpy as np

import aprtui
from aprtui.cli.doctor_check import Check, Facts, State
from aprtui.compare.kernels import AccumulatorKind, new_accumulator
from aprtui.convert import MissingConverter, converter_named
from aprtui.convert.named import BUILTIN, DEFAULT
from aprtui.convert.profiles import llama_cpp
from aprtui.core.dtypes import DType
from aprtui.core.errors import AprtuiError
from aprtui.formats.chunk import Chunk
from aprtui.settings import Settings

_NAME = re.compile(r"[A-Za-z0-9._-]+")
_OLDEST_PYTHON = (3, 11)
_OPTIONAL = {
    "torch": "runs models",
    "transformers": "runs models",
    "huggingface_hub": "`run --download`",
    "xllamacpp": "llama.cpp: GGUF's own tokenizer and engine",
}
_ELEMENTS = 4096


def software() -> Iterator[Check]:
    """Python, aprtui, what it needs and what it can use."""
    group, version = "software", platform.python_version()
    state = State.FINE if sys.version_info >= _OLDEST_PYTHON else State.BROKEN
    facts = {"version": version, "path": sys.executable}
    yield Check(group, "Python", state, f"{version} at {sys.executable}, 3.11 or newer needed", facts)
    place = Path(aprtui.__file__).parent
    yield Check(
        group,
        "aprtui",
        State.FINE,
        f"{aprtui.__version__} at {place}",
        {"version": aprtui.__version__, "path": str(place)},
    )
    yield _packages(group)
    for name, use in _OPTIONAL.items():
        found = version_of(name)
        if found is None:
            yield Check(group, name, State.MISSING, f"not installed ({use})", {"version": None})
        else:
            yield Check(group, name, State.FINE, f"{found} ({use})", {"version": found})


def _packages(group: str) -> Check:
    """What aprtui cannot do without."""
    try:
        requirements = metadata.requires("aprtui") or []
    except metadata.PackageNotFoundError:
        return Check(
            group, "packages", State.MISSING, "aprtui is not installed as a package, nothing says what it needs"
        )
    names = [match[0] for one in requirements if "extra ==" not in one and (match := _NAME.match(one))]
    versions: Facts = {name: version_of(name) for name in names}
    missing = [name for name, version in versions.items() if version is None]
    if missing:
        found = f"{', '.join(missing)} not installed; `pip install {' '.join(missing)}`"
        return Check(group, "packages", State.BROKEN, found, versions)
    return Check(group, "packages", State.FINE, ", ".join(f"{name} {one}" for name, one in versions.items()), versions)


def version_of(package: str) -> str | None:
    """The installed version of a package; None where it is not installed."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def kernels() -> Iterator[Check]:
    """How tensors are compared, and whether compiled code is kept for the next process."""
    group = "kernels"
    try:
        from aprtui.compare.kernels.machine_code import cache_folder, kept_entries  # noqa: PLC0415 - numba is optional, and slow
    except ImportError as error:
        found = f"numpy alone, right and slow; block types cannot be written: numba cannot be imported ({error})"
        yield Check(group, "comparison", State.MISSING, found, {"implementation": "numpy"})
        return
    folder = cache_folder()
    kept = kept_entries(folder) if folder is not None else 0
    yield _comparison(group, compiled=kept > 0)
    if folder is None:
        found = "there is no place to keep it: each process compiles anew, which takes about 20 s"
        yield Check(group, "machine code", State.MISSING, f"{found}; set NUMBA_CACHE_DIR", {"folder": None})
    else:
        yield Check(
            group, "machine code", State.FINE, f"{kept} entries in {folder}", {"folder": str(folder), "entries": kept}
        )


def _comparison(group: str, *, compiled: bool) -> Check:
    """Compare a few numbers with compiled code and with numpy, unless that would take the time of compiling."""
    facts = {"implementation": f"numba {version_of('numba')}"}
    if not compiled:
        found = f"compiled by {facts['implementation']} with the first comparison, which then takes about 20 s"
        return Check(group, "comparison", State.FINE, found, facts)
    records = [_measured(kind) for kind in (AccumulatorKind.COMPILED, AccumulatorKind.REFERENCE)]
    if records[0] != records[1]:
        found = "compiled code and numpy disagree; delete the machine code, and report it if that does not help"
        return Check(group, "comparison", State.BROKEN, found, facts)
    return Check(group, "comparison", State.FINE, f"compiled by {facts['implementation']}, agrees with numpy", facts)


def _measured(kind: AccumulatorKind) -> tuple[int, float, int]:
    a = np.arange(_ELEMENTS, dtype=np.float32)
    b = a.copy()
    b[_ELEMENTS // 2] += 1
    chunks = [Chunk(DType.F32, one.view(np.uint8), 1, _ELEMENTS, one.nbytes) for one in (a, b)]
    accumulator = new_accumulator(DType.F32, kind)
    accumulator.update(chunks[0], chunks[1], 0)
    record = accumulator.record()
    return record.differing, record.max_abs, record.max_abs_index


def converters(settings: Settings) -> Iterator[Check]:
    """Every converter that can be named, with what evidence would say of it."""
    for name in dict.fromkeys((BUILTIN, DEFAULT, llama_cpp.NAME, *settings.converters)):
        group = "converters"
        try:
            found = converter_named(name, settings)
            if isinstance(found, MissingConverter):
                yield Check(group, name, State.MISSING, found.reason)
                continue
            who = found.identity
        except AprtuiError as error:
            yield Check(group, name, State.BROKEN, error.message)
            continue
        facts = {"path": str(who.path), "version": who.version, "digest": who.digest}
        yield Check(group, name, State.FINE, f"{who.version} at {who.path} ({who.digest})", facts)
