"""Tensors of a model in another row order than the stored one, as views: what a product must hold.

The layout plan compares these with what a product does hold; the built-in converter writes them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from aprtui.formats.container import StoredTensor
from aprtui.formats.layout.lazy_steps import apply_steps, join_split, rows_of, undo_steps
from aprtui.formats.layout.steps import Stack
from aprtui.formats.layout.transforms import LayoutRules, Product
from aprtui.formats.model import Model
from aprtui.formats.views import Reshaped, Stored, View


@dataclass(frozen=True, slots=True)
class Expected:
    """What one name must hold.

    Attributes:
        view: The view.
        uses: Canonical names of the source's tensors in it.
    """

    view: View
    uses: tuple[str, ...]


def stored_tensors(model: Model) -> dict[str, StoredTensor]:
    """Tensors with bytes of their own, by canonical name."""
    return {name: tensor for name, tensor in model.tensors.items() if not tensor.is_placeholder}


def in_gguf_order(source: Model, rules: LayoutRules, impossible: dict[str, str]) -> dict[str, Expected]:
    """The rules applied: Hugging Face's order to GGUF's, by canonical name of the product.

    Args:
        source: A model whose tensors are in Hugging Face's order.
        rules: The layout rules.
        impossible: Receives the tensors whose rule does not fit their shape.
    """
    stored = stored_tensors(source)
    expected = {}
    for product in rules.products(tuple(stored)):
        views = [Stored(stored[name]) for name in product.sources]
        try:
            view = apply_steps(views, product.steps, product.rule)
        except (ValueError, IndexError) as error:
            impossible[product.name] = f"{product.rule}: {error}"
            continue
        expected[product.name] = Expected(view, product.sources)
    return expected


def in_hf_order(
    source: Model, wanted: Sequence[str], rules: LayoutRules, impossible: dict[str, str]
) -> dict[str, Expected]:
    """The rules undone: GGUF's order to Hugging Face's, by canonical checkpoint name.

    Args:
        source: A model whose tensors are in GGUF's order.
        wanted: Checkpoint names to make where the source can; names of the source itself come on top.
        rules: The layout rules.
        impossible: Receives the tensors whose rule does not fit their shape.
    """
    views: dict[str, View] = {name: Stored(tensor) for name, tensor in stored_tensors(source).items()}
    return rules_undone(views, wanted, rules, impossible)


def rules_undone(
    views: Mapping[str, View], wanted: Sequence[str], rules: LayoutRules, impossible: dict[str, str]
) -> dict[str, Expected]:
    """The same for views in GGUF's order, by canonical name."""
    by_source: dict[str, list[Product]] = {}
    for product in rules.products(tuple(dict.fromkeys((*wanted, *views)))):
        for name in product.sources:
            by_source.setdefault(name, []).append(product)
    expected = {}
    for name, products in by_source.items():
        available = [product for product in products if product.name in views]
        if not available or (name not in wanted and name not in views):
            continue
        try:
            view = _undone(name, available, views)
        except (ValueError, IndexError) as error:
            impossible[name] = f"{products[0].rule}: {error}"
            continue
        if view is not None:
            expected[name] = Expected(view, tuple(product.name for product in available))
    return expected


def _undone(name: str, products: list[Product], views: Mapping[str, View]) -> View | None:
    first = products[0]
    whole = views[first.name]
    if first.steps and isinstance(first.steps[0], Stack):
        index = first.sources.index(name)
        return Reshaped(rows_of(whole, index, index + 1), whole.shape[1:])
    if len(products) > 1:
        return join_split([(views[part.name], part.steps) for part in products], first.rule)
    return undo_steps(whole, first.steps, f"{first.rule}, undone") if first.steps else whole
