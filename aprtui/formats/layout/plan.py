"""The layout plan: which view of the source each tensor of the target must hold.

The plan follows from formats, names and the reference's architecture and head counts, never from the weights.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from aprtui.formats.container import StoredTensor
from aprtui.formats.layout.lazy_steps import apply_steps, join_split, undo_steps
from aprtui.formats.layout.steps import Stack
from aprtui.formats.layout.transforms import LayoutRules, Product, hf_to_gguf
from aprtui.formats.model import Model
from aprtui.formats.names import RowOrder, row_order
from aprtui.formats.output_types import Conversion
from aprtui.formats.views import Aliased, Sliced, Stored, View
from aprtui.formats.views.shape import Reshaped

HEAD = "lm_head.weight"
EMBEDDINGS = ("model.embed_tokens.weight", "transformer.wte.weight", "transformer.word_embeddings.weight")


@dataclass(frozen=True, slots=True)
class TensorPair:
    """A tensor of the target and what it must hold.

    Attributes:
        name: Canonical name in the target.
        source: View of the source that the target must equal.
        target: The stored tensor.
        uses: Canonical names of the source tensors in the view.
    """

    name: str
    source: View
    target: StoredTensor
    uses: tuple[str, ...]

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
        no_rule: What a report must say where the architecture has no layout rules; else empty.
        conversion: What decides the types of the target.
    """

    pairs: tuple[TensorPair, ...]
    missing: tuple[str, ...]
    unexpected: tuple[str, ...]
    explained: Mapping[str, str]
    impossible: Mapping[str, str]
    no_rule: str
    conversion: Conversion

    def restricted(self, keeps: Callable[[str], bool]) -> LayoutPlan:
        """The plan for those names only."""
        return replace(
            self,
            pairs=tuple(pair for pair in self.pairs if keeps(pair.name)),
            missing=tuple(name for name in self.missing if keeps(name)),
            unexpected=tuple(name for name in self.unexpected if keeps(name)),
            explained={name: reason for name, reason in self.explained.items() if keeps(name)},
            impossible={name: reason for name, reason in self.impossible.items() if keeps(name)},
        )


@dataclass(frozen=True, slots=True)
class _Expected:
    """What one target name must hold."""

    view: View
    uses: tuple[str, ...]


def plan_layout(source: Model, target: Model, reference: Model) -> LayoutPlan:
    """Pair the tensors of two models.

    Args:
        source: A.
        target: B.
        reference: Where architecture and head counts come from: the root of a run, usually the source.
    """
    rules = hf_to_gguf(reference.geometry)
    orders = model_row_order(source), model_row_order(target)
    impossible: dict[str, str] = {}
    explained: dict[str, str] = {}
    if orders == (RowOrder.HF, RowOrder.GGUF):
        expected = _forwards(source, rules, impossible)
        explained.update(rules.dropped(tuple(_with_data(source))))
    elif orders == (RowOrder.GGUF, RowOrder.HF):
        expected = _backwards(source, target, rules, impossible)
        explained.update(rules.dropped(tuple(_with_data(target))))
        explained.update({product.name: product.rule for product in rules.products(()) if not product.sources})
    else:
        expected = {name: _Expected(Stored(tensor), (name,)) for name, tensor in _with_data(source).items()}
    _expect_tied_head(source, target, reference, expected, explained)
    return _match(source, target, expected, explained, impossible, rules)


def model_row_order(model: Model) -> RowOrder:
    """Whose row order a model's tensors follow: that of most of its names."""
    votes = Counter(row_order(model.container, tensor.name) for tensor in model.container.tensors)
    return votes.most_common(1)[0][0] if votes else RowOrder.HF


def embedding_of(model: Model) -> StoredTensor | None:
    """The token embedding."""
    return next((model.tensors[name] for name in EMBEDDINGS if name in model.tensors), None)


def _with_data(model: Model) -> dict[str, StoredTensor]:
    return {name: tensor for name, tensor in model.tensors.items() if not tensor.is_placeholder}


