"""The layout plan: which view of the source each tensor of the target must hold.

The plan follows from formats, names and the reference's architecture and head counts, never from the weights.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from aprtui.formats.container import Format, StoredTensor
from aprtui.formats.layout.lazy_steps import apply_steps
from aprtui.formats.layout.orders import Expected, in_gguf_order, in_hf_order, stored_tensors
from aprtui.formats.layout.rope_tensors import GENERATED
from aprtui.formats.layout.transforms import LayoutRules, hf_to_gguf
from aprtui.formats.model import Model
from aprtui.formats.names import RowOrder, gguf_name, row_order
from aprtui.formats.output_types import Conversion
from aprtui.formats.views import Aliased, Stored, View

_HEAD = "output.weight"
_EMBEDDING = "token_embd.weight"
STANDS_FOR_HEAD = "tied head: the target's embedding stands for it"
"""Why a target may lack the head that its source stores; whether that is a copy of the embedding is not looked at."""


@dataclass(frozen=True, slots=True)
class TensorPair:
    """A tensor of the target and what it must hold.

    Attributes:
        name: Canonical name in the target.
        source: View of the source that the target must equal.
        target: The stored tensor.
        uses: Canonical names of the source tensors in the view.
        repaired: The target as a diagnosis reads it; None to read it as stored.
    """

    name: str
    source: View
    target: StoredTensor
    uses: tuple[str, ...]
    repaired: View | None = None

    @property
    def view(self) -> View:
        """The target as it is compared."""
        return Stored(self.target) if self.repaired is None else self.repaired

    @property
    def layout(self) -> str:
        """What the rule did to the source, in words; empty where rows are compared as stored."""
        return "; ".join(dict.fromkeys(self.source.rules))


@dataclass(frozen=True, slots=True)
class LayoutPlan:
    """How two models correspond.

    Attributes:
        pairs: In the target's order.
        missing: Source tensors that the target should hold and does not.
        unexpected: Target tensors that nothing in the source explains.
        explained: Tensors on one side only, with the legitimate reason.
        impossible: Tensors whose rule does not fit their shape, with the reason.
        misnamed: Tensors that the target stores under a name that nobody looks for, with the name looked for.
        no_rule: What a report must say where rows are in two orders and the architecture has no layout rules; else
            empty.
        conversion: What decides the types of the target.
        unpaired: What the missing tensors should hold, by canonical name.
    """

    pairs: tuple[TensorPair, ...]
    missing: tuple[str, ...]
    unexpected: tuple[str, ...]
    explained: Mapping[str, str]
    impossible: Mapping[str, str]
    misnamed: Mapping[str, str]
    no_rule: str
    conversion: Conversion
    unpaired: Mapping[str, View] = field(default_factory=dict)

    def restricted(self, keeps: Callable[[str], bool]) -> LayoutPlan:
        """The plan for those names only."""
        return replace(
            self,
            pairs=tuple(pair for pair in self.pairs if keeps(pair.name)),
            missing=tuple(name for name in self.missing if keeps(name)),
            unexpected=tuple(name for name in self.unexpected if keeps(name)),
            explained={name: reason for name, reason in self.explained.items() if keeps(name)},
            impossible={name: reason for name, reason in self.impossible.items() if keeps(name)},
            misnamed={name: wanted for name, wanted in self.misnamed.items() if keeps(name)},
        )


@dataclass(frozen=True, slots=True)
class _Models:
    """The two sides, the canonical name of the head, and whether the reference ties it to the embedding."""

    source: Model
    target: Model
    head: str
    tied: bool


def plan_layout(source: Model, target: Model, reference: Model) -> LayoutPlan:
    """Pair the tensors of two models.

    Args:
        source: A.
        target: B.
        reference: Where architecture and head counts come from: the root of a run, usually the source.
    """
    orders = model_row_order(source), model_row_order(target)
    geometry = reference.geometry
    if orders == (RowOrder.GGUF, RowOrder.HF):
        # Rows of the embedding that a GGUF was made without do not come back.
        geometry = replace(geometry, tokens=None)
    if orders == (RowOrder.HF, RowOrder.GGUF):
        # A reference that is a GGUF has tensors in place of what the source states.
        geometry = replace(geometry, rope=source.geometry.rope)
    rules = hf_to_gguf(geometry)
    impossible: dict[str, str] = {}
    explained: dict[str, str] = {}
    if orders == (RowOrder.HF, RowOrder.GGUF):
        expected = in_gguf_order(source, rules, impossible)
        explained.update(rules.dropped(tuple(stored_tensors(source))))
    elif orders == (RowOrder.GGUF, RowOrder.HF):
        expected = in_hf_order(source, tuple(target.tensors), rules, impossible)
        explained.update(rules.dropped(tuple(stored_tensors(target))))
        explained.update(
            (name, "config.json states rope scaling instead") for name in GENERATED if name in source.tensors
        )
    else:
        expected = {name: Expected(Stored(tensor), (name,)) for name, tensor in stored_tensors(source).items()}
    head = next((name for name in map(head_name, (source, target)) if name != "lm_head.weight"), "lm_head.weight")
    models = _Models(source, target, head, bool(reference.config.values.get("tie_word_embeddings")))
    _expect_tied_head(models, expected, explained)
    plan = _match(models, expected, explained, impossible, rules)
    return _with_generated(plan, source, target) if orders == (RowOrder.GGUF, RowOrder.HF) else plan


def _with_generated(plan: LayoutPlan, source: Model, target: Model) -> LayoutPlan:
    """The plan with the rope tensors of a GGUF source held against those that the target's config.json amounts to.

    A checkpoint has no such tensors: what it says about rope scaling would not be compared at all.
    """
    stated = {product.name: product for product in hf_to_gguf(target.geometry).products(())}
    pairs = tuple(
        TensorPair(
            name, apply_steps((), stated[name].steps, "computed from the target's rope scaling"), tensor, (name,)
        )
        for name, tensor in stored_tensors(source).items()
        if name in GENERATED and name in stated
    )
    paired = {pair.name for pair in pairs}
    explained = {name: reason for name, reason in plan.explained.items() if name not in paired}
    return replace(plan, pairs=(*plan.pairs, *pairs), explained=explained)


def model_row_order(model: Model) -> RowOrder:
    """Whose row order a model's tensors follow: that of most of its names."""
    votes = Counter(row_order(model.container, tensor.name) for tensor in model.container.tensors)
    return votes.most_common(1)[0][0] if votes else RowOrder.HF


