"""Damage that covers a part of a tensor: what is left must pass, what is gone is counted.

Masks take the product's own elements where they are damaged in one particular way (zero, infinite), so that the
comparison judges all the others.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aprtui.compare.weights import tolerance_of
from aprtui.core.dtypes import DType
from aprtui.core.statistics import StatisticsRecord
from aprtui.core.tolerance import Rule, Tolerance
from aprtui.diagnose.hypothesis import Step
from aprtui.diagnose.permuted import ROUNDED
from aprtui.diagnose.samples import SPAN, Floats, floats
from aprtui.formats.layout.plan import TensorPair
from aprtui.formats.views import View
from aprtui.formats.views.base import Indices
from aprtui.formats.views.edited import ValuesEdited

Mask = Callable[[Floats, Floats], NDArray[np.bool_]]
"""Source and product rows, float32 [rows, columns]; which elements are damaged."""

_FEW = 1e-3
_FEW_BLOCKS = 0.02
_SMALL_SHARE = 0.5
_LOST_RUN = 16


@dataclass(frozen=True, slots=True)
class Survey:
    """What one pass over both sides shows.

    Attributes:
        elements: In all.
        low: Smallest element of the product.
        high: Largest.
        source_constant: The source holds one value everywhere.
        emptied: Elements in rows, or in long runs inside rows, of zeros that are none in the source.
        emptied_rows: Rows with such elements.
        whole_rows: Rows that are nothing but such elements.
        rows: In all.
        flushed: Zeros that are none in the source, outside such rows and runs.
        largest_flushed: Largest magnitude of the source there.
        smallest_kept: Smallest magnitude of the source that is not zero in the product.
        infinite: Infinite elements that are finite in the source.
        not_numbers: NaN where the source has a number.
        differing_rows: int64 numbers of the rows that are not the source's.
    """

    elements: int
    low: float
    high: float
    source_constant: bool
    emptied: int
    emptied_rows: int
    whole_rows: int
    rows: int
    flushed: int
    largest_flushed: float
    smallest_kept: float
    infinite: int
    not_numbers: int
    differing_rows: Indices


def survey(pair: TensorPair) -> Survey:
    """Read both sides once."""
    source, target = pair.source, pair.view
    exact = tolerance_of(pair).rule is Rule.BIT_EXACT
    shortest = _shortest_run(pair)
    lows, highs, source_lows, source_highs = [], [], [], []
    emptied = emptied_rows = whole_rows = flushed = infinite = not_numbers = 0
    largest_flushed, smallest_kept = 0.0, float("inf")
    differing: list[Indices] = []
    for rows in _runs(source):
        s, t = floats(source, rows), floats(target, rows)
        lows.append(float(np.nanmin(t, initial=np.inf)))
        highs.append(float(np.nanmax(t, initial=-np.inf)))
        source_lows.append(float(s.min()))
        source_highs.append(float(s.max()))
        lost = (t == 0) & (s != 0)
        empty = lost & _emptied(s, t, shortest)
        emptied += int(empty.sum())
        emptied_rows += int(empty.any(axis=1).sum())
        whole_rows += int((empty.any(axis=1) & ~(t != 0).any(axis=1)).sum())
        gone = lost & ~empty
        flushed += int(gone.sum())
        largest_flushed = max(largest_flushed, float(np.abs(s[gone]).max(initial=0.0)))
        smallest_kept = min(smallest_kept, float(np.abs(s[(t != 0) & (s != 0)]).min(initial=np.inf)))
        infinite += int((np.isinf(t) & np.isfinite(s)).sum())
        not_numbers += int((np.isnan(t) & np.isfinite(s)).sum())
        differing.append(rows[_differing_rows(s, t, exact=exact)])
    return Survey(
        elements=source.elements,
        low=min(lows),
        high=max(highs),
        source_constant=min(source_lows) == max(source_highs),
        emptied=emptied,
        emptied_rows=emptied_rows,
        whole_rows=whole_rows,
        rows=source.rows,
        flushed=flushed,
        largest_flushed=largest_flushed,
        smallest_kept=smallest_kept,
        infinite=infinite,
        not_numbers=not_numbers,
        differing_rows=np.concatenate(differing),
    )


def _runs(view: View) -> list[Indices]:
    step = max(1, SPAN // max(1, view.columns))
    return [np.arange(at, min(at + step, view.rows), dtype=np.int64) for at in range(0, view.rows, step)]


def _differing_rows(s: Floats, t: Floats, *, exact: bool) -> NDArray[np.bool_]:
    """Rows that are not the source's: other values, or, where the type rounds, an error larger than any rounding."""
    if exact:
        return np.array(np.not_equal(s, t).any(axis=1), bool)
    with np.errstate(all="ignore"):
        error, power = ((t - s) ** 2).sum(1), (s**2).sum(1)
    return np.array(np.logical_not(error <= ROUNDED * power), bool)


