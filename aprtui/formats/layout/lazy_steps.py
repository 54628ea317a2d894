"""Layout steps carried out as views, forwards and backwards."""

from __future__ import annotations

from collections.abc import Sequence

from aprtui.formats.layout.steps import (
    AddConstant,
    PermuteRotaryRows,
    RegroupQkv,
    SliceRows,
    Stack,
    Step,
    TakeMatrix,
    Transpose,
    Values,
)
from aprtui.formats.views import Added, Computed, Concatenated, Reshaped, RowsPermuted, Sliced, Transposed, View


def apply_steps(sources: Sequence[View], steps: Sequence[Step], reason: str) -> View:
    """The view that a product must hold.

    Args:
        sources: Views of the sources; none for a computed vector.
        steps: In order; the first joins several sources.
        reason: The rule in words.

    Raises:
        ValueError: A step does not fit the shape of its source.
    """
    if steps and isinstance(steps[0], Values):
        return Computed(steps[0].values, reason)
    if steps and isinstance(steps[0], Stack):
        if len({view.shape for view in sources}) > 1:
            raise ValueError("the tensors to be stacked have several shapes")
        parts = tuple(Reshaped(view, (1, *view.shape)) for view in sources)
        view: View = Concatenated(parts, reason)
        steps = steps[1:]
    else:
        (view,) = sources
    for step in steps:
        view = _apply(view, step, reason)
    return view


def rows_of(view: View, start: int, stop: int) -> View:
    """Rows [start, stop) of a view.

    Raises:
        ValueError: It does not have them.
    """
    rows = view.shape[0] if view.shape else 0
    if not 0 <= start <= stop <= rows:
        raise ValueError(f"rows {start}:{stop} are not among its {rows}")
    return Sliced(view, start, stop)


def _apply(view: View, step: Step, reason: str) -> View:
    match step:
        case PermuteRotaryRows() | RegroupQkv():
            return RowsPermuted(view, step.order(view.shape[0]), reason)
        case AddConstant():
            return Added(view, step.value)
        case Transpose():
            if len(view.shape) != 2:
                raise ValueError(f"a tensor of shape {list(view.shape)} is no matrix")
            return Transposed(view)
        case SliceRows():
            return rows_of(view, step.start, step.stop)
        case TakeMatrix():
            return Reshaped(rows_of(view, step.index, step.index + 1), view.shape[1:])
    raise ValueError(f"{type(step).__name__} joins sources and must come first")


def undo_steps(view: View, steps: Sequence[Step], reason: str) -> View | None:
    """The view that a source must hold, from a product of one source; None where a step loses something."""
    for step in reversed(steps):
        inverse = step.inverse
        if inverse is None:
            return None
        view = _apply(view, inverse, reason)
    return view


def join_split(parts: Sequence[tuple[View, Sequence[Step]]], reason: str) -> View | None:
    """A fused source from the products that were cut out of it.

    Args:
        parts: Each product with its steps: some that reorder the source, one `SliceRows`, some that reorder the rows.
        reason: The rule in words.
    """
    pieces: list[tuple[int, View]] = []
    before: Sequence[Step] = ()
    for view, steps in parts:
        cut = next((index for index, step in enumerate(steps) if isinstance(step, SliceRows)), None)
        if cut is None:
            return None
        piece = undo_steps(view, steps[cut + 1 :], reason)
        if piece is None:
            return None
        slice_step = steps[cut]
        assert isinstance(slice_step, SliceRows)
        pieces.append((slice_step.start, piece))
        before = steps[:cut]
    ordered = tuple(view for _, view in sorted(pieces, key=lambda item: item[0]))
    return undo_steps(Concatenated(ordered, reason), before, reason)
