"""The rows of a run as columns: one for every tensor of every comparison, and one for everything else that failed.

Lists, arrays and bytes of plain Python: 100 000 rows are cheap to hold and to sort, and a console needs no numpy.
What a screen shows of one row in full stays in the journal; a row knows where.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from math import inf, isfinite, isnan
from sys import intern
from typing import Any

from aprtui.core.outcomes import Outcome
from aprtui.store.row_status import OPEN, RowStatus, status_of_outcome

NO_COMPARISON = -1
"""Comparison of a row that belongs to a gate which looks at no comparison."""

_MEASURED = (
    *("statuses", "source_types", "target_types", "shapes", "nbytes", "max_abs", "max_ulps", "nmses", "margins"),
    *("units", "rules", "limits", "origins", "set_by", "offsets"),
)
"""Columns that a result fills."""


class RowKind(IntEnum):
    """What a row stands for."""

    TENSOR = 0
    FINDING = 1
    NOTICE = 2


@dataclass(slots=True)
class Row:
    """One row, taken out of the columns.

    Attributes:
        number: Its number.
        kind: What it stands for.
        status: Its state.
        comparison: Index of the comparison, or `NO_COMPARISON`.
        name: Canonical name of the tensor, or the subject of a finding.
        source_type: Stored type of the source; empty where nothing was compared.
        target_type: Stored type of the target.
        shape: Row-major shape of the target.
        nbytes: Bytes read from both sides.
        max_abs: Largest absolute difference.
        max_ulp: Largest difference in ULP of the target's type.
        nmse: Sum of squared errors over sum of squares.
        margin: As its rule counts it.
        unit: What the margin counts.
        rule: Name of the tolerance rule.
        limit: Largest value that the rule allows, in the unit of the rule.
        origin: Where the tolerance came from.
        set_by: The playbook's key that changed it.
        text: The finding or the reason, where it is no tensor.
        offset: Place of its line in the journal; -1 where it has none.
    """

    number: int
    kind: RowKind
    status: RowStatus
    comparison: int
    name: str
    source_type: str
    target_type: str
    shape: tuple[int, ...]
    nbytes: int
    max_abs: float
    max_ulp: float
    nmse: float
    margin: float
    unit: str
    rule: str
    limit: float
    origin: str
    set_by: str
    text: str
    offset: int


@dataclass
class Columns:
    """All rows of a run. A row keeps its number for as long as the run is shown.

    Attributes:
        changed: Numbers of rows that changed since somebody last cleared it.
    """

    kinds: bytearray = field(default_factory=bytearray)
    statuses: bytearray = field(default_factory=bytearray)
    comparisons: array[int] = field(default_factory=lambda: array("i"))
    names: list[str] = field(default_factory=list)
    source_types: list[str] = field(default_factory=list)
    target_types: list[str] = field(default_factory=list)
    shapes: list[tuple[int, ...]] = field(default_factory=list)
    nbytes: array[int] = field(default_factory=lambda: array("q"))
    max_abs: array[float] = field(default_factory=lambda: array("d"))
    max_ulps: array[float] = field(default_factory=lambda: array("d"))
    nmses: array[float] = field(default_factory=lambda: array("d"))
    margins: array[float] = field(default_factory=lambda: array("d"))
    units: list[str] = field(default_factory=list)
    rules: list[str] = field(default_factory=list)
    limits: array[float] = field(default_factory=lambda: array("d"))
    origins: list[str] = field(default_factory=list)
    set_by: list[str] = field(default_factory=list)
    texts: dict[int, str] = field(default_factory=dict)
    offsets: array[int] = field(default_factory=lambda: array("q"))
    changed: set[int] = field(default_factory=set)
    _by_name: dict[int, dict[str, int]] = field(default_factory=dict)
    _of_comparison: dict[int, list[int]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.names)

    def row(self, number: int) -> Row:
        """A row with all its values."""
        return Row(
            number,
            RowKind(self.kinds[number]),
            RowStatus(self.statuses[number]),
            self.comparisons[number],
            self.names[number],
            self.source_types[number],
            self.target_types[number],
            self.shapes[number],
            self.nbytes[number],
            self.max_abs[number],
            self.max_ulps[number],
            self.nmses[number],
            self.margins[number],
            self.units[number],
            self.rules[number],
            self.limits[number],
            self.origins[number],
            self.set_by[number],
            self.texts.get(number, ""),
            self.offsets[number],
        )

    def status(self, number: int) -> RowStatus:
        """State of a row."""
        return RowStatus(self.statuses[number])

    def rows_of(self, comparison: int) -> list[int]:
        """Numbers of the rows of a comparison, in the order in which they came."""
        return self._of_comparison.get(comparison, [])

    def tensor(self, comparison: int, name: str) -> int | None:
        """The row of a tensor in a comparison."""
        return self._by_name.get(comparison, {}).get(name)

    def allocate(self, comparison: int, names: Iterable[str]) -> None:
        """A waiting row for each of these tensors that has none yet; many at once cost little more than one."""
        known = self._by_name.get(comparison, {})
        new = [name for name in dict.fromkeys(map(intern, names)) if name not in known]
        self._append_all(comparison, new)
        self.statuses += bytes([RowStatus.WAITING]) * len(new)
        self._append_nothing(len(new))

    def set_tensor(self, comparison: int, tensor: Mapping[str, Any], offset: int) -> int:
        """Enter a result as it stands in the journal.

        Args:
            comparison: Index of the comparison.
            tensor: JSON of a `TensorResult`.
            offset: Place of the line in the journal.

        Returns:
            Number of the row.

        Raises:
            ValueError: It is no such JSON.
        """
        return self._set_tensor(comparison, tensor, offset, self._by_name.setdefault(comparison, {}))

    def add_tensor(self, comparison: int, tensor: Mapping[str, Any], offset: int) -> int:
        """As `set_tensor`, but in a row of its own, whether or not the tensor has one."""
        return self._set_tensor(comparison, tensor, offset, {})

    def take(self, comparison: int, other: Columns, rows: range) -> tuple[int, int]:
        """Enter results that stand in other columns; many at once cost little more than one.

        Args:
            comparison: Index of the comparison.
            other: Where they stand.
            rows: Which rows of it, each of another tensor.

        Returns:
            How many of them had no result before, and their bytes.
        """
        part = slice(rows.start, rows.stop)
        names = other.names[part]
        known = self._by_name.setdefault(comparison, {})
        if known.keys().isdisjoint(names):
            self._append_all(comparison, names)
            for column in _MEASURED:
                getattr(self, column).extend(getattr(other, column)[part])
            return len(names), sum(other.nbytes[part])
        self.allocate(comparison, names)
        fresh = [at for at, name in zip(rows, names, strict=True) if self.statuses[known[name]] in OPEN]
        numbers = [known[name] for name in names]
        first, end = numbers[0], numbers[0] + len(numbers)
        in_a_row = numbers == list(range(first, end))
        for column in _MEASURED:
            mine, theirs = getattr(self, column), getattr(other, column)[part]
            if in_a_row:
                mine[first:end] = theirs
            else:
                for number, value in zip(numbers, theirs, strict=True):
                    mine[number] = value
        self.changed.update(numbers)
        return len(fresh), sum(map(other.nbytes.__getitem__, fresh))

    def _append_all(self, comparison: int, names: list[str]) -> None:
        """Rows for tensors that have none; columns of what is measured are left to the caller."""
        numbers = range(len(self.names), len(self.names) + len(names))
        self.kinds += bytes([RowKind.TENSOR]) * len(names)
        self.comparisons.extend([comparison] * len(names))
        self.names += names
        self._by_name.setdefault(comparison, {}).update(zip(names, numbers, strict=True))
        self._of_comparison.setdefault(comparison, []).extend(numbers)
        self.changed.update(numbers)

    def _set_tensor(self, comparison: int, tensor: Mapping[str, Any], offset: int, known: dict[str, int]) -> int:
        try:
            return self._enter(comparison, tensor, offset, known)
        except (AttributeError, KeyError, TypeError, OverflowError) as error:
            raise ValueError(f"no result of a tensor: {error}") from None

    def _enter(self, comparison: int, tensor: Mapping[str, Any], offset: int, known: dict[str, int]) -> int:
        name, record, tolerance = str(tensor["name"]), tensor["record"], tensor["tolerance"]
        judgement, nbytes = tensor["judgement"], int(tensor["nbytes"])
        shape = tuple(int(size) for size in tensor["shape"])
        if nbytes.bit_length() > 63:
            raise ValueError("no number of bytes")
        numbers = [float(record["max_abs"]), float(record["max_ulp"]), nmse_of(record), float(judgement["margin"])]
        # NaN would leave the order of the rows to chance.
        numbers = [inf if isnan(number) else number for number in numbers]
        status = status_of_tensor(Outcome(judgement["outcome"]), record)
        limit = float(tolerance["limit"])
        for key in ("scale_ulp", "rmse_ratio"):
            if tolerance[key] is not None:
                limit = float(tolerance[key])
        number = known.get(name)
        if number is None:
            number = known[name] = self._append(RowKind.TENSOR, status, comparison, name)
        self.statuses[number] = status
        self.source_types[number] = intern(str(tensor["source_dtype"]))
        self.target_types[number] = intern(str(tensor["target_dtype"]))
        self.shapes[number], self.nbytes[number], self.offsets[number] = shape, nbytes, offset
        self.max_abs[number], self.max_ulps[number], self.nmses[number], self.margins[number] = numbers
        self.units[number], self.rules[number] = intern(str(judgement["unit"])), intern(str(tolerance["rule"]))
        self.limits[number] = limit
        self.origins[number] = intern(str(tolerance["origin"]))
        self.set_by[number] = intern(str(tolerance["set_by"]))
        self.changed.add(number)
        return number

    def add_text_row(
        self, kind: RowKind, status: RowStatus, comparison: int, name: str, *, text: str, offset: int = -1
    ) -> int:
        """A row for something that is no tensor: a finding, or what became of a comparison, a conversion or a gate."""
        number = self._append(kind, status, comparison, name)
        self.texts[number] = text
        self.offsets[number] = offset
        return number

    def set_status(self, number: int, status: RowStatus) -> None:
        """Change the state of a row."""
        if self.statuses[number] != status:
            self.statuses[number] = status
            self.changed.add(number)

    def clear(self, comparison: int) -> None:
        """What was measured is void: tensors wait again, everything else goes."""
        for number in self.rows_of(comparison):
            is_tensor = self.kinds[number] == RowKind.TENSOR
            self.nbytes[number] = 0
            self.margins[number] = self.nmses[number] = self.max_abs[number] = self.max_ulps[number] = 0.0
            self.set_status(number, RowStatus.WAITING if is_tensor else RowStatus.HIDDEN)

    def _append(self, kind: RowKind, status: RowStatus, comparison: int, name: str) -> int:
        number = len(self.names)
        self.kinds.append(kind)
        self.statuses.append(status)
        self.comparisons.append(comparison)
        self.names.append(intern(name))
        self._append_nothing(1)
        self._of_comparison.setdefault(comparison, []).append(number)
        self.changed.add(number)
        return number

    def _append_nothing(self, count: int) -> None:
        """Room for what is measured, in so many rows."""
        for texts in (self.source_types, self.target_types, self.units, self.rules, self.origins, self.set_by):
            texts.extend([""] * count)
        for values in (self.max_abs, self.max_ulps, self.nmses, self.margins, self.limits):
            values.frombytes(bytes(8 * count))
        self.nbytes.frombytes(bytes(8 * count))
        self.shapes.extend([()] * count)
        self.offsets.extend([-1] * count)


def nmse_of(record: Mapping[str, Any]) -> float:
    """Sum e² / sum a² from the journal's sums, as `StatisticsRecord.nmse` has it."""
    error, signal = float(record["sum_squared_error"]), float(record["sum_squared_a"])
    if not error:
        return 0.0
    return error / signal if signal else inf


def status_of_tensor(outcome: Outcome, record: Mapping[str, Any]) -> RowStatus:
    """A falsified tensor with NaN or Inf that the source does not have says so."""
    status = status_of_outcome(outcome)
    if status is RowStatus.FAILED:
        new = record["nan_b"] != record["nan_a"] or record["inf_b"] != record["inf_a"]
        if new or not isfinite(float(record["max_abs"])):
            return RowStatus.NOT_FINITE
    return status
