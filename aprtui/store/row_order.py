"""Which rows a table shows and in which order: an index over the columns that changes only when somebody asks."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from enum import StrEnum
from itertools import chain, compress

from aprtui.core.tolerance import Rule
from aprtui.store.columns import Columns
from aprtui.store.filters import Filter
from aprtui.store.row_status import RowStatus

_LAST_FAILURE = RowStatus.TIMEOUT
_SHOWN = bytes(status != RowStatus.HIDDEN for status in range(256))
_FAILURES = bytes(status <= _LAST_FAILURE for status in range(256))


class SortKey(StrEnum):
    """What rows are sorted by."""

    WORST = "worst first"
    NAME = "name"
    FILE_ORDER = "file order"
    SHAPE = "shape"
    TYPE = "type"
    MAX_ABS = "max |Δ|"
    ULP = "ULP"
    EPSILON = "ε"
    MARGIN = "margin"
    SIZE = "bytes"

    @property
    def is_ascending(self) -> bool:
        """Whether the smallest stands first; of what is measured the largest does."""
        return self in _ASCENDING


_LOOSENESS: dict[str, int] = {rule: place for place, rule in enumerate(Rule, start=1)}
_ASCENDING = frozenset({SortKey.NAME, SortKey.FILE_ORDER, SortKey.TYPE})


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
        self._positions: array[int] = array("i")
        """By row, -1 where it is not shown."""
        self._seen = bytearray()
        """By row, 1 where it counts into the size of the scope."""

    def show(self, comparisons: Iterable[int] | None) -> None:
        """Show the rows of these comparisons; None for all."""
        self._scope = None if comparisons is None else tuple(dict.fromkeys(comparisons))
        self.sort()

    def sort(self) -> None:
        """Choose and order the rows anew."""
        rows, statuses = self._candidates()
        shown = statuses.translate(_SHOWN)
        rows, statuses = list(compress(rows, shown)), bytes(compress(statuses, shown))
        self.scope_size = len(rows)
        self._seen = bytearray(len(self._columns))
        for number in rows:
            self._seen[number] = 1
        if self.failures_only:
            rows = list(compress(rows, statuses.translate(_FAILURES)))
        rows = self.filter.rows(self._columns, rows)
        _sort(rows, self._columns, self.key)
        if self.reverse:
            rows.reverse()
        self.numbers = array("i", rows)
        self._positions = array("i", [-1]) * len(self._columns)
        for position, number in enumerate(rows):
            self._positions[number] = position
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
        added = len(self._columns) - len(self._positions)
        self._positions.extend([-1] * added)
        self._seen += bytes(added)
        for number in changed:
            position = self._positions[number]
            is_void = statuses[number] == RowStatus.HIDDEN
            if position >= 0:
                dirty.append(position)
                self.out_of_order += self.key is not SortKey.FILE_ORDER and not is_void
                continue
            if scope is not None and self._columns.comparisons[number] not in scope:
                continue
            if not self._seen[number] and not is_void:
                self._seen[number] = 1
                self.scope_size += 1
            if not is_void and (not self.failures_only or statuses[number] <= _LAST_FAILURE):
                fresh.append(number)
        for number in self.filter.rows(self._columns, sorted(fresh)):
            self._positions[number] = len(self.numbers)
            dirty.append(len(self.numbers))
            self.numbers.append(number)
            self.out_of_order += 1
        return dirty

    def position(self, number: int) -> int | None:
        """Where a row stands; None where it is not shown."""
        position = self._positions[number] if number < len(self._positions) else -1
        return position if position >= 0 else None

    def position_of(self, comparison: int | None, name: str) -> int | None:
        """Where the row of a name in a comparison stands, the comparison's first where the name is empty."""
        columns = self._columns
        for position, number in enumerate(self.numbers):
            if columns.comparisons[number] == comparison and name in ("", columns.names[number]):
                return position
        return None

    def next_failure(self, position: int, step: int) -> int | None:
        """Position of the next failing row after (step 1) or before (step -1) a position; None where there is none."""
        statuses = self._columns.statuses
        position += step
        while 0 <= position < len(self.numbers):
            if statuses[self.numbers[position]] <= _LAST_FAILURE:
                return position
            position += step
        return None

    def _candidates(self) -> tuple[Sequence[int], bytes]:
        """Rows of the scope, and their states."""
        statuses = self._columns.statuses
        if self._scope is None:
            return range(len(self._columns)), bytes(statuses)
        rows = [number for comparison in self._scope for number in self._columns.rows_of(comparison)]
        return rows, bytes(map(statuses.__getitem__, rows))


def _sort(rows: list[int], columns: Columns, key: SortKey) -> None:
    """Sort in place, by the last column first: sorts are stable, and a sort by one column needs no tuples.

    Worst first is the written order across rules, that of `TensorResult.rank`, below the state.
    """
    if key is SortKey.WORST:
        _sort_worst_first(rows, columns)
        return
    if key is SortKey.FILE_ORDER:
        return
    rows.sort(key=columns.names.__getitem__)
    if key is SortKey.TYPE:
        rows.sort(key=columns.source_types.__getitem__)
        rows.sort(key=columns.target_types.__getitem__)
    elif key is SortKey.SHAPE:
        rows.sort(key=columns.shapes.__getitem__, reverse=True)
    elif key is SortKey.EPSILON:
        # Limits of one rule have one unit. What has no rule stands last.
        rows.sort(key=columns.limits.__getitem__, reverse=True)
        rows.sort(key=[_LOOSENESS.get(rule, 0) for rule in columns.rules].__getitem__, reverse=True)
    elif key is not SortKey.NAME:
        values: dict[SortKey, Sequence[float]] = {
            SortKey.MAX_ABS: columns.max_abs,
            SortKey.ULP: columns.max_ulps,
            SortKey.MARGIN: columns.margins,
            SortKey.SIZE: columns.nbytes,
        }
        rows.sort(key=values[key].__getitem__, reverse=True)


def _sort_worst_first(rows: list[int], columns: Columns) -> None:
    by_status: list[list[int]] = [[] for _ in RowStatus]
    statuses = columns.statuses
    for number in rows:
        by_status[statuses[number]].append(number)
    for status, some in enumerate(by_status):
        # What waits stays in the order of the file: there is nothing to sort it by.
        if status != RowStatus.WAITING:
            for values in (columns.max_abs, columns.margins, columns.nmses):
                some.sort(key=values.__getitem__, reverse=True)
    rows[:] = chain.from_iterable(by_status)
