"""Repair and comparison in turns, in memory, until the model passes or nothing more is found."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from time import monotonic

from aprtui.compare.comparison import Scope, layout_of
from aprtui.compare.weights import compare_weights
from aprtui.core.diagnosis import Diagnosis, NamedCause, Unexplained
from aprtui.core.dtypes import DType
from aprtui.core.findings import Finding
from aprtui.core.outcomes import Level
from aprtui.core.results import Comparison, TensorResult
from aprtui.diagnose import metadata, tokenizer
from aprtui.diagnose.consequences import without_consequences
from aprtui.diagnose.found import Found, failing
from aprtui.diagnose.hypothesis import Context
from aprtui.diagnose.integrity import diagnose_integrity, diagnose_unreadable
from aprtui.diagnose.models import other_models, with_pruned_layers
from aprtui.diagnose.patterns import in_words
from aprtui.diagnose.proof import Proved, prove, prove_cut_ends
from aprtui.diagnose.questions import answers
from aprtui.diagnose.structure import diagnose_structure
from aprtui.diagnose.types import diagnose_types
from aprtui.diagnose.weights import causes_of
from aprtui.formats.layout.plan import LayoutPlan, TensorPair
from aprtui.formats.model import Model


@dataclass(frozen=True, slots=True)
class Explained:
    """A diagnosis with what is needed to write the repaired model.

    Attributes:
        diagnosis: The facts.
        proved: Explanations of tensors, by name.
        pairs: Pairs that repairs of names and shapes made comparable.
        plan: What the product should hold.
    """

    diagnosis: Diagnosis
    proved: Mapping[str, Proved]
    pairs: tuple[TensorPair, ...]
    plan: LayoutPlan


def diagnose(source: Model, target: Model, comparison: Comparison, scope: Scope) -> Explained:
    """Explain every failing check of a comparison.

    Args:
        source: A.
        target: B.
        comparison: What `compare_models` found under the scope.
        scope: The same scope.
    """
    started = monotonic()
    reference = scope.reference or source
    source, target = (model.named_as(reference.architecture) for model in (source, target))
    onion = _Onion(source, target, comparison, scope)
    onion.peel()
    diagnosis = replace(onion.diagnosis(), seconds=monotonic() - started)
    return Explained(diagnosis, onion.proved, onion.repaired, onion.plan)


def diagnose_file(comparison: Comparison, path: Path) -> Diagnosis:
    """Explain why a product cannot be read at all."""
    found = [
        cause for level in comparison.levels for item in level.failures for cause in diagnose_unreadable(path, item)
    ]
    named = tuple(_named(cause, {}) for cause in found)
    return Diagnosis(answers(comparison, named, ()), named, (), len(found), 1, 0, 0, None, None, 0.0)


class _Onion:
    def __init__(self, source: Model, target: Model, comparison: Comparison, scope: Scope) -> None:
        self.source, self.target, self.comparison, self.jobs = source, target, comparison, scope.jobs
        reference = scope.reference or source
        self.plan = layout_of(source, target, scope)
        self.settings, self.via = scope.tolerances, tuple(model.format for model in scope.via)
        self.levels = {result.level: result for result in comparison.levels}
        expected = {**{pair.name: pair.source for pair in self.plan.pairs}, **self.plan.unpaired}
        self.context = Context(reference.geometry, target, expected, self.plan.conversion.importance_matrix)
        self.found: list[Found] = []
        self.proved: dict[str, Proved] = {}
        self.left: dict[str, TensorResult] = {}
        self.repaired: tuple[TensorPair, ...] = ()
        self.failing: dict[str, TensorResult] = {}
        self.layers = 1

    def peel(self) -> None:
        """What files and names show, then the weights, then the weights that repairs of names and shapes uncover."""
        self._without_weights()
        if Level.WEIGHTS in self.levels:
            self._weights()
        self._peel_metadata()
        self.found = without_consequences(with_pruned_layers(self.found, self.proved, self.target), self.target)

    def _weights(self) -> None:
        self.failing = {result.name: result for result in self.comparison.tensors if not result.judgement.passed}
        self._explain(self.plan, self.failing)
        names = {pair.name for pair in self.repaired}
        beneath = replace(
            self.plan, pairs=(*(pair for pair in self.plan.pairs if pair.name not in names), *self.repaired)
        )
        measured = compare_weights(replace(beneath, pairs=self.repaired), jobs=self.jobs, settings=self.settings)
        deeper = {result.name: result for result in measured if not result.judgement.passed}
        if deeper:
            self.layers = 2
            self._explain(beneath, deeper)

    def _without_weights(self) -> None:
        structure = diagnose_structure(self.plan, self.context)
        self.repaired = structure.pairs
        tied = bool(self.source.config.values.get("tie_word_embeddings"))
        self.found = [
            *diagnose_integrity(self.target, self.levels.get(Level.INTEGRITY)),
            *structure.causes,
            *diagnose_types(self.plan, self.levels.get(Level.STRUCTURE), self.context, tied=tied),
            *metadata.diagnose_metadata(self.source, self.target, self.levels.get(Level.METADATA)),
            *tokenizer.diagnose_tokenizer(self.source, self.target, self.levels.get(Level.TOKENIZER)),
        ]

    def _explain(self, plan: LayoutPlan, outside: Mapping[str, TensorResult]) -> None:
        proved, left = prove(plan, outside, self.context, jobs=self.jobs, settings=self.settings)
        proved.update(prove_cut_ends(plan, left, proved, jobs=self.jobs, settings=self.settings))
        left = {name: result for name, result in left.items() if name not in proved}
        self.found += [*causes_of(proved, self.layers), *other_models(plan, left, self.context.likeness)]
        self.proved.update(proved)
        self.left.update(left)

    def _peel_metadata(self) -> None:
        """Keys that only count once another one is right: a pattern of layers needs a window."""
        if not failing(self.levels.get(Level.METADATA)) or self.source.config.is_missing:
            return
        known: set[str] = set()
        for layer in count(2):
            left = metadata.still_failing(self.source, self.target, self.found, self.via)
            named = {name for cause in self.found for level, name in cause.accounts_for if level is Level.METADATA}
            new = [finding for finding in left if finding.subject not in named | known]
            if not new:
                return
            known |= {finding.subject for finding in new}
            self.found = metadata.with_causes_beneath(self.source, self.target, new, self.found, layer)
            self.layers = max(self.layers, *(cause.layer for cause in self.found))

    def _not_repaired(self) -> list[Finding]:
        """What fails at the metadata and tokenizer levels under the repairs; a level that passes needs none."""
        left: list[Finding] = []
        if failing(self.levels.get(Level.METADATA)) and not self.source.config.is_missing:
            left += metadata.still_failing(self.source, self.target, self.found, self.via)
        if failing(self.levels.get(Level.TOKENIZER)):
            left += tokenizer.still_failing(self.source, self.target, self.found)
        return left

    def diagnosis(self) -> Diagnosis:
        """The facts."""
        every = [finding for level in self.comparison.levels for finding in level.failures]
        # What a model does follows from what is stored: it needs a cause of its own only where nothing else fails.
        failures = [finding for finding in every if finding.level is not Level.BEHAVIOUR] or every
        accounted = {failure for cause in self.found for failure in cause.accounts_for}
        unexplained = {
            (finding.level, finding.subject): finding.message
            for finding in (*failures, *self._not_repaired())
            if (finding.level, finding.subject) not in accounted
        }
        for name, result in self.left.items():
            if (Level.WEIGHTS, name) not in accounted:
                unexplained.setdefault((Level.WEIGHTS, name), result.judgement.sentence)
        left = tuple(Unexplained(level, subject, message) for (level, subject), message in unexplained.items())
        named = tuple(_named(cause, self._types(cause)) for cause in sorted(self.found, key=_rank))
        return Diagnosis(
            questions=answers(self.comparison, named, left),
            causes=named,
            unexplained=left,
            failures=len(failures),
            layers=self.layers,
            tensors_failing=len(self.failing),
            tensors_left=len(self.left),
            error_before=_share(self.failing.values()),
            error_after=_share(self.left.values()),
            seconds=0.0,
        )

    def _types(self, cause: Found) -> dict[str, DType]:
        """Types of all tensors of the product, and of those among a cause's members that it lacks."""
        expected = self.context.expected
        lacking = {name: expected[name].dtype for name in cause.members if name in expected}
        return lacking | {name: tensor.dtype for name, tensor in self.target.tensors.items()}


def _rank(cause: Found) -> tuple[int, float, int]:
    """Worst first: by level, then by the error that a cause explains, then by its members."""
    level = cause.code.partition(".")[0]
    order = [*(item.value for item in Level), "measurement"].index(level)
    return order, -(cause.before or (0.0, 0.0))[0], -len(cause.members)


def _named(cause: Found, types: Mapping[str, DType]) -> NamedCause:
    return NamedCause(
        code=cause.code,
        members=cause.members,
        where=in_words(cause.members, types),
        evidence=cause.evidence,
        layer=cause.layer,
        before=_ratio(cause.before),
        after=_ratio(cause.after),
    )


def _ratio(errors: tuple[float, float] | None) -> float | None:
    if errors is None:
        return None
    return errors[0] / errors[1] if errors[1] else (0.0 if not errors[0] else float("inf"))


def _share(results: Iterable[TensorResult]) -> float | None:
    records = [result.record for result in results]
    if not records:
        return 0.0
    return _ratio((sum(r.sum_squared_error for r in records), sum(r.sum_squared_a for r in records)))
