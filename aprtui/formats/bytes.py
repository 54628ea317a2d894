"""The only place that reads model files: bounds-checked, zero-copy reads of a memory-mapped file.

Every reader of a format goes through `FileBytes`, so that an offset or a size taken from a hostile header can
never reach past the file: it becomes one clear error that says what was being read, and where.
"""

from __future__ import annotations

import mmap
import os
import stat
from collections import OrderedDict
from pathlib import Path
from struct import Struct
from threading import Lock

import numpy as np
from numpy.typing import NDArray

from aprtui.core.errors import AprtuiError, FormatError
from aprtui.formats.container import StoredTensor

_U8, _U16, _U32, _U64 = Struct("<B"), Struct("<H"), Struct("<I"), Struct("<Q")

# Each map holds a file descriptor, of which a process may have as few as 256.
_OPEN_MAPS = 128


class FileBytes:
    """The bytes of one file, mapped read-only; little-endian numbers.

    There is nothing to close: the map goes with the last array or view that was taken from it.

    Args:
        path: A regular file, or a link to one.

    Raises:
        AprtuiError: It is missing, not a regular file, or may not be read.
        FormatError: It is empty.

    Attributes:
        path: The file as given.
        size: Its length in bytes when it was opened.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._map = _mapped(path)
        self._view = memoryview(self._map)
        self.size = len(self._map)

    def check(self, at: int, count: int, what: str) -> None:
        """Raise FormatError unless bytes [at, at + count) lie within the file; `what` names them."""
        if at < 0 or count < 0 or at + count > self.size:
            raise FormatError(
                f"{what} takes {count} bytes, but the file ends at {self.size}",
                file=self.path,
                place=f"offset {at}",
                todo="it is truncated or damaged: fetch or convert it again",
            )

    def take(self, at: int, count: int, what: str) -> memoryview:
        """Bytes [at, at + count) without a copy."""
        self.check(at, count, what)
        return self._view[at : at + count]

    def array(self, at: int, count: int, what: str) -> NDArray[np.uint8]:
        """Bytes [at, at + count) as a read-only uint8 array [count] without a copy."""
        return np.frombuffer(self.take(at, count, what), np.uint8)

    def release(self, at: int, count: int) -> None:
        """Let the system take back the memory of bytes [at, at + count); the next read maps them again."""
        if hasattr(mmap, "MADV_DONTNEED") and count > 0:
            start = at // mmap.PAGESIZE * mmap.PAGESIZE
            self._map.madvise(mmap.MADV_DONTNEED, start, min(at + count, self.size) - start)

    def u8(self, at: int, what: str) -> int:
        """Unsigned 8 bits at an offset."""
        return self._integer(_U8, at, what)

    def u16(self, at: int, what: str) -> int:
        """Unsigned 16 bits at an offset."""
        return self._integer(_U16, at, what)

    def u32(self, at: int, what: str) -> int:
        """Unsigned 32 bits at an offset."""
        return self._integer(_U32, at, what)

    def u64(self, at: int, what: str) -> int:
        """Unsigned 64 bits at an offset."""
        return self._integer(_U64, at, what)

    def _integer(self, form: Struct, at: int, what: str) -> int:
        self.check(at, form.size, what)
        number: int = form.unpack_from(self._view, at)[0]
        return number


def tensor_bytes(tensor: StoredTensor) -> NDArray[np.uint8]:
    """The stored bytes of a tensor, uint8 [nbytes], read-only and without a copy.

    The file stays mapped for the next call; a file that was replaced since is mapped anew.

    Raises:
        AprtuiError: The file is gone or may not be read.
        FormatError: The bytes are not in the file.
    """
    place = f"tensor {tensor.name}"
    if not tensor.readable:
        raise FormatError("its declared bytes are not in the file", file=tensor.file, place=place)
    return _open_maps.get(tensor.file).array(tensor.offset, tensor.nbytes, place)


def release_pages(tensor: StoredTensor) -> None:
    """Let the system take back the memory that reads of a tensor occupy, so that a run stays within its budget."""
    if tensor.readable:
        _open_maps.get(tensor.file).release(tensor.offset, tensor.nbytes)


def is_file(path: Path) -> bool:
    """Whether a path names a regular file; False for names that the system does not take."""
    try:
        return path.is_file()
    except OSError:
        return False


class _OpenMaps:
    """The files mapped last, by path; the identity of a file tells whether it was replaced."""

    def __init__(self) -> None:
        self._maps: OrderedDict[Path, tuple[tuple[int, ...], FileBytes]] = OrderedDict()
        self._lock = Lock()

    def get(self, path: Path) -> FileBytes:
        """The map of a file, opened where it is not open yet or has changed."""
        identity = _identity(path)
        with self._lock:
            known = self._maps.get(path)
            if known is None or known[0] != identity:
                known = (identity, FileBytes(path))
                self._maps[path] = known
            self._maps.move_to_end(path)
            if len(self._maps) > _OPEN_MAPS:
                self._maps.popitem(last=False)
            return known[1]


_open_maps = _OpenMaps()


def _identity(path: Path) -> tuple[int, ...]:
    try:
        status = path.stat()
    except (OSError, ValueError) as error:
        raise _unreadable(path, error) from None
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


def _mapped(path: Path) -> mmap.mmap:
    # Without O_NONBLOCK, opening a FIFO that nobody writes to would wait for ever.
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    try:
        descriptor = os.open(path, flags)
    except (OSError, ValueError) as error:
        raise _unreadable(path, error) from None
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            kind = "a directory" if stat.S_ISDIR(status.st_mode) else "a pipe, socket or device"
            raise AprtuiError(f"this is {kind}, not a file", file=path)
        if status.st_size == 0:
            raise FormatError("the file is empty", file=path, todo="fetch or convert it again")
        return mmap.mmap(descriptor, 0, access=mmap.ACCESS_READ)
    except (OSError, ValueError) as error:
        raise _unreadable(path, error) from None
    finally:
        os.close(descriptor)


def _unreadable(path: Path, error: OSError | ValueError) -> AprtuiError:
    if isinstance(error, FileNotFoundError):
        return AprtuiError("there is no such file", file=path)
    if isinstance(error, PermissionError):
        return AprtuiError("the file may not be read", file=path, todo="check its permissions")
    reason = error.strerror if isinstance(error, OSError) else str(error)
    return AprtuiError(f"the file cannot be opened: {reason}", file=path)
