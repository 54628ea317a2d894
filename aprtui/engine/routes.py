"""From gates to what they need: which conversions are made from what, and which files are compared."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from aprtui.core.gates import FormatLetter, Gate, GateFamily
from aprtui.core.outcomes import Level
from aprtui.formats.output_types import OutputTypes
from aprtui.store.plan import PlannedComparison, PlannedConversion, PlannedGate

_OF_MODEL = (Level.INTEGRITY, Level.STRUCTURE, Level.METADATA)
_PULL, _WORKSPACE = "G0-PULL-001", "G0-FORMAT-WORKSPACE-001"
EXACT_OUTTYPES = ("lossless", "f32")
"""Output types that keep every value of a checkpoint or of blocks."""

AGAIN = "#2"
"""End of the id of a conversion that is made a second time."""


@dataclass
class Routes:
    """The conversions and comparisons that gates need; each is entered once.

    Attributes:
        root: Letter of the run's model.
        given: Letters of sources that need no conversion.
        pairs: The pairs that the run has, in their order.
        levels: Levels to check.
        tensors: Patterns of the tensors to compare; empty for all.
        outtype: Output type of a conversion between two formats.
        size: Bytes of a product, from the bytes of its source and the output type.
        sizes: Bytes of the model and of given sources.
        expects: Whether the playbook expects anything of the model's configuration.
    """

    root: FormatLetter
    given: frozenset[FormatLetter]
    pairs: tuple[Gate, ...]
    levels: tuple[Level, ...]
    tensors: tuple[str, ...]
    outtype: Callable[[FormatLetter, FormatLetter], OutputTypes]
    size: Callable[[int, OutputTypes], int]
    sizes: Mapping[FormatLetter, int]
    expects: bool
    conversions: dict[str, PlannedConversion] = field(default_factory=dict)
    comparisons: dict[str, PlannedComparison] = field(default_factory=dict)

    def plan(self, gate: Gate) -> PlannedGate:
        """Enter what a gate needs."""
        levels = tuple(level for level in gate.levels if level in self.levels)
        asked_for = self.outtype(gate.source, gate.target).text if gate.family is GateFamily.PAIR else None
        return PlannedGate(gate.gate_id, tuple(self._comparisons_of(gate)), levels, asked_for)

    def _comparisons_of(self, gate: Gate) -> list[str]:
        if gate.family is GateFamily.PAIR:
            return self._of_pair(gate)
        if gate.family is GateFamily.ROUND_TRIP:
            return self._of_round_trip(gate.routes[0])
        if gate.family is GateFamily.TWO_ROUTES:
            return [self._of_two_routes(*gate.routes)]
        if gate.family is GateFamily.CONTRACT:
            return [self._main(gate)]
        if gate.family is GateFamily.CONTENT:
            of_model = [self._of_model()] if self.expects and Level.METADATA in gate.levels else []
            return [*of_model, *(self._main(pair) for pair in self.pairs)]
        if gate.routes:
            return [self._with_model(self.source(gate.target))]
        return [] if gate.gate_id in (_PULL, _WORKSPACE) else [self._of_model()]

    def source(self, letter: FormatLetter) -> str:
        """What conversions from a format start from: the model, a given source, or the model's own conversion."""
        if letter is self.root or letter in self.given:
            return letter.value
        return self._convert(self.root.value, letter)

    def _of_pair(self, gate: Gate) -> list[str]:
        source = self.source(gate.source)
        main = self._main(gate)
        if source == self.root:
            return [main]
        product = self.comparisons[main].target
        with_model = self._compare(self.root.value, product, via=self._way(self.root.value, product))
        return [main, with_model, self._with_model(source)]

    def _main(self, gate: Gate) -> str:
        """A product and its source."""
        source = self.source(gate.source)
        product = self._convert(source, gate.target)
        return self._compare(source, product, asked_for=self.conversions[product].asked_for)

    def _with_model(self, source: str) -> str:
        """A source of pairs and the model."""
        asked_for = self.conversions[source].asked_for if source in self.conversions else None
        return self._compare(self.root.value, source, asked_for=asked_for)

    def _of_round_trip(self, route: str) -> list[str]:
        first = file = self.source(FormatLetter(route[0]))
        hops = []
        for letter in route[1:]:
            product = self._convert(file, FormatLetter(letter))
            hops.append(self._compare(file, product, asked_for=self.conversions[product].asked_for))
            file = product
        return [*hops, self._compare(first, file, via=self._way(first, file))]

    def _of_two_routes(self, one: str, other: str) -> str:
        """Both ends; what is converted for this is converted anew, unless a round trip is asked for."""
        source = self.source(FormatLetter(one[0]))
        first = self._along(source, one[1:])
        if one == other:
            second = self._again(first)
            return self._compare(first, second, same_bytes=True)
        second = self._along(source, other[1:])
        way = self._way(first, second)
        if not way:
            self._make_fresh(source, first)
            self._make_fresh(source, second)
            if self.conversions[first].asked_for not in EXACT_OUTTYPES:
                first, second = second, first  # The side that lost less is the one that the other is held against.
        return self._compare(first, second, via=way, same_bytes=True)

    def _along(self, file: str, letters: str) -> str:
        for letter in letters:
            file = self._convert(file, FormatLetter(letter))
        return file

    def _again(self, conversion: str) -> str:
        first = self.conversions[conversion]
        self.conversions[conversion] = replace(first, fresh=True)
        second = replace(first, conversion_id=conversion + AGAIN, fresh=True)
        self.conversions[second.conversion_id] = second
        return second.conversion_id

    def _make_fresh(self, source: str, product: str) -> None:
        while product != source:
            self.conversions[product] = replace(self.conversions[product], fresh=True)
            product = self.conversions[product].source

    def _of_model(self) -> str:
        model = self.root.value
        return self._enter(PlannedComparison(f"{model}~{model}", model, model, levels=_OF_MODEL))

    def _convert(self, source: str, target: FormatLetter) -> str:
        conversion = f"{source}>{target}"
        asked_for = self.outtype(FormatLetter(source[-1]), target)
        planned = PlannedConversion(
            conversion, source, target, asked_for.text, estimated_bytes=self.size(self._bytes(source), asked_for)
        )
        return self.conversions.setdefault(conversion, planned).conversion_id

    def _compare(
        self,
        source: str,
        target: str,
        *,
        via: tuple[str, ...] = (),
        asked_for: str | None = None,
        same_bytes: bool = False,
    ) -> str:
        return self._enter(
            PlannedComparison(
                f"{source}~{target}",
                source,
                target,
                via,
                self.levels,
                self.tensors,
                asked_for,
                same_bytes,
                self._bytes(source) + self._bytes(target),
            )
        )

    def _enter(self, comparison: PlannedComparison) -> str:
        return self.comparisons.setdefault(comparison.comparison_id, comparison).comparison_id

    def _way(self, first: str, last: str) -> tuple[str, ...]:
        """What lies between two files of one chain; empty where the second was not made from the first."""
        way: list[str] = []
        while last in self.conversions and last != first:
            last = self.conversions[last].source
            way.append(last)
        return tuple(way[-2::-1]) if last == first else self._from_given(first, last, way)

    def _from_given(self, first: str, last: str, way: list[str]) -> tuple[str, ...]:
        """A chain from a given source continues the model: the source itself lies on the way."""
        return tuple(way[::-1]) if first == self.root and last in self.given else ()

    def _bytes(self, file: str) -> int:
        if file in self.conversions:
            return self.conversions[file].estimated_bytes
        return self.sizes.get(FormatLetter(file), 0)
