"""String arrays of GGUF, read from the file when somebody asks.

A vocabulary of 150 000 tokens would cost 150 000 Python objects on every look at a header that only wants shapes.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from functools import cached_property
from struct import Struct
from typing import overload

import numpy as np
from numpy.typing import NDArray

from aprtui.core.errors import FormatError
from aprtui.formats.bytes import FileBytes

LENGTH = Struct("<Q")
# Far beyond any chat template; keeps a damaged length from becoming an allocation.
LONGEST_STRING = 1 << 26


def text(raw: memoryview) -> str:
    """UTF-8 bytes as text; bytes that are not UTF-8 become surrogates, so that nothing is lost."""
    return str(raw, "utf-8", "surrogateescape")


def end_of_strings(file: FileBytes, at: int, count: int, what: str) -> int:
    """Where `count` strings that start at an offset end.

    Raises:
        FormatError: They do not lie within the file.
    """
    file.check(at, count * LENGTH.size, what)
    view, unpack = file.take(0, file.size, what), LENGTH.unpack_from
    try:
        for _ in range(count):
            at += 8 + unpack(view, at)[0]
    except (struct.error, OverflowError):
        raise _beyond(file, what) from None
    if at > file.size:
        raise _beyond(file, what)
    return at


class LazyStrings(Sequence[str]):
    """The strings of one array; each is decoded when it is asked for.

    Args:
        file: The file they are in; `end_of_strings` has walked over them.
        at: Offset of the first string's length.
        count: Number of strings.
        what: Name of the array for errors.
    """

    def __init__(self, file: FileBytes, at: int, count: int, what: str) -> None:
        self._file = file
        self._at = at
        self._count = count
        self._what = what

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[str]:
        view, unpack, at = self._file.take(0, self._file.size, self._what), LENGTH.unpack_from, self._at
        for _ in range(self._count):
            start = at + 8
            at = start + unpack(view, at)[0]
            yield str(view[start:at], "utf-8", "surrogateescape")

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> list[str]: ...
    def __getitem__(self, index: int | slice) -> str | list[str]:
        if isinstance(index, slice):
            return [self[position] for position in range(*index.indices(self._count))]
        if not -self._count <= index < self._count:
            raise IndexError(index)
        at = int(self._offsets[index])
        return text(self._file.take(at + 8, self._file.u64(at, self._what), self._what))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Sequence) or isinstance(other, str):
            return NotImplemented
        return len(self) == len(other) and all(a == b for a, b in zip(self, other, strict=True))

    def __hash__(self) -> int:
        return hash((self._file.path, self._at))

    def __repr__(self) -> str:
        return f"LazyStrings({self._what!r}, {self._count} strings)"

    @cached_property
    def _offsets(self) -> NDArray[np.int64]:
        """Offset of each string's length, int64 [count]."""
        view, unpack = self._file.take(0, self._file.size, self._what), LENGTH.unpack_from

        def offsets() -> Iterator[int]:
            at = self._at
            for _ in range(self._count):
                yield at
                at += 8 + unpack(view, at)[0]

        return np.fromiter(offsets(), np.int64, self._count)


def _beyond(file: FileBytes, what: str) -> FormatError:
    return FormatError(
        f"a string of {what} ends beyond the file, which ends at {file.size}",
        file=file.path,
        todo="it is truncated or damaged: fetch or convert it again",
    )
