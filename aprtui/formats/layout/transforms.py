"""From a checkpoint's tensors to the tensors that GGUF must hold: sources and steps per tensor.

Rules depend on architecture, names and head counts alone. A rule that looked at data would forgive faults.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from aprtui.formats.layout.geometry import Geometry
from aprtui.formats.layout.rope_tensors import rope_tensors
from aprtui.formats.layout.rules import DROPPED, DROPPED_EVERYWHERE, RULES, SPLITS, Rule
from aprtui.formats.layout.steps import Stack, Step, Values
from aprtui.formats.names.templates import model_type_of, parse, stacked


@dataclass(frozen=True, slots=True)
class Product:
    """One tensor on the GGUF side.

    Attributes:
        name: Its canonical name; the GGUF name for a tensor that no checkpoint has.
        sources: Canonical names of the checkpoint's tensors that it is made of; none for a generated tensor.
        steps: What happens to the sources, in order; the first step joins several sources.
        rule: The change for a reader; empty where the tensor is taken over as it is.
    """

    name: str
    sources: tuple[str, ...]
    steps: tuple[Step, ...] = ()
    rule: str = ""


@dataclass(frozen=True, slots=True)
class LayoutRules:
    """The layout rules of one model.

    Attributes:
        geometry: The model's dimensions.
        model_type: The architecture's key in the tables, None for an unknown one.
    """

    geometry: Geometry
    model_type: str | None

    @property
    def proven(self) -> bool:
        """Whether the architecture has rules; without them tensors are compared as they are stored."""
        return self.model_type in RULES

    @property
    def note(self) -> str:
        """What a report must say about unproven rules; empty where they are proven."""
        if self.proven:
            return ""
        return f"no layout rule for architecture {self.geometry.architecture}: rows compared as stored"

    def dropped(self, canonical_names: Collection[str]) -> dict[str, str]:
        """Tensors of a checkpoint that GGUF leaves out.

        Returns:
            Canonical name -> reason.
        """
        endings = DROPPED.get(self.model_type or "", DROPPED_EVERYWHERE)
        reasons = ((name, _by_ending(name, endings)) for name in canonical_names)
        return {name: reason for name, reason in reasons if reason is not None}

    def products(self, canonical_names: Collection[str]) -> list[Product]:
        """The tensors that GGUF must hold for a checkpoint with these tensors, in the checkpoint's order.

        A stack is made of those experts that are there; where some are missing, its shape shows it.

        Args:
            canonical_names: Canonical names of all tensors of the checkpoint.
        """
        if not self.proven:
            return [Product(name, (name,)) for name in canonical_names]
        left_out = self.dropped(canonical_names)
        stacks: dict[str, list[tuple[str, str]]] = {}
        products: dict[str, Product | None] = {}
        for name in canonical_names:
            if name in left_out:
                continue
            parsed = parse(name)
            together = stacked(parsed.template)
            if together != parsed.template:
                joint = parsed.fill(together)
                stacks.setdefault(joint, []).append((parsed.indices[1], name))
                products[joint] = None
            else:
                for product in self._of_one(name):
                    # A name that the source of a split accounts for is that split's part, not a tensor of its own.
                    if product.name not in products or product.sources != (product.name,):
                        products[product.name] = product
        products.update((joint, _stack(joint, members)) for joint, members in stacks.items())
        return [product for product in products.values() if product is not None] + self._generated()

    def _of_one(self, name: str) -> Iterator[Product]:
        split = SPLITS.get(self.model_type or "")
        if split is not None and name.endswith(split.ending):
            for ending, rule in split.parts:
                yield self._apply(name.removesuffix(split.ending) + ending, name, rule)
            return
        rules = RULES[self.model_type or ""]
        matching = next((rule for rule in rules if name.endswith(rule.endings)), None)
        yield Product(name, (name,)) if matching is None else self._apply(name, name, matching)

    def _apply(self, name: str, source: str, rule: Rule) -> Product:
        steps = rule.steps(self.geometry)
        return Product(name, (source,), steps, rule.text.format(g=self.geometry) if steps else "")

    def _generated(self) -> list[Product]:
        tensors = rope_tensors(self.model_type or "", self.geometry.rope, self.geometry.head_dim)
        return [Product(name, (), (Values(values),), rule) for name, (values, rule) in tensors.items()]


def hf_to_gguf(geometry: Geometry) -> LayoutRules:
    """The rules that lead from a checkpoint to GGUF.

    Args:
        geometry: The reference model's dimensions; an architecture without rules gets unproven ones.
    """
    return LayoutRules(geometry, model_type_of(geometry.architecture))


def _by_ending(name: str, endings: dict[str, str]) -> str | None:
    return next((reason for ending, reason in endings.items() if name.endswith(ending)), None)


def _stack(name: str, members: list[tuple[str, str]]) -> Product:
    sources = tuple(member for _, member in sorted(members, key=lambda pair: (len(pair[0]), pair)))
    kind = "experts" if ".experts." in sources[0] else "heads' norms"
    return Product(name, sources, (Stack(),), f"{len(sources)} {kind} stacked")
