"""The tensor lines of a long journal as columns, so that a run of 100 000 rows opens at once.

The engine writes them when a run has ended. They are a cache and nothing else: they say which bytes of the journal they
were made from, and where the journal holds others, or anything about the file is not as it has to be, the journal is
read line by line.
"""

from __future__ import annotations

import json
import sys
from array import array
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from math import isnan
from operator import and_, eq, le, lt
from pathlib import Path
from typing import Any

import xxhash

from aprtui.core.events import JOURNAL_VERSION
from aprtui.store.atomic import write_bytes
from aprtui.store.columns import Columns
from aprtui.store.journal import JournalReader
from aprtui.store.row_status import RowStatus
from aprtui.store.run_folder import RunFolder

_FORMAT = "aprtui rows 1"
_WORTH_IT = 4 << 20
"""Bytes of a journal that is read line by line in a tenth of a second."""

_TEXTS = ("names", "source_types", "target_types", "units", "rules", "origins", "set_by")
_NUMBERS = ("nbytes", "max_abs", "max_ulps", "nmses", "margins", "limits", "offsets")
_FLOATS = ("max_abs", "max_ulps", "nmses", "margins", "limits")
_BLOCK = 4096
_PIECE = 1 << 22
_TENSOR_KIND = b'"kind":"TensorFinished"'


