"""Whether a product may leave out a head that its source stores although it is tied.

A layout plan follows from no weights. Where the head is a copy of the embedding, the product's embedding stands for it;
where it is not, llama.cpp and transformers 5 run the source with it, and the product has lost it.
"""

from __future__ import annotations

from dataclasses import replace

from aprtui.compare.weights import measure_pair, reason_not_compared, tolerance_of
from aprtui.core.tolerance import judge
from aprtui.formats.layout.plan import STANDS_FOR_HEAD, LayoutPlan, TensorPair, embedding_name, head_name
from aprtui.formats.model import Model
from aprtui.formats.views import Stored


def with_lost_head(plan: LayoutPlan, source: Model) -> LayoutPlan:
    """The plan, with the source's head as missing where nothing in the target stands for it."""
    head = head_name(source)
    if plan.explained.get(head) != STANDS_FOR_HEAD or not _holds_another_head(source):
        return plan
    explained = {name: reason for name, reason in plan.explained.items() if name != head}
    return replace(plan, explained=explained, missing=(*plan.missing, head))


def _holds_another_head(model: Model) -> bool:
    """Whether a head is no copy of the embedding, as far as its type can hold one; False where it cannot be read."""
    embedding, head = model.tensors.get(embedding_name(model) or ""), model.tensors.get(head_name(model))
    if embedding is None or head is None:
        return False
    pair = TensorPair(head_name(model), Stored(embedding), head, ())
    if reason_not_compared(pair) is not None:
        return False
    return not judge(measure_pair(pair), tolerance_of(pair)).passed
