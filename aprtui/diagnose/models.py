"""Products that are another model altogether: another revision, a fine-tune, a merged adapter, foreign tensors."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from aprtui.core.outcomes import Level
from aprtui.core.results import TensorResult
from aprtui.diagnose.found import Found
from aprtui.diagnose.proof import Proved
from aprtui.diagnose.samples import floats, likeness, sample_rows
from aprtui.formats.layout.plan import LayoutPlan, TensorPair
from aprtui.formats.model import Model
from aprtui.formats.names import parse

_NO_LIKENESS = 0.1
_LIKE_A_REARRANGEMENT = 0.5
_STILL_ALIKE = 0.7
_MANY = 0.5
_MATRIX_SIDE = 512
_LOW_RANK = 8
_SIZE = "num_hidden_layers"


def other_models(plan: LayoutPlan, left: Mapping[str, TensorResult], rearranged: Mapping[str, float]) -> list[Found]:
    """Causes of tensors that no hypothesis explains, from how much they still resemble the source.

    Args:
        plan: The pairs.
        left: Results of the tensors without an explanation, by name.
        rearranged: The largest correlation that a rearrangement of a tensor gave.
    """
    pairs = {pair.name: pair for pair in plan.pairs if pair.name in left}
    alike = {name: _likeness(pair) for name, pair in pairs.items()}
    foreign = [
        name
        for name, value in alike.items()
        if abs(value) < _NO_LIKENESS and name in rearranged and rearranged[name] < _LIKE_A_REARRANGEMENT
    ]
    close = [name for name, value in alike.items() if value >= _STILL_ALIKE and len(pairs[name].source.shape) > 1]
    matrices = sum(len(pair.source.shape) > 1 for pair in plan.pairs)
    found = []
    if foreign:
        most = max(rearranged[name] for name in foreign)
        evidence = (
            f"correlation with the source {alike[foreign[0]]:.3f}, at most {most:.2f} under every order that was tried"
        )
        found.append(_found("weights.one_model_for_another", foreign, evidence, left))
    if matrices and len(close) >= max(2, _MANY * matrices):
        found.append(_close(close, pairs, alike, left))
    elif len(close) > 1:
        low = _close(close, pairs, alike, left)
        found += [low] if low.code == "weights.lora_merged" else []
    return found


def with_pruned_layers(found: list[Found], proved: Mapping[str, Proved], target: Model) -> list[Found]:
    """Layers that were left out on purpose: the others moved up, or the product says that it has so many.

    Args:
        found: Causes of the product.
        proved: Explanations of its tensors, by name.
        target: The product.
    """
    missing = next((cause for cause in found if cause.code == "structure.layers_missing"), None)
    if missing is None:
        return found
    parts = [cause for cause in found if cause is missing or cause.code == "weights.layers_shifted"]
    held = sorted({layer for name in target.tensors if (layer := parse(name).layer) is not None})
    stated = target.config.values.get("num_hidden_layers") == len(held)
    if len(parts) == 1 and not (stated and _SIZE in target.config.explicit):
        return found
    origins: dict[int | None, int | None] = dict(zip(held, held, strict=True))
    for name, item in proved.items():
        origins.update((parse(name).layer, parse(step.origin).layer) for step in item.found.steps if step.origin)
    kept = ", ".join(str(origins[layer]) for layer in held)
    members = tuple(dict.fromkeys(member for cause in parts for member in cause.members))
    sizes = {(level, name) for level in (Level.METADATA, Level.INTEGRITY) for name in (_SIZE, "layer_types")}
    accounts = {failure for cause in parts for failure in cause.accounts_for}
    # A number of layers that is neither the source's nor the product's own is a fault beside the pruning.
    accounts = accounts | sizes if stated else accounts - sizes
    evidence = f"the product's layers are those of numbers {kept}"
    pruned = Found("weights.layers_pruned", members, evidence, frozenset(accounts))
    of_sizes = [cause for cause in found if cause.code.startswith("metadata.") and cause.accounts_for <= accounts]
    rest = [cause for cause in found if cause not in parts and cause not in of_sizes]
    return [*rest, pruned]


def _close(
    names: list[str],
    pairs: Mapping[str, TensorPair],
    alike: Mapping[str, float],
    left: Mapping[str, TensorResult],
) -> Found:
    rank, side = _rank(pairs[names[0]])
    code = "weights.lora_merged" if rank * _LOW_RANK <= side else "weights.fine_tuned"
    evidence = f"correlation {alike[names[0]]:.4f}; the difference of {names[0]} has rank {rank} of {side}"
    return _found(code, names, evidence, left)


def _likeness(pair: TensorPair) -> float:
    rows = sample_rows(pair.source)
    return likeness(floats(pair.source, rows), floats(pair.view, rows))


def _rank(pair: TensorPair) -> tuple[int, int]:
    """Numerical rank of the difference of two matrices' corners, and the most that it could be."""
    rows = np.arange(min(_MATRIX_SIDE, pair.source.rows), dtype=np.int64)
    a, b = (floats(view, rows)[:, :_MATRIX_SIDE].astype(np.float64) for view in (pair.source, pair.view))
    values = np.linalg.svd(b - a, compute_uv=False)
    if not values.size or not np.isfinite(values[0]) or not values[0]:
        return 0, min(a.shape)
    # Rounding to the product's type leaves noise of full rank; an adapter stands out above it.
    noise = float(np.median(values))
    return int((values > 4 * noise).sum()) or len(values), min(a.shape)


def _found(code: str, names: list[str], evidence: str, left: Mapping[str, TensorResult]) -> Found:
    records = [left[name].record for name in names]
    errors = sum(record.sum_squared_error for record in records), sum(record.sum_squared_a for record in records)
    return Found(
        code=code,
        members=tuple(names),
        evidence=evidence,
        accounts_for=frozenset((Level.WEIGHTS, name) for name in names),
        before=errors,
        after=errors,
    )
