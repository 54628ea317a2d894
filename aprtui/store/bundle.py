"""A run as one file: what `show`, `compare` and the console need of it, without weights, to be read on another machine.

A bundle is a gzipped tar in the plain ustar format with the run's files in a folder of the run's id. Bundles come from
strangers: only these files are taken, into a folder of our own, within limits that hold before anything is allocated.
"""

from __future__ import annotations

import atexit
import gzip
import json
import os
import re
import shutil
import socket
import tarfile
import tempfile
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import IO

import aprtui
from aprtui.core.errors import AprtuiError, UsageError
from aprtui.core.json_values import from_json, to_json
from aprtui.store.run_folder import BUNDLE_FACTS, RunFolder

SUFFIX = ".tar.gz"
"""End of a bundle's name."""

VERSION = 1
LARGEST = 4 << 30
"""Most bytes that the files of a bundle may have together."""

STDERR_TAIL = 1 << 20
"""Bytes of stderr.log that are taken, from its end."""

_PLAN, _JOURNAL, _STDERR = "plan.json", "journal.jsonl", "stderr.log"
_REQUIRED = (BUNDLE_FACTS, _PLAN, _JOURNAL)
_TAKEN = (*_REQUIRED, "evidence.json", "junit.xml", _STDERR)
_RUN_ID = re.compile(r"[0-9A-Za-z][0-9A-Za-z._-]{0,79}")
_BLOCK = tarfile.BLOCKSIZE
_PIECE = 1 << 20
_GZIP = b"\x1f\x8b"


@dataclass(frozen=True, slots=True)
class BundleFacts:
    """What a bundle says of itself.

    Attributes:
        version: Of the layout.
        made: When, in UTC, as ISO 8601 has it.
        host: Machine of the run's folder.
        aprtui_version: Version that made it.
        left_out: What the run has and the bundle does not.
        evidence: The file that all of it was read from, where there is no run folder but only an evidence.json.
    """

    version: int
    made: str
    host: str
    aprtui_version: str
    left_out: tuple[str, ...]
    evidence: str = ""

    @classmethod
    def now(cls, left_out: Iterable[str], evidence: str = "") -> BundleFacts:
        """The facts of what is made here and now."""
        made = datetime.now(UTC).isoformat(timespec="seconds")
        return cls(VERSION, made, socket.gethostname(), aprtui.__version__, tuple(left_out), evidence)

    def to_bytes(self) -> bytes:
        """As they stand in their file."""
        return json.dumps(to_json(self), indent=2).encode() + b"\n"

    @classmethod
    def of(cls, folder: RunFolder) -> BundleFacts:
        """The facts of a run that was opened from a bundle.

        Raises:
            AprtuiError: They are not there or cannot be understood.
        """
        path = folder.path / BUNDLE_FACTS
        try:
            return from_json(cls, json.loads(path.read_bytes()))
        except OSError as error:
            raise AprtuiError(f"cannot be read: {error.strerror}", file=path) from None
        except (ValueError, RecursionError) as error:
            raise AprtuiError(f"cannot be understood: {error}", file=path) from None


def write_bundle(folder: RunFolder, path: Path) -> int:
    """Write a run as one file, whole or not at all; of a run that goes on what it has come to so far.

    Args:
        folder: The run.
        path: The file; replaced where it is there.

    Returns:
        Its size in bytes.

    Raises:
        AprtuiError: The run cannot be read, is too large for a bundle, or the file cannot be written.
    """
    folder.plan()  # what is no run makes no bundle
    if _RUN_ID.fullmatch(folder.path.name) is None:
        raise AprtuiError("the folder is not named as runs are", file=folder.path, todo="give it its run's id as name")
    part: Path | None = None
    try:
        with tempfile.NamedTemporaryFile("wb", dir=path.parent, suffix=".part", delete=False) as file:
            part = Path(file.name)
            with gzip.GzipFile("", "wb", fileobj=file) as packed:
                _write_members(folder, packed)
        size = part.stat().st_size
        part.replace(path)
    except OSError as error:
        raise AprtuiError(f"the bundle cannot be written: {error.strerror or error}", file=path) from None
    finally:
        if part is not None:
            part.unlink(missing_ok=True)
    return size


def _write_members(folder: RunFolder, packed: gzip.GzipFile) -> None:
    left_out = ["products", "pid.json"]
    spans = {name: span for name in _TAKEN if (span := _span(folder.path / name)) is not None}
    if _STDERR in spans and spans[_STDERR][0]:
        left_out.append(f"the first {spans[_STDERR][0]} bytes of {_STDERR}")
    if sum(end - start for start, end in spans.values()) > LARGEST:
        raise AprtuiError(f"the run has more than {LARGEST >> 30} GiB", file=folder.path, todo="copy the folder itself")
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        raw = BundleFacts.now(left_out).to_bytes()
        archive.addfile(_member(folder, BUNDLE_FACTS, len(raw)), BytesIO(raw))
        for name, (start, end) in spans.items():
            if name == BUNDLE_FACTS:
                continue
            with (folder.path / name).open("rb") as file:
                file.seek(start)
                archive.addfile(_member(folder, name, end - start), file)


