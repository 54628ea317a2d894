"""What a hypothesis about a tensor says, and what an explanation is made of."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

from aprtui.core.dtypes import DType
from aprtui.core.statistics import StatisticsRecord
from aprtui.diagnose.through import ThroughBlocks
from aprtui.formats.layout.geometry import Geometry
from aprtui.formats.layout.plan import TensorPair, model_row_order
from aprtui.formats.layout.steps import PermuteRotaryRows
from aprtui.formats.layout.transforms import hf_to_gguf
from aprtui.formats.model import Model
from aprtui.formats.names import RowOrder, gguf_name
from aprtui.formats.views import View


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that went wrong.

    Attributes:
        code: Cause of the catalogue.
        detail: What is particular here ("by 16 elements"); part of the evidence.
        origin: Canonical name of the source tensor that was taken; empty where it is the right one.
    """

    code: str
    detail: str = ""
    origin: str = ""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A view of one side under some hypotheses.

    Attributes:
        steps: In the order in which they happened; none for the view as it is.
        view: The view.
    """

    steps: tuple[Step, ...]
    view: View


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a tensor is as it is: the source as the faulty conversion left it, and how the product must be read.

    Attributes:
        steps: What went wrong.
        source: What the product holds.
        target: The product's bytes as they must be read.
        whole: The record that proves it where more than one comparison of the two was needed; else None.
    """

    steps: tuple[Step, ...]
    source: View
    target: View
    whole: StatisticsRecord | None = None

    def pair(self, of: TensorPair) -> TensorPair:
        """The pair to be compared."""
        return TensorPair(of.name, self.source, of.target, of.uses, self.target)


@dataclass
class Context:
    """What the search of all tensors shares.

    Attributes:
        geometry: Of the reference.
        target: The product.
        expected: What each tensor of the product should hold, by canonical name.
        importance_matrix: The product says that one was used.
        recipes: Steps that explained other tensors, latest first: they are tried first.
        likeness: Largest correlation that any reading, order or origin of a tensor gave on its sample, by name.
    """

    geometry: Geometry
    target: Model
    expected: dict[str, View]
    importance_matrix: bool
    recipes: list[tuple[tuple[str, str], ...]] = field(default_factory=list)
    likeness: dict[str, float] = field(default_factory=dict)

    def remember(self, steps: tuple[Step, ...]) -> None:
        """Let other tensors try these steps first."""
        self.forget(steps)
        self.recipes.insert(0, recipe_of(steps))

    def forget(self, steps: tuple[Step, ...]) -> None:
        """Let no other tensor try these steps first."""
        recipe = recipe_of(steps)
        if recipe in self.recipes:
            self.recipes.remove(recipe)

    @cached_property
    def rearranged(self) -> bool:
        """Whether q and k rows of the product belong in GGUF's order, for an architecture that has one of its own."""
        if model_row_order(self.target) is not RowOrder.GGUF:
            return False
        products = hf_to_gguf(self.geometry).products(tuple(self.expected))
        return any(isinstance(step, PermuteRotaryRows) for product in products for step in product.steps)

    def through(self, dtype: DType) -> Context:
        """The same for a source that was encoded as a block type before; tensors whose rows do not fit stay."""
        expected = {
            name: view if view.columns % dtype.info.block else ThroughBlocks(view, dtype)
            for name, view in self.expected.items()
        }
        return Context(self.geometry, self.target, expected, self.importance_matrix)

    def role(self, name: str) -> str:
        """GGUF's name of a tensor, the canonical one where GGUF has none."""
        return self._roles.get(name) or gguf_name(self.geometry.architecture, name) or name

    @cached_property
    def _roles(self) -> dict[str, str]:
        return {name: gguf_name(self.geometry.architecture, name) or name for name in self.expected}


def recipe_of(steps: tuple[Step, ...]) -> tuple[tuple[str, str], ...]:
    """What identifies the same steps on another tensor."""
    return tuple((step.code, step.detail) for step in steps)
