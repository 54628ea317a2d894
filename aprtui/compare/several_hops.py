"""The two ends of several conversions: which file on the way decides what a tensor at the end must hold.

After a hop that lost something, the end equals what that hop left, decoded, under the casts that remain: encoding
decoded blocks once more changes up to 45 % of them and is no fault. What each hop lost is judged with that hop.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from aprtui.core.tolerance import holds_exactly
from aprtui.formats.layout.plan import LayoutPlan, TensorPair, plan_layout
from aprtui.formats.model import Model
from aprtui.formats.views import Added, Scaled, View


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
    """What a tensor is held against: the last step whose type cannot hold what the step before it held."""
    base = before = pair
    for step in steps[1:]:
        if step is None:
            continue
        # Both views lead to the same target: where only one of them calculates, the hop between their files does.
        rounds = _has_arithmetic(before.source) is not _has_arithmetic(step.source)
        if rounds or not holds_exactly(before.source.dtype, step.source.dtype):
            base = step
        before = step
    return base


def _has_arithmetic(view: View) -> bool:
    """Whether a layout rule calculates, as gemma's norm weights + 1: float32 rounds the result."""
    return isinstance(view, Added | Scaled) or any(map(_has_arithmetic, view.below))
