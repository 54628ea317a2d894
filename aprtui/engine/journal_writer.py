"""Writes the journal of a run: one process at a time, one whole line at a time."""

from __future__ import annotations

import fcntl
import os
from datetime import UTC, datetime

from aprtui.core.errors import AprtuiError, UsageError
from aprtui.core.events import Event, JournalLine
from aprtui.store.run_folder import RunFolder
from aprtui.store.summary import read_record

_PIECE = 1 << 20


class JournalWriter:
    """Appends to a journal, from its end on; a torn last line is removed first.

    Attributes:
        record: What the journal says, with what was just written.

    Args:
        folder: The run.

    Raises:
        UsageError: Another engine is writing, or the folder was unpacked from a bundle.
        AprtuiError: The journal cannot be written.
    """

    def __init__(self, folder: RunFolder) -> None:
        if folder.is_bundle:
            raise UsageError("a bundle can only be read", file=folder.path, todo="name the run's own folder")
        self._run, self._path = folder.path.name, folder.journal
        try:
            self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        except OSError as error:
            raise AprtuiError(f"the journal cannot be written: {error.strerror}", file=self._path) from None
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._file)
            raise UsageError("another engine is working on this run", file=folder.path) from None
        self._remove_torn_end()
        self.record = read_record(folder.reader().new_lines())
        self._next = 0 if self.record.last is None else self.record.last.number + 1

    def write(self, event: Event, *, to_disk: bool = False) -> None:
        """Append a line; it is there for every reader, and survives this process, when this returns.

        Args:
            event: What happened.
            to_disk: Whether it has to survive the machine, too.

        Raises:
            AprtuiError: The journal cannot be written.
        """
        line = JournalLine(self._run, self._next, datetime.now(UTC), event)
        raw = line.to_bytes()
        try:
            if os.write(self._file, raw) != len(raw):
                raise OSError(None, "the disk is full")
            if to_disk:
                os.fsync(self._file)
        except OSError as error:
            raise AprtuiError(f"the journal cannot be written: {error.strerror}", file=self._path) from None
        self._next += 1
        self.record.add(line)

    def close(self) -> None:
        """Let others write."""
        os.close(self._file)

    def _remove_torn_end(self) -> None:
        end = os.fstat(self._file).st_size
        while end:
            start = max(0, end - _PIECE)
            newline = os.pread(self._file, end - start, start).rfind(b"\n")
            if newline >= 0:
                end = start + newline + 1
                break
            end = start
        os.ftruncate(self._file, end)
