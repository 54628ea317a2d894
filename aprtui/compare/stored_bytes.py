"""Whether two files hold the same tensors in the same bytes, where they hold them in the same type.

Equal values are not enough to show that converting twice gives the same: different scales can decode to equal values.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import zip_longest

from aprtui.core.findings import Finding, FindingKind
from aprtui.core.outcomes import Level
from aprtui.formats.container import StoredTensor
from aprtui.formats.layout.plan import LayoutPlan
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
