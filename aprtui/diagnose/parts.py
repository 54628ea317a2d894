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
from aprtui.diagnose.samples import Floats, floats
from aprtui.formats.layout.plan import TensorPair
from aprtui.formats.views import RowsPermuted, View
from aprtui.formats.views.base import Indices
from aprtui.formats.views.edited import ValuesEdited

Mask = Callable[[Floats, Floats], NDArray[np.bool_]]
"""Source and product rows, float32 [rows, columns]; which elements are damaged."""

_SPAN = 1 << 20
_FEW = 1e-3
_FEW_BLOCKS = 0.02
_SMALL_SHARE = 0.5


@dataclass(frozen=True, slots=True)
class Survey:
    """What one pass over both sides shows.

    Attributes:
        elements: In all.
        low: Smallest element of the product.
        high: Largest.
        source_constant: The source holds one value everywhere.
        zero_rows: Rows of zeros that are none in the source.
        rows: In all.
        flushed: Zeros that are none in the source, outside such rows.
        largest_flushed: Largest magnitude of the source there.
        smallest_kept: Smallest magnitude of the source that is not zero in the product.
        infinite: Infinite elements that are finite in the source.
        not_numbers: NaN where the source has a number.
        differing_rows: Numbers of rows with another value, at most `_MOST_ROWS`.
    """

    elements: int
    low: float
    high: float
    source_constant: bool
    zero_rows: int
    rows: int
    flushed: int
    largest_flushed: float
    smallest_kept: float
    infinite: int
    not_numbers: int
    differing_rows: tuple[int, ...]


_MOST_ROWS = 1024
_ROUNDED = 0.2


def survey(pair: TensorPair) -> Survey:
    """Read both sides once."""
    source, target = pair.source, pair.view
    exact = tolerance_of(pair).rule is Rule.BIT_EXACT
    lows, highs, source_lows, source_highs = [], [], [], []
    zero_rows = flushed = infinite = not_numbers = 0
    largest_flushed, smallest_kept = 0.0, float("inf")
    differing: list[int] = []
    for rows in _runs(source):
        s, t = floats(source, rows), floats(target, rows)
        lows.append(float(np.nanmin(t, initial=np.inf)))
        highs.append(float(np.nanmax(t, initial=-np.inf)))
        source_lows.append(float(s.min()))
        source_highs.append(float(s.max()))
        empty = np.asarray(~(t != 0).any(axis=1) & (s != 0).any(axis=1))
        zero_rows += int(empty.sum())
        gone = (t == 0) & (s != 0) & ~empty[:, None]
        flushed += int(gone.sum())
        largest_flushed = max(largest_flushed, float(np.abs(s[gone]).max(initial=0.0)))
        smallest_kept = min(smallest_kept, float(np.abs(s[(t != 0) & (s != 0)]).min(initial=np.inf)))
        infinite += int((np.isinf(t) & np.isfinite(s)).sum())
        not_numbers += int((np.isnan(t) & np.isfinite(s)).sum())
        if len(differing) < _MOST_ROWS:
            differing += rows[_differing_rows(s, t, exact=exact)].tolist()
    return Survey(
        elements=source.elements,
        low=min(lows),
        high=max(highs),
        source_constant=min(source_lows) == max(source_highs),
        zero_rows=zero_rows,
        rows=source.rows,
        flushed=flushed,
        largest_flushed=largest_flushed,
        smallest_kept=smallest_kept,
        infinite=infinite,
        not_numbers=not_numbers,
        differing_rows=tuple(differing[:_MOST_ROWS]),
    )


def _runs(view: View) -> list[Indices]:
    step = max(1, _SPAN // max(1, view.columns))
    return [np.arange(at, min(at + step, view.rows), dtype=np.int64) for at in range(0, view.rows, step)]


def _differing_rows(s: Floats, t: Floats, *, exact: bool) -> NDArray[np.bool_]:
    """Rows that are not the source's: other values, or, where the type rounds, an error larger than any rounding."""
    if exact:
        return np.array(np.not_equal(s, t).any(axis=1), bool)
    with np.errstate(all="ignore"):
        error, power = ((t - s) ** 2).sum(1), (s**2).sum(1)
    return np.array(np.logical_not(error <= _ROUNDED * power), bool)


def emptied(found: Survey) -> Step | None:
    """Nothing but zeros, or one value, where the source has more."""
    if found.low == found.high == 0 and found.zero_rows == found.rows:
        return Step("weights.zeroed")
    if found.low == found.high and not found.source_constant:
        return Step("weights.constant", f"{found.low:g} everywhere")
    return None


def masked(pair: TensorPair, found: Survey) -> list[tuple[Step, View]]:
    """Sources that hold the product's own value where it is damaged in one way."""
    possible: list[tuple[Step, Mask]] = []
    if found.zero_rows:
        code = "weights.blocks_zeroed" if pair.view.dtype.info.block > 1 else "weights.rows_zeroed"
        step = Step(code, f"{found.zero_rows} of {found.rows} rows are zero")
        possible.append(
            (
                step,
                lambda s, t: np.broadcast_to(
                    np.asarray(~(t != 0).any(axis=1) & (s != 0).any(axis=1))[:, None], s.shape
                ),
            )
        )
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


def moved_rows(pair: TensorPair, found: Survey) -> tuple[Step, View] | None:
    """Rows that are other rows of the source, where all the others are in their place."""
    rows = np.array(found.differing_rows, np.int64)
    if len(pair.source.shape) < 2 or not 1 < len(rows) < _MOST_ROWS or len(rows) > max(2, found.rows // 2):
        return None
    source, target = floats(pair.source, rows).astype(np.float64), floats(pair.view, rows).astype(np.float64)
    with np.errstate(all="ignore"):
        # |s - t|² of every pair of rows.
        errors = (source**2).sum(1)[None, :] - 2 * target @ source.T + (target**2).sum(1)[:, None]
        nearest = errors.argmin(axis=1)
        alike = errors.min(axis=1) <= _ROUNDED * (source[nearest] ** 2).sum(1)
    if not alike.all() or np.array_equal(nearest, np.arange(len(rows))):
        return None
    order = np.arange(found.rows, dtype=np.int64)
    order[rows] = rows[nearest]
    step = Step("weights.rows_permuted", f"{len(rows)} of {found.rows} rows, {rows[0]} first")
    return step, RowsPermuted(pair.source, order, step.detail)


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
