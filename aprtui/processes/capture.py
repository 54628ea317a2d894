"""Keeps what a converter prints within bounds: the beginning, the end, and a count of what lay between.

A converter may print for hours; what tells why it failed stands at one of the two ends.
"""

from __future__ import annotations

import re
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from aprtui.core.safe_text import safe_text

KEPT_BYTES = 1 << 20
"""Bytes that are kept of each end."""

_PIECE = 1 << 16
_LAST_LINES = 5
_LONGEST_LINE = 300
_JOIN_SECONDS = 2.0
_COLOUR = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")


@dataclass(frozen=True, slots=True)
class CapturedStream:
    """What became of one output stream.

    Attributes:
        path: The file that holds its beginning and its end.
        nbytes: Everything that was printed, in bytes.
        last_lines: Its last lines that are not blank, fit for a terminal.
        error_line: The last of its last lines that begins with "error", else the last line; empty if there is none.
    """

    path: Path
    nbytes: int
    last_lines: tuple[str, ...]
    error_line: str


class StreamCapture:
    """Reads a pipe to its end on a thread of its own, so that the writer never waits.

    Args:
        stream: The reading end of a pipe, unbuffered.
    """

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._head = bytearray()
        self._tail = bytearray()
        self._nbytes = 0
        self._thread = threading.Thread(target=self._read, name="capture", daemon=True)
        self._thread.start()

    def finish(self, path: Path) -> CapturedStream:
        """Write what was kept to a file.

        The wait for the end of the pipe is bounded: a process that escaped may hold it open for ever.
        """
        self._thread.join(_JOIN_SECONDS)
        head, tail = bytes(self._head), bytes(self._tail[-KEPT_BYTES:])
        left_out = self._nbytes - len(head) - len(tail)
        gap = f"\n[{left_out} bytes left out]\n".encode() if left_out > 0 else b""
        path.write_bytes(head + gap + tail)
        lines = _lines(tail if gap else head + tail)
        errors = [line for line in lines if line.lower().startswith("error")]
        return CapturedStream(path, self._nbytes, tuple(lines[-_LAST_LINES:]), (errors or lines or [""])[-1])

    def _read(self) -> None:
        with self._stream:
            while piece := self._stream.read(_PIECE):
                self._nbytes += len(piece)
                room = KEPT_BYTES - len(self._head)
                self._head += piece[:room]
                self._tail += piece[room:]
                if len(self._tail) > 2 * KEPT_BYTES:
                    del self._tail[:-KEPT_BYTES]


def _lines(raw: bytes) -> list[str]:
    """Lines that are not blank, without colours, of the last part of an output."""
    text = _COLOUR.sub("", raw[-(_PIECE):].decode("utf-8", "replace"))
    return [safe_text(line.strip(), _LONGEST_LINE) for line in text.splitlines() if line.strip()]
