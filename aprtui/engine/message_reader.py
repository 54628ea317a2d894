"""Reads what a worker sends without ever waiting for it.

`multiprocessing.Connection.recv` waits for the end of a message: a worker that is stopped in the middle of one would
stop the engine with it, heartbeats, time limits and all.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from multiprocessing.connection import Connection
from multiprocessing.reduction import ForkingPickler
from struct import Struct

from aprtui.engine.worker import Message

_SHORT = Struct("!i")
_LONG = Struct("!Q")
_PIECE = 1 << 18
_MOST_PIECES = 64


class MessageReader:
    """The messages of one worker, as they become whole.

    Attributes:
        at_end: The worker has closed its end.

    Args:
        connection: The engine's end of the pipe, a socket.
    """

    def __init__(self, connection: Connection) -> None:
        self._socket = socket.socket(fileno=os.dup(connection.fileno()))
        self._pending = bytearray()
        self.at_end = False

    def messages(self) -> Iterator[Message]:
        """Messages that are whole now; the beginning of another one is kept."""
        self._take()
        while (frame := self._frame()) is not None:
            message: Message = ForkingPickler.loads(frame)
            yield message

    def close(self) -> None:
        """Let go of the pipe."""
        self._socket.close()

    def _take(self) -> None:
        """Take what is there, but not for ever: other workers wait."""
        for _ in range(_MOST_PIECES):
            try:
                piece = self._socket.recv(_PIECE, socket.MSG_DONTWAIT)
            except BlockingIOError:
                return
            except ConnectionResetError:
                piece = b""
            if not piece:
                self.at_end = True
                return
            self._pending += piece

    def _frame(self) -> bytes | None:
        """The next message's bytes, framed as `multiprocessing.connection` does; None where it is not whole."""
        if len(self._pending) < _SHORT.size:
            return None
        (length,) = _SHORT.unpack_from(self._pending)
        start = _SHORT.size
        if length == -1:
            start += _LONG.size
            if len(self._pending) < start:
                return None
            (length,) = _LONG.unpack_from(self._pending, _SHORT.size)
        if len(self._pending) < start + length:
            return None
        frame = bytes(self._pending[start : start + length])
        del self._pending[: start + length]
        return frame