def tensor_line(line: bytes, run: str, indices: dict[str, int]) -> tuple[int, dict[str, Any]] | None:
    """Comparison and result of a line that holds the result of a tensor; None for every other line.

    Args:
        line: Of a journal.
        run: Id of the run.
        indices: Comparisons by id.
    """
    if _TENSOR_KIND not in line[:200]:
        return None
    try:
        value = json.loads(line)
        if value["run"] != run or value["v"] != JOURNAL_VERSION:
            return None
        return indices[value["comparison"]], value["tensor"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None


@dataclass(frozen=True, slots=True)
class CachedRows:
    """The tensor lines at the beginning of a journal.

    Attributes:
        columns: One row for each line, in their order; a tensor that was compared twice has two.
        ends: Offset behind each line.
        journal_bytes: How much of the journal they stand for.
    """

    columns: Columns
    ends: array[int]
    journal_bytes: int

    def items(self, reader: JournalReader) -> Iterator[tuple[int, bytes] | range]:
        """The beginning of the journal in its order: other lines as they are, tensors as ranges of rows.

        Rows of a range belong to one comparison and to different tensors.
        """
        offsets, names, comparisons = self.columns.offsets, self.columns.names, self.columns.comparisons
        # 1 where a line follows upon the one before without a gap, in the same comparison.
        follows = bytes(map(and_, map(eq, offsets[1:], self.ends), map(eq, comparisons[1:], comparisons))) + b"\0"
        start = 0
        while start < len(offsets):
            stop = min(follows.find(0, start) + 1, start + _BLOCK)
            while len(set(names[start:stop])) < stop - start:
                stop = (start + stop) // 2
            yield from reader.new_raw_lines(offsets[start])
            reader.skip_to(self.ends[stop - 1])
            yield range(start, stop)
            start = stop
        yield from reader.new_raw_lines(self.journal_bytes)


def read_rows(folder: RunFolder, comparisons: int) -> CachedRows | None:
    """The rows of a run; None where there are none that hold for its journal.

    Args:
        folder: The run.
        comparisons: How many its plan has.
    """
    try:
        size = folder.journal.stat().st_size
        # What is longer than the journal was not made from it.
        if folder.rows.stat().st_size > size:
            return None
        head, _, body = folder.rows.read_bytes().partition(b"\n")
        return _checked(json.loads(head), body, folder.journal, comparisons)
    except (OSError, ValueError, KeyError, TypeError, IndexError, OverflowError, RecursionError):
        return None


def _checked(head: dict[str, Any], body: bytes, journal: Path, comparisons: int) -> CachedRows | None:
    covered = head["journal_bytes"]
    if head["format"] != _FORMAT or head["byteorder"] != sys.byteorder:
        return None
    with ThreadPoolExecutor(1) as beside:
        # Reading a hundred megabytes needs no interpreter.
        digest = beside.submit(_digest, journal, covered)
        rows = _unpacked(head, body, comparisons)
        return rows if digest.result() == head["digest"] else None


def _unpacked(head: dict[str, Any], body: bytes, comparisons: int) -> CachedRows | None:
    count, covered = head["rows"], head["journal_bytes"]
    parts = _Parts(body, count)
    columns, texts, shapes = Columns(), _texts(head["texts"]), _shapes(head["shapes"])
    columns.statuses = parts.codes()
    columns.kinds = bytearray(count)
    columns.comparisons = array("i", parts.indices())
    for name in _TEXTS:
        setattr(columns, name, list(map(texts.__getitem__, parts.indices())))
    columns.shapes = list(map(shapes.__getitem__, parts.indices()))
    for name in _NUMBERS:
        setattr(columns, name, parts.numbers(getattr(columns, name).typecode))
    ends = parts.numbers("q")
    in_order = all(map(lt, columns.offsets, ends)) and all(map(le, ends, columns.offsets[1:]))
    if not parts.is_at_end or not in_order or not count or columns.offsets[0] < 0 or ends[-1] > covered:
        return None
    if max(columns.statuses) >= RowStatus.HIDDEN or max(columns.comparisons) >= comparisons:
        return None
    if any(any(map(isnan, getattr(columns, name))) for name in _FLOATS):
        return None
    return CachedRows(columns, ends, covered)


class _Parts:
    """What follows the header, taken piece by piece."""

    def __init__(self, body: bytes, count: int) -> None:
        self._body, self._count, self._at = body, count, 0

    @property
    def is_at_end(self) -> bool:
        return self._at == len(self._body)

    def codes(self) -> bytearray:
        return bytearray(self._next(1))

    def indices(self) -> array[int]:
        found = array("I")
        found.frombytes(self._next(found.itemsize))
        return found

    def numbers(self, kind: str) -> array[Any]:
        found: array[Any] = array(kind)
        found.frombytes(self._next(found.itemsize))
        return found

    def _next(self, size: int) -> bytes:
        piece = self._body[self._at : self._at + size * self._count]
        if len(piece) != size * self._count:
            raise ValueError("cut short")
        self._at += len(piece)
        return piece


def _texts(found: object) -> Sequence[str]:
    if not isinstance(found, list) or not all(isinstance(text, str) for text in found):
        raise ValueError("no texts")
    return found


def _shapes(found: Iterable[Iterable[object]]) -> Sequence[tuple[int, ...]]:
    shapes = [tuple(shape) for shape in found]
    if not all(isinstance(size, int) for shape in shapes for size in shape):
        raise ValueError("no shapes")
    return shapes  # type: ignore[return-value]  # as was just checked


def _digest(journal: Path, count: int) -> str:
    """Digest of the first bytes of a journal.

    Raises:
        ValueError: It has not so many.
    """
    digest, left = xxhash.xxh3_128(), count
    with journal.open("rb") as file:
        while left > 0 and (piece := file.read(min(left, _PIECE))):
            digest.update(piece)
            left -= len(piece)
    if left:
        raise ValueError("the journal is shorter")
    return str(digest.hexdigest())


def write_rows(folder: RunFolder) -> None:
    """Write the rows of a run whose journal is long; what cannot be written is no loss.

    Args:
        folder: The run; nobody writes its journal.

    Raises:
        AprtuiError: Its plan cannot be read.
    """
    indices = {one.comparison_id: index for index, one in enumerate(folder.plan().comparisons)}
    try:
        covered = folder.journal.stat().st_size
        if covered < _WORTH_IT:
            return
        columns, ends = Columns(), array("q")
        for offset, line in folder.reader().new_raw_lines(covered):
            found = tensor_line(line, folder.path.name, indices)
            if found is None:
                continue
            try:
                columns.add_tensor(*found, offset)
            except ValueError:
                continue
            ends.append(offset + len(line) + 1)
        write_bytes(folder.rows, _packed(columns, ends, covered, _digest(folder.journal, covered)))
    except (OSError, ValueError):
        return


def _packed(columns: Columns, ends: array[int], covered: int, digest: str) -> bytes:
    texts: dict[str, int] = {}
    shapes: dict[tuple[int, ...], int] = {}
    parts = [bytes(columns.statuses), array("I", columns.comparisons).tobytes()]
    for name in _TEXTS:
        parts.append(array("I", [texts.setdefault(text, len(texts)) for text in getattr(columns, name)]).tobytes())
    parts.append(array("I", [shapes.setdefault(shape, len(shapes)) for shape in columns.shapes]).tobytes())
    parts += [getattr(columns, name).tobytes() for name in _NUMBERS]
    head = {
        "format": _FORMAT,
        "byteorder": sys.byteorder,
        "journal_bytes": covered,
        "digest": digest,
        "rows": len(ends),
        "texts": list(texts),
        "shapes": list(shapes),
    }
    return b"".join([json.dumps(head).encode(), b"\n", *parts, ends.tobytes()])
