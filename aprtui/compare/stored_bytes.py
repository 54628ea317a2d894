"""Whether tensors are the same in their stored bytes, where they are stored in the same type.

Equal values are not enough to show that converting twice gives the same: different scales can decode to equal values.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import zip_longest

from aprtui.core.findings import Finding, FindingKind
from aprtui.core.outcomes import Level
from aprtui.formats.container import StoredTensor
from aprtui.formats.layout.plan import STANDS_FOR_HEAD, LayoutPlan, embedding_name, head_name
from aprtui.formats.model import Model
from aprtui.formats.views import Stored

_PIECE = 1 << 24


def stored_bytes_findings(plan: LayoutPlan) -> list[Finding]:
    """A finding for each tensor that both sides store in one type and shape, and not in the same bytes."""
    findings = []
    for pair in plan.pairs:
        source, target = pair.source, pair.target
        if not isinstance(source, Stored) or not (source.tensor.readable and target.readable):
            continue
        if (source.dtype, source.shape) != (target.dtype, target.shape):
            continue
        differing = _first_difference(source.tensor, target)
        if differing is not None:
            message = f"the stored bytes differ, byte {differing} of {target.nbytes} first"
            findings.append(Finding(Level.WEIGHTS, pair.name, message, kind=FindingKind.STORED_BYTES))
    return findings


def with_lost_head(plan: LayoutPlan, source: Model) -> LayoutPlan:
    """The plan with the head of a tied source as missing where the target has none and its embedding is another one."""
    head = head_name(source)
    if plan.explained.get(head) != STANDS_FOR_HEAD or not _holds_another_head(source):
        return plan
    explained = {name: reason for name, reason in plan.explained.items() if name != head}
    return replace(plan, explained=explained, missing=(*plan.missing, head))


def _holds_another_head(model: Model) -> bool:
    """Unknown, and False, where the types differ."""
    embedding = model.tensors.get(embedding_name(model) or "")
    head = model.tensors.get(head_name(model))
    if embedding is None or head is None or not (embedding.readable and head.readable):
        return False
    if (embedding.dtype, embedding.shape) != (head.dtype, head.shape):
        return False
    return _first_difference(embedding, head) is not None


def _first_difference(a: StoredTensor, b: StoredTensor) -> int | None:
    position = 0
    for one, other in zip_longest(_pieces(a), _pieces(b), fillvalue=b""):
        if one != other:
            shared = min(len(one), len(other))
            return position + next((index for index in range(shared) if one[index] != other[index]), shared)
        position += len(one)
    return None


def _pieces(tensor: StoredTensor) -> Iterator[bytes]:
    with tensor.file.open("rb") as file:
        file.seek(tensor.offset)
        left = tensor.nbytes
        while left and (piece := file.read(min(left, _PIECE))):
            left -= len(piece)
            yield piece
