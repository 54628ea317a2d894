"""Proved explanations of tensors, gathered into causes: exchanged and shifted layers, damage without a proof."""

from __future__ import annotations

from collections.abc import Mapping

from aprtui.core.outcomes import Level
from aprtui.core.results import TensorResult
from aprtui.diagnose.found import Found
from aprtui.diagnose.hypothesis import Step
from aprtui.diagnose.proof import Proved
from aprtui.formats.names import parse

_SHOWN = 3


def causes_of(proved: Mapping[str, Proved], layer: int) -> list[Found]:
    """One cause for each code; a tensor with several steps is a member of each."""
    groups: dict[str, list[tuple[Proved, Step]]] = {}
    moved = _layers(proved)
    for name, item in proved.items():
        for step in item.found.steps:
            code = moved.get(name, step.code) if step.code == "weights.other_layer" else step.code
            groups.setdefault(code, []).append((item, step))
    return [_cause(code, items, layer) for code, items in groups.items()]


def _cause(code: str, items: list[tuple[Proved, Step]], layer: int) -> Found:
    members = tuple(dict.fromkeys(item.pair.name for item, _ in items))
    details = list(dict.fromkeys(step.detail for _, step in items if step.detail))
    shown = "; ".join(details[:_SHOWN]) + (f" and {len(details) - _SHOWN} more" if len(details) > _SHOWN else "")
    first = items[0][0]
    named = f"{first.pair.name}: " if shown else ""
    proof = "" if first.after is None else f"; under the repair, {named}{first.after.judgement.sentence}"
    levels = (Level.WEIGHTS, Level.INTEGRITY) if code == "integrity.not_finite" else (Level.WEIGHTS,)
    return Found(
        code=code,
        members=members,
        evidence=(shown or f"{first.pair.name}: {first.before.judgement.sentence}") + proof,
        accounts_for=frozenset((level, name) for name in members for level in levels),
        layer=layer,
        before=_errors([item.before for item, _ in items]),
        after=_errors([item.after or item.before for item, _ in items]),
    )


def _errors(results: list[TensorResult]) -> tuple[float, float]:
    return (
        sum(result.record.sum_squared_error for result in results),
        sum(result.record.sum_squared_a for result in results),
    )


def _layers(proved: Mapping[str, Proved]) -> dict[str, str]:
    """The code of each tensor that holds another layer's, by what its neighbours hold."""
    taken: dict[tuple[int | None, int | None], list[str]] = {}
    for name, item in proved.items():
        for step in item.found.steps:
            if step.code == "weights.other_layer":
                taken.setdefault((parse(name).layer, parse(step.origin).layer), []).append(name)
    whole = {pair for pair, names in taken.items() if len(names) > 1}
    codes: dict[str, str] = {}
    for here, there in whole:
        code = "weights.layers_swapped" if (there, here) in whole else "weights.layers_shifted"
        codes.update((name, code) for name in taken[here, there])
    return codes
