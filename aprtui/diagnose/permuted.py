"""Rows and columns in an order that no rule of a format knows: which of the source's each of the product's is.

They are found by their values, so any permutation is: sorted, sampled or merged rows, heads in another order, columns
in the order of a quantiser that put important ones first (act-order of GPTQ).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from aprtui.diagnose.hypothesis import Step
from aprtui.diagnose.samples import SPAN, Floats, floats
from aprtui.formats.layout.plan import TensorPair
from aprtui.formats.views import ColumnsPermuted, RowsPermuted, View
from aprtui.formats.views.base import Indices

ROUNDED = 0.2
"""Share of a row's power that no rounding to any type takes."""

MOST_MOVED = 1 << 14
"""Rows or columns that are looked for among one another; twice as many take four times as long."""

_COMPARED_ELEMENTS = 256
_TRIED_FIRST = 16
_STEP = 1024
_SHOWN_RUNS = 3


def moved_rows(pair: TensorPair, differing: Indices) -> tuple[Step, View] | None:
    """Rows that are other rows of the source, where all the others are in their place.

    Args:
        pair: The pair that failed.
        differing: int64 numbers of the rows that are not the source's.
    """
    view = pair.source
    if len(view.shape) < 2 or not 1 <= len(differing) <= MOST_MOVED:
        return None
    chosen = _spread(view.columns)
    source, target = (_picked(side, differing, chosen) for side in (view, pair.view))
    found = _places(source, target)
    if found is not None:
        found = differing[found]
    elif view.rows <= MOST_MOVED:
        found = _places(_picked(view, np.arange(view.rows, dtype=np.int64), chosen), target)
    if found is None:
        return None
    order = np.arange(view.rows, dtype=np.int64)
    order[differing] = found
    code = "weights.rows_permuted" if len(np.unique(order)) == len(order) else "weights.rows_repeated"
    step = Step(code, f"{len(differing)} of {view.rows} rows: {_in_words(differing, found)}")
    return step, RowsPermuted(view, order, step.detail)


def moved_columns(pair: TensorPair) -> tuple[Step, View] | None:
    """Columns that are other columns of the source, each exactly once; rows are in their place."""
    view = pair.source
    if len(view.shape) < 2 or not 1 < view.columns <= MOST_MOVED:
        return None
    rows = _spread(view.rows)
    source, target = floats(view, rows).T, floats(pair.view, rows).T
    differing = np.flatnonzero(~_alike(source, target)).astype(np.int64)
    found = _places(source[differing], target[differing]) if len(differing) > 1 else None
    if found is None or len(np.unique(found)) < len(found):
        return None
    order = np.arange(view.columns, dtype=np.int64)
    order[differing] = differing[found]
    words = _in_words(differing, order[differing])
    step = Step("weights.columns_permuted", f"{len(differing)} of {view.columns} columns: {words}")
    return step, ColumnsPermuted(view, order, step.detail)


def _picked(view: View, rows: Indices, columns: Indices) -> Floats:
    """Some columns of some rows, float32 [rows, columns], without holding whole rows of more than a span."""
    step = max(1, SPAN // max(1, view.columns))
    return np.concatenate([floats(view, rows[at : at + step])[:, columns] for at in range(0, len(rows), step)])


def _spread(count: int) -> Indices:
    """At most `_COMPARED_ELEMENTS` numbers below `count`, from all over."""
    return np.unique(np.linspace(0, count - 1, min(count, _COMPARED_ELEMENTS)).astype(np.int64))


def _alike(source: Floats, target: Floats) -> NDArray[np.bool_]:
    """Rows of which the error is no larger than any rounding, bool [rows]."""
    with np.errstate(all="ignore"):
        return np.asarray(((target - source) ** 2).sum(1) <= ROUNDED * (source**2).sum(1), bool)


def _places(source: Floats, target: Floats) -> Indices | None:
    """For each row of the product the row of the source that it is, int64; None where one is none of them."""
    if not np.isfinite(target).all() or not np.isfinite(source).all():
        return None
    first = target[:: max(1, len(target) // _TRIED_FIRST)]
    if not _alike(source[_nearest(source, first)], first).all():
        return None
    found = _nearest(source, target)
    return found if _alike(source[found], target).all() else None


def _nearest(source: Floats, target: Floats) -> Indices:
    """The row of the source with the smallest |s - t|² for each row of the product, int64."""
    power = (source**2).sum(1)
    # |t|² is the same for all rows of the source.
    parts = [
        (power[None, :] - 2 * target[at : at + _STEP] @ source.T).argmin(axis=1) for at in range(0, len(target), _STEP)
    ]
    return np.concatenate(parts).astype(np.int64)


def _in_words(places: Indices, origins: Indices) -> str:
    """Where things are and what they were, in runs: "0 to 63 hold 192 to 255"."""
    forward, backward = _runs(places, origins, 1), _runs(places, origins, -1)
    runs, ending = (backward, " in reverse") if len(backward) < len(forward) else (forward, "")
    shown = [
        f"{_span(int(places[a]), int(places[b]))} hold{'s' if a == b else ''} "
        f"{_span(int(origins[a]), int(origins[b]))}{ending if a != b else ''}"
        for a, b in runs[:_SHOWN_RUNS]
    ]
    return ", ".join(shown) + (" …" if len(runs) > _SHOWN_RUNS else "")


def _runs(places: Indices, origins: Indices, step: int) -> list[tuple[int, int]]:
    """First and last index of each part where places follow one another and origins do so by `step`."""
    cuts = np.flatnonzero((np.diff(places) != 1) | (np.diff(origins) != step)) + 1
    return [(int(part[0]), int(part[-1])) for part in np.split(np.arange(len(places)), cuts)]


def _span(first: int, last: int) -> str:
    return str(first) if first == last else f"{first} to {last}"
