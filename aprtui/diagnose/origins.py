"""Other tensors of the source that a product may have put in a tensor's place."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from aprtui.diagnose.hypothesis import Candidate, Context, Step
from aprtui.diagnose.samples import floats, likeness
from aprtui.formats.layout.plan import TensorPair
from aprtui.formats.names import parse
from aprtui.formats.views import RowsPermuted

_ALIKE = 0.9


def origins(pair: TensorPair, context: Context) -> Iterator[Candidate]:
    """Tensors of the same shape: other roles of the layer, other experts, other layers."""
    own = parse(pair.name)
    ranked: list[tuple[int, str]] = []
    for name, view in context.expected.items():
        if name == pair.name or view.shape != pair.source.shape:
            continue
        other = parse(name)
        same_layer = other.indices[:1] == own.indices[:1]
        same_role = other.template == own.template
        if same_layer or same_role:
            ranked.append((0 if same_layer and not same_role else 1 if same_layer else 2, name))
    for rank, name in sorted(ranked, key=lambda item: item[0]):
        code = ("weights.roles_swapped", "weights.wrong_expert", "weights.other_layer")[rank]
        yield Candidate((Step(code, f"holds {name}", name),), context.expected[name])
    yield from _stacked_experts(pair)


def _stacked_experts(pair: TensorPair) -> Iterator[Candidate]:
    """Experts of a stack in the order that one row of each shows."""
    if len(pair.source.shape) != 3:
        return
    experts, rows, _ = pair.source.shape
    first = np.arange(experts, dtype=np.int64) * rows + min(1, rows - 1)
    source, target = floats(pair.source, first), floats(pair.view, first)
    found = [int(np.argmax([likeness(one, row) for one in source])) for row in target]
    if found == list(range(experts)) or any(
        likeness(source[index], row) < _ALIKE for index, row in zip(found, target, strict=True)
    ):
        return
    order = (np.array(found, np.int64)[:, None] * rows + np.arange(rows)).reshape(-1)
    step = Step("weights.wrong_expert", f"experts {', '.join(map(str, found[:8]))} in the place of 0, 1, 2 …")
    yield Candidate((step,), RowsPermuted(pair.source, order, step.detail))