def _member(folder: RunFolder, name: str, size: int) -> tarfile.TarInfo:
    member = tarfile.TarInfo(f"{folder.path.name}/{name}")
    member.size = size
    return member


def _span(path: Path) -> tuple[int, int] | None:
    """The bytes of a file to take; None where there is no such file. A journal that grows ends with a whole line."""
    try:
        with path.open("rb") as file:
            end = os.fstat(file.fileno()).st_size
            if path.name == _JOURNAL:
                return 0, _end_of_last_line(file, end)
            return (max(0, end - STDERR_TAIL) if path.name == _STDERR else 0), end
    except FileNotFoundError:
        return None


def _end_of_last_line(file: IO[bytes], end: int) -> int:
    while end:
        start = max(0, end - _PIECE)
        file.seek(start)
        newline = file.read(end - start).rfind(b"\n")
        if newline >= 0:
            return start + newline + 1
        end = start
    return 0


def is_bundle(path: Path) -> bool:
    """Whether a path is a gzipped file."""
    try:
        with path.open("rb") as file:
            return path.is_file() and file.read(len(_GZIP)) == _GZIP
    except (OSError, ValueError):
        return False


def open_bundle(path: Path) -> RunFolder:
    """Unpack a bundle into a temporary folder, which goes when this process ends.

    Raises:
        UsageError: It is no bundle, damaged, or holds what a bundle does not hold.
        AprtuiError: It cannot be read, or there is no room for it.
    """
    scratch = temporary_folder()
    try:
        with path.open("rb") as file, gzip.GzipFile(fileobj=file) as packed:
            folder = _unpack(packed, scratch)
    except (gzip.BadGzipFile, zlib.error, EOFError, tarfile.HeaderError) as error:
        raise _refused(path, f"it is damaged: {error}") from None
    except ValueError as error:
        raise _refused(path, str(error)) from None
    except OSError as error:
        raise AprtuiError(f"the bundle cannot be opened: {error.strerror}", file=path) from None
    facts = BundleFacts.of(folder)
    if facts.version != VERSION:
        raise UsageError(f"version {facts.version} of bundles is not known", file=path, todo="use a newer aprtui")
    return folder


def temporary_folder() -> Path:
    """A folder for what was unpacked; it goes when this process ends."""
    folder = Path(tempfile.mkdtemp(prefix="aprtui-unpacked-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def _refused(path: Path, why: str) -> UsageError:
    return UsageError(f"no bundle of a run: {why}", file=path, todo="make one with `aprtui bundle RUN`")


def _unpack(packed: gzip.GzipFile, scratch: Path) -> RunFolder:
    """Take the members one by one.

    tarfile reads extended headers of any size into memory, so headers are read here; bundles have none.

    Raises:
        ValueError: There is something else in it, or too much.
    """
    run, taken, total = "", set[str](), 0
    for member in _members(packed):
        folder, _, name = member.name.partition("/")
        if not member.isreg() or name not in _TAKEN or name in taken or _RUN_ID.fullmatch(folder) is None:
            raise ValueError(f"it holds {member.name[:200]!r}, which no bundle holds")
        if run not in ("", folder):
            raise ValueError(f"it holds two runs, {run!r} and {folder!r}")
        run, total = folder, total + member.size
        taken.add(name)
        if member.size < 0 or total > LARGEST:
            raise ValueError(f"its files have more than {LARGEST >> 30} GiB")
        (scratch / run).mkdir(exist_ok=True)
        _copy(packed, scratch / run / name, member.size)
    missing = [name for name in _REQUIRED if name not in taken]
    if missing:
        raise ValueError(f"it has no {missing[0]}")
    return RunFolder(scratch / run)


def _members(packed: gzip.GzipFile) -> Iterator[tarfile.TarInfo]:
    """The headers; whoever takes one reads its bytes before the next."""
    while True:
        header = packed.read(_BLOCK)
        if header == bytes(_BLOCK):
            # The checksum stands at the very end, behind the padding of the archive.
            if packed.read(_PIECE).strip(b"\0") or packed.read(1):
                raise ValueError("something follows its end")
            return
        yield tarfile.TarInfo.frombuf(header, "utf-8", "surrogateescape")


def _copy(packed: gzip.GzipFile, target: Path, size: int) -> None:
    with target.open("xb") as file:
        left = size
        while left:
            piece = packed.read(min(left, _PIECE))
            if not piece:
                raise EOFError("it ends early")
            file.write(piece)
            left -= len(piece)
    packed.read(-size % _BLOCK)