def head_name(model: Model) -> str:
    """Canonical name of the output matrix, whether the model holds one or not."""
    return _name_of_role(model, _HEAD) or "lm_head.weight"


def embedding_name(model: Model) -> str | None:
    """Canonical name of the token embedding; None where the model has none."""
    return _name_of_role(model, _EMBEDDING)


def _name_of_role(model: Model, role: str) -> str | None:
    architecture = model.architecture
    return next((name for name in model.tensors if gguf_name(architecture, name) == role), None)


def _expect_tied_head(models: _Models, expected: dict[str, Expected], explained: dict[str, str]) -> None:
    """A tied head may be absent, a placeholder, or written out as a copy of the embedding.

    A copy in the embedding's own type is held against the product's embedding, which is held against the source: one
    fault of the embedding is not reported twice. A head that the source stores although it is tied is used when the
    source runs, in llama.cpp and in transformers 5, which ties no matrices that are stored with different values: a
    head of the product's has to hold it.
    """
    for model, side in ((models.source, "source"), (models.target, "target")):
        head = model.tensors.get(models.head)
        if models.tied and head is not None and head.is_placeholder:
            explained[models.head] = f"the {side} holds a placeholder without bytes for the tied head"
    embedding = embedding_name(models.source)
    if not models.tied or embedding is None:
        return
    if models.head not in stored_tensors(models.target):
        if models.head in expected:
            explained[models.head] = STANDS_FOR_HEAD
        return
    if models.head in expected:
        return
    own = models.target.tensors.get(embedding)
    if own is not None and own.dtype is models.target.tensors[models.head].dtype:
        view: View = Stored(own)
    else:
        view = expected[embedding].view if embedding in expected else Stored(models.source.tensors[embedding])
    expected[models.head] = Expected(Aliased(view, "tied head: a copy of the embedding"), (embedding, models.head))


def _match(
    models: _Models,
    expected: dict[str, Expected],
    explained: dict[str, str],
    impossible: dict[str, str],
    rules: LayoutRules,
) -> LayoutPlan:
    held = stored_tensors(models.target)
    pairs = [
        TensorPair(name, expected[name].view, tensor, expected[name].uses)
        for name, tensor in held.items()
        if name in expected
    ]
    paired = {pair.name for pair in pairs}
    accounted = paired | set(explained) | set(impossible)
    used = {name for item in expected.values() for name in item.uses}
    wanted = (*expected, *(name for name in stored_tensors(models.source) if name not in used))
    missing = tuple(dict.fromkeys(name for name in wanted if name not in accounted))
    return LayoutPlan(
        pairs=tuple(pairs),
        missing=missing,
        unexpected=tuple(name for name in held if name not in accounted),
        explained={name: reason for name, reason in explained.items() if name not in paired},
        impossible=impossible,
        misnamed=dict(_misnamed(models, rules)),
        no_rule="" if model_row_order(models.source) is model_row_order(models.target) else rules.note,
        conversion=Conversion(
            geometry=rules.geometry,
            target=models.target.format,
            tied=models.head not in held,
            importance_matrix=any(str(key).startswith("quantize.imatrix") for key in models.target.container.metadata),
        ),
        unpaired={name: expected[name].view for name in missing if name in expected},
    )


def _misnamed(models: _Models, rules: LayoutRules) -> Iterator[tuple[str, str]]:
    """Tensors that canonical names find and llama.cpp or transformers would not; APR's readers take both worlds' names.

    A product that keeps the names of a source of its own format is not blamed for them.
    """
    source, target = models.source, models.target
    if target.format is Format.APR or not rules.proven:
        return
    kept = {tensor.name for tensor in source.container.tensors} if source.format is target.format else set()
    for name, tensor in stored_tensors(target).items():
        wanted = gguf_name(rules.geometry.architecture, name) if target.format is Format.GGUF else name
        # transformers puts the prefix of the causal model in front where it lacks.
        without_prefix = target.format is Format.SAFETENSORS and name.partition(".")[2] == tensor.name
        if wanted is not None and tensor.name not in (wanted, *kept) and not without_prefix:
            yield name, wanted
