"""The two ends of several conversions: which file on the way decides what a tensor at the end must hold.

After a hop that lost something, the end equals what that hop left, decoded, under the casts that remain: encoding
decoded blocks once more changes up to 45 % of them and is no fault. What each hop lost is judged with that hop.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from aprtui.core.dtypes import DType, Family
from aprtui.core.tolerance import holds_exactly
from aprtui.formats.layout.plan import LayoutPlan, TensorPair, plan_layout
from aprtui.formats.model import Model
from aprtui.formats.views import Added, Decoded, Scaled, View


def plan_several_hops(source: Model, via: Sequence[Model], target: Model, reference: Model) -> LayoutPlan:
    """The layout plan of both ends, each tensor held against the last file that lost something of it.

    Args:
        source: Where the conversions began.
        via: Products on the way, in their order.
        target: The last product.
        reference: Where architecture and head counts come from.
    """
    plans = [plan_layout(model, target, reference) for model in (source, *via)]
    steps = [{pair.name: pair for pair in plan.pairs} for plan in plans]
    pairs = tuple(_narrowest(pair, [step.get(pair.name) for step in steps]) for pair in plans[0].pairs)
    return replace(plans[0], pairs=pairs)


def _narrowest(pair: TensorPair, steps: Sequence[TensorPair | None]) -> TensorPair:
    """What a tensor is held against: the last step whose type cannot hold what the step before it held.

    Where a later step decoded its blocks, blocks at the end were encoded once more: they are judged as such.
    """
    base = before = pair
    for step in steps[1:]:
        if step is None:
            continue
        if _loses(before.source, step.source):
            base = step
        before = step
    was_decoded = _has_blocks(base.source) and not _has_blocks(before.source)
    return replace(base, source=Decoded(base.source)) if was_decoded else base


def _loses(before: View, after: View) -> bool:
    """Whether the hop between the files of two views, which lead to the same target, lost something."""
    # Where only one of them calculates, the hop does.
    if _has_arithmetic(before) is not _has_arithmetic(after):
        return True
    # Rows that are gone, as those that gemma3's GGUF has no token for; a wrong shape is judged with its own hop.
    if before.shape != after.shape:
        return True
    # Types as stored: a view may have to decode blocks to transpose them.
    return not all(holds_exactly(one, other) for one in _stored_types(before) for other in _stored_types(after))


def _has_blocks(view: View) -> bool:
    return any(dtype.info.family is Family.BLOCK for dtype in _stored_types(view))


def _stored_types(view: View) -> set[DType]:
    """Types of the tensors that a view reads."""
    return set().union(*map(_stored_types, view.below)) if view.below else {view.dtype}


def _has_arithmetic(view: View) -> bool:
    """Whether a layout rule calculates, as gemma's norm weights + 1: float32 rounds the result."""
    return isinstance(view, Added | Scaled) or any(map(_has_arithmetic, view.below))