def _shortest_run(pair: TensorPair) -> int:
    """From how many zeros in a row of elements something was lost; blocks of small values hold many zeros by right."""
    return _LOST_RUN if pair.view.dtype.info.block == 1 else pair.view.columns


def _emptied(s: Floats, t: Floats, shortest: int) -> NDArray[np.bool_]:
    """Elements in rows of zeros that are none in the source, and in runs of at least `shortest` zeros."""
    rows, columns = t.shape
    zero = np.zeros((rows, columns + 2), np.int8)
    zero[:, 1:-1] = t == 0
    steps = np.diff(zero, axis=1)
    (row, start), (_, stop) = np.nonzero(steps == 1), np.nonzero(steps == -1)
    long = stop - start >= min(shortest, columns)
    edges = np.zeros((rows, columns + 1), np.int8)
    edges[row[long], start[long]] = 1
    edges[row[long], stop[long]] -= 1
    runs = np.cumsum(edges[:, :columns], axis=1, dtype=np.int8) > 0
    return np.asarray(runs & (s != 0).any(axis=1)[:, None], bool)


def emptied(found: Survey) -> Step | None:
    """Nothing but zeros, or one value, where the source has more."""
    if found.low == found.high == 0 and found.whole_rows == found.rows:
        return Step("weights.zeroed")
    if found.low == found.high and not found.source_constant:
        return Step("weights.constant", f"{found.low:g} everywhere")
    return None


def masked(pair: TensorPair, found: Survey) -> list[tuple[Step, View]]:
    """Sources that hold the product's own value where it is damaged in one way."""
    possible: list[tuple[Step, Mask]] = []
    if found.emptied:
        code = "weights.blocks_zeroed" if pair.view.dtype.info.block > 1 else "weights.rows_zeroed"
        rows = f"{found.emptied_rows} of {found.rows} rows"
        whole = found.whole_rows == found.emptied_rows
        step = Step(code, f"{rows} are zero" if whole else f"{found.emptied} elements in {rows} are zero")
        shortest = _shortest_run(pair)
        possible.append((step, lambda s, t: _emptied(s, t, shortest)))
    if 0 < found.flushed < _SMALL_SHARE * found.elements and found.largest_flushed <= 4 * found.smallest_kept:
        detail = f"{found.flushed} of {found.elements} values up to {found.largest_flushed:.3g} are zero"
        possible.append((Step("weights.small_values_flushed", detail), lambda s, t: t == 0))
    if found.infinite or found.not_numbers:
        # What is too large for F16 becomes infinite there, never NaN.
        is_overflow = pair.view.dtype is DType.F16 and not found.not_numbers
        code = "weights.overflowed" if is_overflow else "integrity.not_finite"
        step = Step(code, f"{found.infinite + found.not_numbers} of {found.elements} values are not finite")
        possible.append((step, lambda s, t: ~np.isfinite(t)))
    return [(step, _taken(pair, mask)) for step, mask in possible]


def _taken(pair: TensorPair, mask: Mask) -> View:
    def change(values: Floats, rows: Indices) -> Floats:
        target = floats(pair.view, rows)
        return np.where(mask(values, target), target, values)

    return ValuesEdited(pair.source, change)


def few(record: StatisticsRecord, tolerance: Tolerance) -> Step | None:
    """A handful of elements or blocks, told from the record alone."""
    facts = record.certificate
    if tolerance.rule is Rule.CERTIFICATE and facts is not None:
        # A type with one scale for the whole tensor is one block: its error says how much of it differs.
        much = record.nmse > _FEW if facts.blocks == 1 else facts.violations > max(1.0, _FEW_BLOCKS * facts.blocks)
        if much:
            return None
        count = max(facts.code_violations, facts.scale_violations, facts.zero_violations)
        only_zero = facts.zero_violations and facts.zero_violations == count
        detail = f"{count} of {facts.blocks} blocks, block {facts.first_violation} first"
        return Step("weights.blocks_zeroed" if only_zero else "weights.blocks_changed", detail)
    if record.differing > max(1.0, _FEW * record.elements):
        return None
    detail = f"{record.differing} of {record.elements} elements, element {record.max_abs_index} worst"
    if tolerance.rule in (Rule.BIT_EXACT, Rule.ROUNDING) and record.max_ulp <= tolerance.limit + 1:
        return Step("weights.last_bit", detail)
    return Step("weights.values_changed", detail)
