"""Candidates proved on all elements, tensor by tensor and all at once, through the ordinary comparison."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from aprtui.compare.weights import compare_weights, reason_not_compared
from aprtui.core.results import TensorResult
from aprtui.core.tolerance import OWN_RULES, ToleranceSettings
from aprtui.diagnose.hypothesis import Context, Explanation, Step
from aprtui.diagnose.search import explanations
from aprtui.formats.layout.plan import LayoutPlan, TensorPair
from aprtui.formats.views import Sliced, Stored

_ROUNDS = 12
_END_BYTES = 64


@dataclass(frozen=True, slots=True)
class Proved:
    """A tensor with a proved explanation.

    Attributes:
        pair: As it failed.
        found: Why.
        before: As measured.
        after: Under the explanation.
    """

    pair: TensorPair
    found: Explanation
    before: TensorResult
    after: TensorResult | None


def prove(
    plan: LayoutPlan,
    failing: Mapping[str, TensorResult],
    context: Context,
    *,
    jobs: int,
    settings: ToleranceSettings = OWN_RULES,
) -> tuple[dict[str, Proved], dict[str, TensorResult]]:
    """Explain failing tensors.

    Args:
        plan: The pairs.
        failing: Results of those that failed, by name.
        context: Of the search.
        jobs: Threads.
        settings: Tolerances of the playbook in place of the rules' own.

    Returns:
        Explanations that hold for every element, and the failing tensors without one.
    """
    pairs = {pair.name: pair for pair in plan.pairs if pair.name in failing and reason_not_compared(pair) is None}
    searches: dict[str, Iterator[Explanation]] = {
        name: explanations(pair, failing[name], context) for name, pair in pairs.items()
    }
    proved: dict[str, Proved] = {}
    for _ in range(_ROUNDS):
        candidates = {}
        for name, search in searches.items():
            found = next(search, None)
            if found is not None:
                candidates[name] = found
                context.remember(found.steps)
        if not candidates:
            break
        for name, result in _measured(plan, pairs, candidates, jobs, settings).items():
            found = candidates[name]
            if result is None or result.judgement.passed:
                proved[name] = Proved(pairs[name], found, failing[name], result)
            else:
                context.forget(found.steps)
        searches = {name: search for name, search in searches.items() if name in candidates and name not in proved}
    return proved, {name: result for name, result in failing.items() if name not in proved}


def _measured(
    plan: LayoutPlan,
    pairs: Mapping[str, TensorPair],
    candidates: Mapping[str, Explanation],
    jobs: int,
    settings: ToleranceSettings,
) -> dict[str, TensorResult | None]:
    """What each candidate leaves; None where the first comparison proved it already."""
    tried = tuple(found.pair(pairs[name]) for name, found in candidates.items() if found.whole is None)
    results = {
        result.name: result for result in compare_weights(replace(plan, pairs=tried), jobs=jobs, settings=settings)
    }
    return {name: results.get(name) for name in candidates}


def prove_cut_ends(
    plan: LayoutPlan,
    left: Mapping[str, TensorResult],
    proved: Mapping[str, Proved],
    *,
    jobs: int,
    settings: ToleranceSettings = OWN_RULES,
) -> dict[str, Proved]:
    """Tensors whose end was pushed out of the file where all data lie further back: the elements that are there."""
    step = next((step for item in proved.values() for step in item.found.steps if _pushed(step)), None)
    if step is None:
        return {}
    distance = int(step.detail.split()[2])
    pairs = {pair.name: pair for pair in plan.pairs if pair.name in left}
    candidates = {}
    for name, pair in pairs.items():
        found = _what_is_there(pair, distance, step)
        if found is not None:
            candidates[name] = found
    results = _measured(plan, pairs, candidates, jobs, settings)
    return {
        name: Proved(pairs[name], candidates[name], left[name], result)
        for name, result in results.items()
        if result is not None and result.judgement.passed
    }


def _pushed(step: Step) -> bool:
    return step.code == "weights.data_offset" and step.detail.endswith("behind")


def _what_is_there(pair: TensorPair, distance: int, step: Step) -> Explanation | None:
    tensor = pair.target
    start = tensor.offset + distance
    # A checksum at the end of the file was pushed too: its bytes are no values.
    beyond = start + tensor.nbytes - tensor.file.stat().st_size + _END_BYTES
    if beyond <= _END_BYTES or not tensor.shape or tensor.dtype.info.header:
        return None
    row_bytes = tensor.nbytes // tensor.shape[0]
    rows = max(0, tensor.shape[0] - -(-beyond // max(1, row_bytes)))
    if rows * row_bytes * tensor.shape[0] != rows * tensor.nbytes:
        return None
    there = replace(tensor, offset=start, shape=(rows, *tensor.shape[1:]), nbytes=rows * row_bytes)
    return Explanation((step,), Sliced(pair.source, 0, rows), Stored(there))
