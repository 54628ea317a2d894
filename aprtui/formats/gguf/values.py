"""Reads the metadata values of a GGUF header; every count is held against the file before anything is read."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from aprtui.core.errors import FormatError
from aprtui.formats.bytes import FileBytes
from aprtui.formats.gguf.strings import LONGEST_STRING, LazyStrings, end_of_strings, text
from aprtui.formats.gguf.types import NUMPY_TYPES, GgufValue, ValueType

# A key may have 65535 bytes (GGUF specification).
_LONGEST_KEY = 65535
# llama.cpp reads no nested arrays at all; the specification sets no limit.
_DEEPEST_ARRAY = 8
_MOST_NESTED_ARRAYS = 65536


class ValueReader:
    """A position in a header that moves on as values are read.

    Args:
        file: The file.
        at: Offset of the first value.
    """

    def __init__(self, file: FileBytes, at: int) -> None:
        self.file = file
        self.at = at
        self._nested_arrays = 0

    def pair(self, number: int) -> GgufValue:
        """The next key with its value; `number` counts keys from 0."""
        key = self._string(f"metadata key {number}", _LONGEST_KEY)
        what = f"value of {key!r}"
        kind = self._value_type(what)
        if kind is not ValueType.ARRAY:
            return GgufValue(key, self._scalar(kind, what), kind)
        element, value = self._array(what, 1)
        return GgufValue(key, value, kind, element)

    def _u64(self, what: str) -> int:
        number = self.file.u64(self.at, what)
        self.at += 8
        return number

    def _string(self, what: str, longest: int) -> str:
        start = self.at
        length = self._u64(f"length of {what}")
        self.file.check(self.at, length, what)
        if length > longest:
            raise self._damaged(f"{what} has {length} bytes; at most {longest} are read", start)
        raw = self.file.take(self.at, length, what)
        self.at += length
        return text(raw)

    def _value_type(self, what: str) -> ValueType:
        number = self.file.u32(self.at, f"type of {what}")
        if number > max(ValueType):
            raise self._damaged(f"the {what} has type {number}, which GGUF does not define", self.at)
        self.at += 4
        return ValueType(number)

    def _scalar(self, kind: ValueType, what: str) -> str | float | bool:
        if kind is ValueType.STRING:
            return self._string(what, LONGEST_STRING)
        number: float | bool = self._numbers(kind, 1, what)[0].item()
        return number

    def _numbers(self, kind: ValueType, count: int, what: str) -> NDArray[Any]:
        """Numbers or bools [count], not copied unless they are bools."""
        form = np.dtype(NUMPY_TYPES[kind])
        raw = self.file.take(self.at, count * form.itemsize, what)
        self.at += len(raw)
        numbers = np.frombuffer(raw, form) if count else np.empty(0, form)
        return numbers != 0 if kind is ValueType.BOOL else numbers

    def _array(self, what: str, depth: int) -> tuple[ValueType, Any]:
        element = self._value_type(what)
        start = self.at
        count = self._u64(f"length of {what}")
        if element is ValueType.ARRAY:
            return element, self._nested(count, what, depth, start)
        if element is ValueType.STRING:
            first = self.at
            self.at = end_of_strings(self.file, first, count, what)
            return element, LazyStrings(self.file, first, count, what)
        return element, self._numbers(element, count, what)

    def _nested(self, count: int, what: str, depth: int, start: int) -> list[Any]:
        self._nested_arrays += count
        if depth >= _DEEPEST_ARRAY or self._nested_arrays > _MOST_NESTED_ARRAYS:
            limit = f"{_DEEPEST_ARRAY} levels and {_MOST_NESTED_ARRAYS} arrays"
            raise self._damaged(f"the {what} nests arrays beyond {limit}", start)
        return [self._array(what, depth + 1)[1] for _ in range(count)]

    def _damaged(self, problem: str, at: int) -> FormatError:
        return FormatError(
            problem, file=self.file.path, place=f"offset {at}", todo="it is damaged: fetch or convert it again"
        )
