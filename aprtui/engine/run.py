"""A playbook run: convert, compare, judge, one evidence entry per gate.

Every gate runs whatever became of the others. A conversion serves every gate that asks for the same product.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic

from aprtui.compare.comparison import Scope, compare_models
from aprtui.compare.unreadable import unreadable_target
from aprtui.compare.weights import Progress
from aprtui.convert import Converter
from aprtui.core.errors import AprtuiError, FormatError
from aprtui.core.gates import CONVERSION_PAIRS, FORMAT_NAMES, FormatLetter, Gate
from aprtui.core.outcomes import Outcome
from aprtui.core.results import Comparison
from aprtui.engine.entry import comparison_entry, plain_entry
from aprtui.formats.container import Format
from aprtui.formats.model import open_model
from aprtui.formats.output_types import parse_output_type
from aprtui.playbook import Playbook
from aprtui.report.evidence import EvidenceEntry

FORMATS = {
    FormatLetter.SAFETENSORS: Format.SAFETENSORS,
    FormatLetter.GGUF: Format.GGUF,
    FormatLetter.APR: Format.APR,
}
_LETTERS = {name: letter for letter, name in FORMATS.items()}

GateStarted = Callable[[Gate], Progress | None]


@dataclass
class Run:
    """One run of one playbook.

    Attributes:
        playbook: What to run.
        model: The model that its conversions start from.
        converter: The converter under test; None skips every conversion.
        scratch: An existing directory for products.
        jobs: Threads per comparison.
    """

    playbook: Playbook
    model: Path
    converter: Converter | None
    scratch: Path
    jobs: int = 1
    _products: dict[tuple[FormatLetter, FormatLetter], Path | AprtuiError] = field(default_factory=dict)

    def gates(self) -> tuple[Gate, ...]:
        """The pairs between the formats that the playbook names."""
        formats = set(self.playbook.model.formats)
        return tuple(gate for gate in CONVERSION_PAIRS if {gate.source, gate.target} <= formats)

    def results(self, started: GateStarted) -> Iterator[EvidenceEntry]:
        """Run the gates one after another.

        Args:
            started: Called before each gate; may return a progress callback for it.
        """
        for gate in self.gates():
            progress = started(gate)
            begun = monotonic()
            try:
                yield self._gate(gate, progress)
            except AprtuiError as error:
                yield plain_entry(self, gate, Outcome.CRASHED, error.message, begun)
            except Exception as error:
                reason = f"aprtui failed: {type(error).__name__}: {error}"
                yield plain_entry(self, gate, Outcome.CRASHED, reason, begun)

    def _gate(self, gate: Gate, progress: Progress | None) -> EvidenceEntry:
        begun = monotonic()
        if self.converter is None:
            reason = "no converter: apr is not configured; name one with --converter (builtin converts all formats)"
            return plain_entry(self, gate, Outcome.SKIPPED, reason, begun)
        source = self._source(gate.source)
        if isinstance(source, AprtuiError):
            name = FORMAT_NAMES[gate.source]
            return plain_entry(self, gate, Outcome.SKIPPED, f"no {name} source: {source.message}", begun)
        product = self._product(gate.source, gate.target, source)
        if isinstance(product, AprtuiError):
            return plain_entry(self, gate, Outcome.FALSIFIED, f"the conversion failed: {product.message}", begun)
        comparison = self._compare(source, product, progress)
        return comparison_entry(self, gate, comparison, source, product, begun)

    def _source(self, letter: FormatLetter) -> Path | AprtuiError:
        """The run's model itself, or its conversion to this format."""
        root = _LETTERS[open_model(self.model).format]
        return self.model if letter is root else self._product(root, letter, self.model)

    def _product(self, source: FormatLetter, target: FormatLetter, path: Path) -> Path | AprtuiError:
        key = (source, target)
        if key not in self._products:
            destination = self.scratch / f"{source}-{target}"
            destination.mkdir()
            assert self.converter is not None
            try:
                asked_for = parse_output_type("lossless")
                self._products[key] = self.converter.convert(path, FORMATS[target], destination, asked_for)
            except AprtuiError as error:
                self._products[key] = error
        return self._products[key]

    def _compare(self, source: Path, product: Path, progress: Progress | None) -> Comparison:
        opened = open_model(source)
        try:
            target = open_model(product)
        except FormatError as error:
            return unreadable_target(opened, product, error)
        scope = Scope(asked_for=parse_output_type("lossless"), jobs=self.jobs, reference=open_model(self.model))
        return compare_models(opened, target, scope, progress)
