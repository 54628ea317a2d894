"""The directory of one conversion beside its destination: where the converter runs, what it printed, the record."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aprtui.convert.converter import ConverterIdentity
from aprtui.core.safe_text import safe_text
from aprtui.processes.run import CommandResult, Place, mark_of

_RECORD = "record.json"
_SHOWN = 3


def working_directory(destination: Path) -> Path:
    """The directory of the conversion into a destination: `NAME.conversion` beside `NAME`."""
    destination = destination.absolute()
    return destination.with_name(f"{destination.name}.conversion")


def end_conversion(destination: Path) -> None:
    """Kill what still runs for a destination after the process that called `convert` was itself killed (Linux)."""
    mark_of(working_directory(destination)).end_processes()


def read_record(destination: Path) -> dict[str, Any] | None:
    """The record of a conversion by programs, fit for evidence; None where there is none.

    It has `converter` (identity before the conversion) and `commands`, each with arguments, exit_code, seconds,
    timed_out, stdout_bytes, stderr_bytes and last_lines.
    """
    try:
        record = json.loads((working_directory(destination) / _RECORD).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return record if isinstance(record, dict) else None


@dataclass(frozen=True, slots=True)
class Workspace:
    """The directories of one conversion.

    Attributes:
        place: Where its commands run.
    """

    place: Place

    @classmethod
    def make(cls, destination: Path) -> Workspace:
        """Make the directories; what an earlier conversion into this destination left is removed."""
        directory = working_directory(destination)
        shutil.rmtree(directory, ignore_errors=True)
        place = Place(directory, directory / "run", directory / "tmp")
        for path in (place.run, place.temporary):
            path.mkdir(parents=True)
        return cls(place)

    def strays(self) -> str:
        """Names of the files that were left in the working directory, a few of them."""
        run = self.place.run
        names = sorted(str(path.relative_to(run)) for path in run.rglob("*") if path.is_file())
        return safe_text(", ".join(names[:_SHOWN]) + (", …" if len(names) > _SHOWN else ""))

    def close(self, identity: ConverterIdentity, results: Sequence[CommandResult]) -> None:
        """Write the record and remove everything but the output."""
        record = {
            "converter": {
                "name": identity.name,
                "path": str(identity.path),
                "version": identity.version,
                "digest": identity.digest,
            },
            "commands": [_as_json(result) for result in results],
        }
        text = json.dumps(record, indent=1)
        (self.place.directory / _RECORD).write_text(text, encoding="utf-8", errors="backslashreplace")
        for path in (self.place.run, self.place.temporary):
            shutil.rmtree(path, ignore_errors=True)


def _as_json(result: CommandResult) -> dict[str, Any]:
    return {
        "arguments": list(result.arguments),
        "exit_code": result.exit_code,
        "seconds": round(result.seconds, 3),
        "timed_out": result.timed_out,
        "stdout_bytes": result.stdout.nbytes,
        "stderr_bytes": result.stderr.nbytes,
        "last_lines": list(result.stderr.last_lines or result.stdout.last_lines),
    }