def _forwards(source: Model, rules: LayoutRules, impossible: dict[str, str]) -> dict[str, _Expected]:
    """Hugging Face's order to GGUF's."""
    stored = _with_data(source)
    expected = {}
    for product in rules.products(tuple(stored)):
        views = [Stored(stored[name]) for name in product.sources]
        try:
            view = apply_steps(views, product.steps, product.rule)
        except (ValueError, IndexError) as error:
            impossible[product.name] = f"{product.rule}: {error}"
            continue
        expected[product.name] = _Expected(view, product.sources)
    return expected


def _backwards(source: Model, target: Model, rules: LayoutRules, impossible: dict[str, str]) -> dict[str, _Expected]:
    """GGUF's order to Hugging Face's: the rules undone for the names that the target holds."""
    stored = _with_data(source)
    by_source: dict[str, list[Product]] = {}
    for product in rules.products(tuple(dict.fromkeys((*target.tensors, *stored)))):
        for name in product.sources:
            by_source.setdefault(name, []).append(product)
    expected = {}
    for name, products in by_source.items():
        available = [product for product in products if product.name in stored]
        if not available or (name not in target.tensors and name not in stored):
            continue
        try:
            view = _undone(name, available, stored)
        except (ValueError, IndexError) as error:
            impossible[name] = f"{products[0].rule}: {error}"
            continue
        if view is not None:
            expected[name] = _Expected(view, tuple(product.name for product in available))
    return expected


def _undone(name: str, products: list[Product], stored: Mapping[str, StoredTensor]) -> View | None:
    first = products[0]
    whole = Stored(stored[first.name])
    if first.steps and isinstance(first.steps[0], Stack):
        index = first.sources.index(name)
        return Reshaped(Sliced(whole, index, index + 1), whole.shape[1:])
    if len(products) > 1:
        return join_split([(Stored(stored[part.name]), part.steps) for part in products], first.rule)
    return undo_steps(whole, first.steps, f"{first.rule}, undone") if first.steps else whole


def _expect_tied_head(
    source: Model, target: Model, reference: Model, expected: dict[str, _Expected], explained: dict[str, str]
) -> None:
    """A tied head may be absent, a placeholder, or written out as a copy of the embedding."""
    for model, side in ((source, "source"), (target, "target")):
        head = model.tensors.get(HEAD)
        if head is not None and head.is_placeholder:
            explained[HEAD] = f"the {side} holds a placeholder without bytes for the tied head"
    if not reference.config.values.get("tie_word_embeddings"):
        return
    embedding = embedding_of(source)
    if HEAD in _with_data(target) and HEAD not in expected and embedding is not None:
        name = next(name for name in EMBEDDINGS if name in source.tensors)
        view = expected[name].view if name in expected else Stored(embedding)
        expected[HEAD] = _Expected(Aliased(view, "tied head: a copy of the embedding"), (name,))


def _match(
    source: Model,
    target: Model,
    expected: dict[str, _Expected],
    explained: dict[str, str],
    impossible: dict[str, str],
    rules: LayoutRules,
) -> LayoutPlan:
    held = _with_data(target)
    pairs = [
        TensorPair(name, expected[name].view, tensor, expected[name].uses)
        for name, tensor in held.items()
        if name in expected
    ]
    tied = bool(source.config.values.get("tie_word_embeddings"))
    embedding = embedding_of(target)
    if HEAD in expected and HEAD not in target.tensors and tied and embedding is not None:
        view = Aliased(expected[HEAD].view, "tied head: the target's embedding stands for it")
        pairs.append(TensorPair(HEAD, view, embedding, expected[HEAD].uses))
    paired = {pair.name for pair in pairs}
    gone = set(explained) | set(impossible)
    missing = tuple(name for name in expected if name not in paired and name not in gone)
    used = {name for item in expected.values() for name in item.uses}
    lost = tuple(name for name in _with_data(source) if name not in used and name not in expected and name not in gone)
    unexpected = tuple(name for name in held if name not in paired and name not in gone)
    context = Conversion(
        geometry=rules.geometry,
        target=target.format,
        tied=HEAD not in held,
        importance_matrix=any(str(key).startswith("quantize.imatrix") for key in target.container.metadata),
    )
    explained = {name: reason for name, reason in explained.items() if name not in paired}
    return LayoutPlan(
        tuple(pairs), tuple(dict.fromkeys((*missing, *lost))), unexpected, explained, impossible, rules.note, context
    )
