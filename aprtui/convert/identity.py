"""Who a converter is: its files by digest, so that a binary that was built anew under the same version shows."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

import xxhash

from aprtui.core.errors import AprtuiError
from aprtui.formats.digest import file_digest
from aprtui.processes.run import Place, run_command

_VERSION_SECONDS = 20.0
_CODE = (".py", ".json", ".so")


def program_digest(file: Path) -> str:
    """Digest of one program file.

    Raises:
        AprtuiError: It cannot be read.
    """
    try:
        return file_digest(file)
    except OSError as error:
        raise AprtuiError(f"the converter cannot be read: {error.strerror}", file=file) from None


def files_digest(files: Iterable[Path], folders: Iterable[Path] = ()) -> str:
    """One digest of several files and of the code in several folders; names count.

    Args:
        files: Each must be there.
        folders: One that is not there counts as empty.

    Raises:
        AprtuiError: A file cannot be read.
    """
    named = [(file.name, file) for file in files]
    for folder in folders:
        code = sorted(file for file in folder.rglob("*") if file.suffix in _CODE and file.is_file())
        named += [(f"{folder.name}/{file.relative_to(folder).as_posix()}", file) for file in code]
    digest = xxhash.xxh3_128()
    for name, file in named:
        digest.update(f"{name}\0{program_digest(file)}\0".encode("utf-8", "surrogateescape"))
    return f"xxh3:{digest.hexdigest()}"


def stated_version(arguments: Sequence[str]) -> str:
    """The last line that a program prints when it is asked for its version.

    Raises:
        AprtuiError: It fails, prints nothing, or takes longer than 20 seconds.
    """
    with tempfile.TemporaryDirectory(prefix="aprtui-version-") as scratch:
        place = Place(Path(scratch), Path(scratch), Path(scratch))
        result = run_command(arguments, place, time_limit=_VERSION_SECONDS)
    if result.timed_out:
        raise AprtuiError("it does not tell its version in time", file=arguments[0])
    if result.exit_code or not result.stdout.last_lines:
        raise AprtuiError(f"asked for its version, it {result.ending}", file=arguments[0])
    return result.stdout.last_lines[-1]
