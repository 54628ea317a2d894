"""A whole comparison: two models, the levels that were asked for, one result.

`compare_models` is what `aprtui diff` shows and what the gates of a playbook run judge.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from time import monotonic

from aprtui.compare.behaviour import BehaviourSettings, behaviour_level
from aprtui.compare.file_type import with_file_type
from aprtui.compare.integrity import check_integrity
from aprtui.compare.metadata import compare_metadata
from aprtui.compare.several_hops import plan_several_hops
from aprtui.compare.stored_bytes import stored_bytes_findings
from aprtui.compare.structure import check_structure
from aprtui.compare.tied_head import with_lost_head
from aprtui.compare.token_ids import tokenizer_level
from aprtui.compare.weights import Progress, compare_weights, weights_level
from aprtui.core.behaviour import Behaviour, LayerError
from aprtui.core.findings import LevelResult
from aprtui.core.outcomes import Level
from aprtui.core.results import Comparison, TensorResult, WeightsClass, classify_weights
from aprtui.core.tolerance import OWN_RULES, ToleranceSettings
from aprtui.formats.layout.plan import LayoutPlan, embedding_name, head_name
from aprtui.formats.model import Model
from aprtui.formats.output_types import OutputTypes

Told = Callable[[TensorResult | LevelResult | LayerError], None]
"""Takes each result as soon as it is there."""

STATIC_LEVELS = (Level.INTEGRITY, Level.STRUCTURE, Level.METADATA, Level.TOKENIZER, Level.WEIGHTS)
"""The levels that need no running model, worst first."""


@dataclass(frozen=True, slots=True)
class Scope:
    """What a comparison covers.

    Attributes:
        levels: Levels to check.
        tensor_globs: Canonical names to compare; empty for all.
        asked_for: Output types that the conversion asked for; None to report types without judging them.
        jobs: Threads.
        reference: The model whose architecture and head counts the layout rules take; the source by default.
        prompts: Texts that tokenizers and models are tried on, beside those that are built in.
        running: How models are run, where behaviour is a level.
        via: Products on the way from the source to the target, where several conversions lie between them.
        same_bytes: Whether tensors of one type have to hold the same bytes.
        tolerances: Tolerances of the playbook in place of the rules' own.
    """

    levels: tuple[Level, ...] = STATIC_LEVELS
    tensor_globs: tuple[str, ...] = ()
    asked_for: OutputTypes | None = None
    jobs: int = 1
    reference: Model | None = None
    prompts: tuple[str, ...] = ()
    running: BehaviourSettings = field(default_factory=BehaviourSettings)
    via: tuple[Model, ...] = ()
    same_bytes: bool = False
    tolerances: ToleranceSettings = OWN_RULES


def compare_models(
    source: Model,
    target: Model,
    scope: Scope,
    progress: Progress | None = None,
    told: Told | None = None,
) -> Comparison:
    """Compare B with A on every level of the scope; every level runs even where an earlier one failed.

    Args:
        source: A, the reference.
        target: B, the product.
        scope: What to cover.
        progress: Told while weights are read: bytes so far, bytes in all, name of a tensor.
        told: Told of each tensor once it is judged, of each level that is done, and of each layer that has run.
    """
    started = monotonic()
    reference = scope.reference or source
    source, target, *via = (model.named_as(reference.architecture) for model in (source, target, *scope.via))
    plan = layout_of(source, target, scope)
    tensors: tuple[TensorResult, ...] = ()
    by_level: dict[Level, LevelResult] = {}
    if Level.WEIGHTS in scope.levels:
        tensors = compare_weights(plan, jobs=scope.jobs, progress=progress, settings=scope.tolerances, measured=told)
        more = stored_bytes_findings(plan) if scope.same_bytes else []
        by_level[Level.WEIGHTS] = weights_level(plan, tensors, more)
    checks: dict[Level, Callable[[], LevelResult]] = {
        Level.INTEGRITY: lambda: check_integrity(source, target, tensors, read_weights=not scope.tensor_globs),
        Level.STRUCTURE: lambda: check_structure(
            with_lost_head(plan, source), scope.asked_for, types_elsewhere=bool(via) or scope.same_bytes
        ),
        Level.METADATA: lambda: with_file_type(
            compare_metadata(source.config, target.config, [model.format for model in via]), target
        ),
        Level.TOKENIZER: lambda: tokenizer_level(source, target, scope.prompts),
    }
    by_level |= {level: check() for level, check in checks.items() if level in scope.levels}
    ordered = [by_level[level] for level in Level if level in by_level]
    told = told or (lambda _: None)
    for result in ordered:
        told(result)
    behaviour = None
    if Level.BEHAVIOUR in scope.levels:
        result, behaviour = _behaviour(source, target, scope, progress, told)
        ordered.append(result)
        told(result)
    return Comparison(
        source=str(source.path),
        target=str(target.path),
        levels=tuple(ordered),
        tensors=tuple(sorted(tensors, key=lambda tensor: tensor.rank)),
        weights=classify_weights(tensors) if Level.WEIGHTS in scope.levels else WeightsClass.NOT_COMPARED,
        not_checked=_not_checked(scope, plan, ordered),
        asked_for=scope.asked_for.text if scope.asked_for else None,
        seconds=monotonic() - started,
        bytes_read=sum(tensor.nbytes for tensor in tensors),
        behaviour=behaviour,
        embedding=tuple(filter(None, dict.fromkeys((embedding_name(source), head_name(source))))),
    )


def _behaviour(
    source: Model, target: Model, scope: Scope, progress: Progress | None, told: Told
) -> tuple[LevelResult, Behaviour | None]:
    """The behaviour level: whole models run, whatever tensors are compared."""
    models = (source, target, scope.reference or source)
    plan = layout_of(source, target, replace(scope, tensor_globs=()))
    return behaviour_level(plan, models, scope.running, scope.prompts, progress, told=told, tolerances=scope.tolerances)


def layout_of(source: Model, target: Model, scope: Scope) -> LayoutPlan:
    """What the tensors of the target should hold, for those that a scope covers; both models named as the reference."""
    reference = scope.reference or source
    via = [model.named_as(reference.architecture) for model in scope.via]
    return plan_several_hops(source, via, target, reference).restricted(_matcher(scope.tensor_globs))


def _matcher(globs: Sequence[str]) -> Callable[[str], bool]:
    return lambda name: not globs or any(fnmatchcase(name, pattern) for pattern in globs)


def _not_checked(scope: Scope, plan: LayoutPlan, results: Sequence[LevelResult]) -> tuple[str, ...]:
    """Everything that no level looked at."""
    missing = [f"{level}: not planned" for level in STATIC_LEVELS if level not in scope.levels]
    if Level.BEHAVIOUR not in scope.levels:
        missing.append("behaviour: not planned (it runs both models; ask for it)")
    if scope.tensor_globs:
        missing.append(f"tensors outside {', '.join(scope.tensor_globs)}")
    return tuple(dict.fromkeys([*missing, *(part for result in results for part in result.not_checked)]))
