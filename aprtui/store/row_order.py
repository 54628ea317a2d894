"""Which rows a table shows and in which order: an index over the columns that changes only when somebody asks."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable
from enum import StrEnum
from typing import Any

from aprtui.store.columns import Columns
from aprtui.store.filters import Filter
from aprtui.store.row_status import RowStatus

_LAST_FAILURE = RowStatus.TIMEOUT


class SortKey(StrEnum):
    """What rows are sorted by."""

    WORST = "worst first"
    NAME = "name"
    TYPE = "type"
    MAX_ABS = "max |Δ|"
    MARGIN = "margin"
    SIZE = "bytes"
    FILE_ORDER = "file order"


class RowOrder:
    """An index of rows.

    Rows never move by themselves: results of rows that are shown change in place, new ones that belong in the table are
    put at its end and counted, and `sort` brings all of them into order.

    Args:
        columns: The rows.
    """

    def __init__(self, columns: Columns) -> None:
        self._columns = columns
        self.key = SortKey.WORST
        self.reverse = False
        self.failures_only = False
        self.filter = Filter("")
        self.numbers: array[int] = array("i")
        self.out_of_order = 0
        self.scope_size = 0
        self._scope: tuple[int, ...] | None = None
        self._positions: dict[int, int] = {}
        self._seen: set[int] = set()

    def show(self, comparisons: Iterable[int] | None) -> None:
        """Show the rows of these comparisons; None for all."""
        self._scope = None if comparisons is None else tuple(dict.fromkeys(comparisons))
        self.sort()

    def sort(self) -> None:
        """Choose and order the rows anew."""
        rows = self._candidates()
        statuses = self._columns.statuses
        rows = [number for number in rows if statuses[number] != RowStatus.HIDDEN]
        self.scope_size = len(rows)
        self._seen = set(rows)
        if self.failures_only:
            rows = [number for number in rows if statuses[number] <= _LAST_FAILURE]
        rows = self.filter.rows(self._columns, rows)
        key = _key(self._columns, self.key)
        if key is not None and self.key is SortKey.WORST:
            # What waits stays in the order of the file: there is nothing to sort it by, and there may be much of it.
            waiting = [number for number in rows if statuses[number] == RowStatus.WAITING]
            passed = [number for number in rows if statuses[number] == RowStatus.PASSED]
            rows = sorted((number for number in rows if statuses[number] < RowStatus.WAITING), key=key)
            rows += waiting
            rows += sorted(passed, key=key)
        elif key is not None:
            rows.sort(key=key)
        if self.reverse:
            rows.reverse()
        self.numbers = array("i", rows)
        self._positions = {number: position for position, number in enumerate(rows)}
        self.out_of_order = 0

    def update(self, changed: Iterable[int]) -> list[int]:
        """Take in rows that changed.

        Returns:
            Positions to draw again.
        """
        dirty = []
        statuses = self._columns.statuses
        scope = None if self._scope is None else set(self._scope)
        fresh = []
        for number in changed:
            position = self._positions.get(number)
            if position is not None:
                dirty.append(position)
                self.out_of_order += self.key is not SortKey.FILE_ORDER
                continue
            if scope is not None and self._columns.comparisons[number] not in scope:
                continue
            if number not in self._seen and statuses[number] != RowStatus.HIDDEN:
                self._seen.add(number)
                self.scope_size += 1
            if statuses[number] != RowStatus.HIDDEN and (not self.failures_only or statuses[number] <= _LAST_FAILURE):
                fresh.append(number)
        for number in self.filter.rows(self._columns, sorted(fresh)):
            self._positions[number] = len(self.numbers)
            dirty.append(len(self.numbers))
            self.numbers.append(number)
            self.out_of_order += 1
        return dirty

    def position(self, number: int) -> int | None:
        """Where a row stands; None where it is not shown."""
        return self._positions.get(number)

    def next_failure(self, position: int, step: int) -> int | None:
        """Position of the next failing row after (step 1) or before (step -1) a position; None where there is none."""
        statuses = self._columns.statuses
        position += step
        while 0 <= position < len(self.numbers):
            if statuses[self.numbers[position]] <= _LAST_FAILURE:
                return position
            position += step
        return None

    def _candidates(self) -> list[int]:
        if self._scope is None:
            return list(range(len(self._columns)))
        return [number for comparison in self._scope for number in self._columns.rows_of(comparison)]


def _key(columns: Columns, key: SortKey) -> Callable[[int], Any] | None:
    """Sort key of a column; the written order across rules is that of `TensorResult.rank`, below the state."""
    statuses, margins, nmses, largest = columns.statuses, columns.margins, columns.nmses, columns.max_abs
    names = columns.names
    if key is SortKey.NAME:
        return lambda number: names[number]
    if key is SortKey.TYPE:
        return lambda number: (columns.target_types[number], columns.source_types[number], names[number])
    if key is SortKey.MAX_ABS:
        return lambda number: (-largest[number], names[number])
    if key is SortKey.MARGIN:
        return lambda number: (-margins[number], names[number])
    if key is SortKey.SIZE:
        return lambda number: (-columns.nbytes[number], names[number])
    if key is SortKey.FILE_ORDER:
        return None
    return lambda number: (statuses[number], -nmses[number], -margins[number], -largest[number])
