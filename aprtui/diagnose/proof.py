"""Candidates proved on all elements, tensor by tensor and all at once, through the ordinary comparison."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from aprtui.compare.weights import compare_weights, reason_not_compared
from aprtui.core.results import TensorResult
from aprtui.diagnose.hypothesis import Context, Explanation
from aprtui.diagnose.search import explanations
from aprtui.formats.layout.plan import LayoutPlan, TensorPair

_ROUNDS = 12


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
    plan: LayoutPlan, failing: Mapping[str, TensorResult], context: Context, *, jobs: int
) -> tuple[dict[str, Proved], dict[str, TensorResult]]:
    """Explain failing tensors.

    Args:
        plan: The pairs.
        failing: Results of those that failed, by name.
        context: Of the search.
        jobs: Threads.

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
        for name, result in _measured(plan, pairs, candidates, jobs).items():
            found = candidates[name]
            if result is None or result.judgement.passed:
                proved[name] = Proved(pairs[name], found, failing[name], result)
            else:
                context.forget(found.steps)
        searches = {name: search for name, search in searches.items() if name in candidates and name not in proved}
    return proved, {name: result for name, result in failing.items() if name not in proved}


def _measured(
    plan: LayoutPlan, pairs: Mapping[str, TensorPair], candidates: Mapping[str, Explanation], jobs: int
) -> dict[str, TensorResult | None]:
    """What each candidate leaves; None where the first comparison proved it already."""
    tried = tuple(found.pair(pairs[name]) for name, found in candidates.items() if found.whole is None)
    results = {result.name: result for result in compare_weights(replace(plan, pairs=tried), jobs=jobs)}
    return {name: results.get(name) for name in candidates}
