"""Reading a journal: whole or as it grows, whatever a crash or a full disk left at its end."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from aprtui.core.events import JournalLine

_PIECE = 1 << 20
_LONGEST_LINE = 1 << 26


class JournalReader:
    """Reads the lines that were added since the last time.

    A line without its end is left for the next time; a line that is damaged, of another run or of an unknown version
    is passed over and counted.

    Args:
        path: journal.jsonl; may not exist yet.
        run: Id of the run.
    """

    def __init__(self, path: Path, run: str) -> None:
        self._path = path
        self._run = run
        self._position = 0
        self.passed_over = 0

    def new_lines(self) -> Iterator[JournalLine]:
        """Every whole line that was not read before."""
        for _, line in self.new_raw_lines():
            parsed = self.parsed(line)
            if parsed is not None:
                yield parsed

    def skip_to(self, position: int) -> None:
        """Read on from here: what stands before is known."""
        self._position = position

    def new_raw_lines(self, end: int | None = None) -> Iterator[tuple[int, bytes]]:
        """Offset and bytes of every whole line that was not read before, unparsed and without its end.

        Args:
            end: Where to stop; None for the end of the file.
        """
        rest = b""
        for piece in self._pieces(end):
            *lines, rest = (rest + piece).split(b"\n")
            for line in lines:
                offset = self._position
                self._position += len(line) + 1
                yield offset, line
            if len(rest) > _LONGEST_LINE:
                self._position += len(rest)
                self.passed_over += 1
                rest = b""

    def _pieces(self, end: int | None) -> Iterator[bytes]:
        position = self._position
        if position == end:
            return
        try:
            file = self._path.open("rb")
        except FileNotFoundError:
            return
        with file:
            file.seek(position)
            while piece := file.read(_PIECE if end is None else min(_PIECE, end - position)):
                position += len(piece)
                yield piece

    def parsed(self, line: bytes) -> JournalLine | None:
        """A line of this run; None where it is passed over, which counts it."""
        try:
            parsed = JournalLine.from_bytes(line)
        except ValueError:
            parsed = None
        if parsed is None or parsed.run != self._run:
            self.passed_over += 1
            return None
        return parsed
