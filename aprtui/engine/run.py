"""A playbook run: convert, compare, judge, one evidence entry per gate.

Every gate runs whatever became of the others. Each model is opened and digested once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from time import monotonic

from aprtui.compare.comparison import Scope, compare_models
from aprtui.compare.unreadable import unreadable_target
from aprtui.compare.weights import Progress
from aprtui.convert import Converter
from aprtui.core.errors import AprtuiError, UsageError
from aprtui.core.gates import CONVERSION_PAIRS, FORMAT_NAMES, FormatLetter, Gate
from aprtui.core.outcomes import Outcome
from aprtui.core.results import Comparison
from aprtui.engine.conversions import FORMATS, Conversion, Conversions
from aprtui.engine.entry import EntryWriter
from aprtui.formats.digest import file_digest
from aprtui.formats.model import Model, open_model
from aprtui.formats.output_types import OutputTypes, parse_output_type
from aprtui.models import ResolvedModel
from aprtui.playbook import Playbook
from aprtui.playbook.keys import DEFAULT
from aprtui.playbook.playbook import LOSSLESS
from aprtui.report.evidence import EvidenceEntry

GateStarted = Callable[[Gate], Progress | None]

_LETTERS = {name: letter for letter, name in FORMATS.items()}
_NO_CONVERTER = "no converter: apr is not configured; name one with --converter (builtin converts all formats)"


class Run:
    """One run of one playbook.

    Args:
        playbook: What to run.
        model: The model that its conversions start from, as it was found.
        converter: The converter under test; None skips every conversion.
        scratch: An existing directory for products.
        jobs: Threads per comparison.

    Raises:
        UsageError: The playbook asks for an output type that does not exist.
    """

    def __init__(
        self, playbook: Playbook, model: ResolvedModel, converter: Converter | None, scratch: Path, *, jobs: int = 1
    ) -> None:
        self.playbook = playbook
        self.model = model.path
        self._conversions = None if converter is None else Conversions(converter, scratch)
        self._entries = EntryWriter(playbook, model, converter)
        self._jobs = jobs
        self._opened: dict[Path, Model] = {}
        self._digests: dict[Path, Mapping[str, str]] = {}
        self._outtypes = {gate.gate_id: outtype(playbook, gate) for gate in CONVERSION_PAIRS}

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
                yield self._entries.plain(gate, Outcome.CRASHED, error.message, begun=begun)
            except Exception as error:
                reason = f"aprtui failed: {type(error).__name__}: {error}"
                yield self._entries.plain(gate, Outcome.CRASHED, reason, begun=begun)

    def _gate(self, gate: Gate, progress: Progress | None) -> EvidenceEntry:
        begun = monotonic()
        if self._conversions is None:
            return self._entries.plain(gate, Outcome.SKIPPED, _NO_CONVERTER, begun=begun)
        root, asked_for = _LETTERS[self._open(self.model).format], self._outtypes[gate.gate_id]
        if gate.source is root:
            source, made = self.model, self._conversions.of_root(self.model, gate.target, asked_for)
        else:
            first_hop = self._outtypes[f"F-CONV-{root}-{gate.source}"]
            before = self._conversions.of_root(self.model, gate.source, first_hop)
            if before.product is None:
                reason = f"no {FORMAT_NAMES[gate.source]} source: its conversion failed: {before.failure}"
                return self._entries.plain(gate, Outcome.SKIPPED, reason, begun=begun, made=before)
            source, made = before.product, self._conversions.of_product(before, gate.target, asked_for)
        try:
            return self._judged(gate, source, made, begun=begun, progress=progress)
        finally:
            self._conversions.discard(made)

    def _judged(
        self, gate: Gate, source: Path, made: Conversion, *, begun: float, progress: Progress | None
    ) -> EvidenceEntry:
        digests = {"source_files": self._digest(source)}
        if made.product is None:
            reason = f"the conversion failed: {made.failure}"
            return self._entries.plain(gate, Outcome.FALSIFIED, reason, begun=begun, made=made, digests=digests)
        comparison = self._compare(gate, source, made.product, progress)
        digests["target_files"] = self._digest(made.product)
        return self._entries.compared(gate, comparison, begun=begun, made=made, digests=digests)

    def _compare(self, gate: Gate, source: Path, product: Path, progress: Progress | None) -> Comparison:
        opened = self._open(source)
        try:
            target = self._open(product)
        except AprtuiError as error:
            return unreadable_target(opened, product, error)
        settings = self.playbook.settings
        scope = Scope(
            levels=settings.levels or gate.levels,
            tensor_globs=settings.tensors,
            asked_for=self._outtypes[gate.gate_id],
            jobs=self._jobs,
            reference=self._open(self.model),
        )
        return compare_models(opened, target, scope, progress)

    def _open(self, path: Path) -> Model:
        if path not in self._opened:
            self._opened[path] = open_model(path)
        return self._opened[path]

    def _digest(self, path: Path) -> Mapping[str, str]:
        """Digest by file: of a model its files and companions, of anything else every file."""
        if path not in self._digests:
            if path in self._opened:
                container = self._opened[path].container
                files = [*container.files, *container.companions.values()]
            else:
                files = [path] if path.is_file() else sorted(file for file in path.rglob("*") if file.is_file())
            self._digests[path] = {str(file): file_digest(file) for file in dict.fromkeys(files)}
        return self._digests[path]


def outtype(playbook: Playbook, gate: Gate) -> OutputTypes:
    """The output type that a playbook asks of a pair's conversion.

    A type for all pairs that SafeTensors cannot hold leaves pairs to SafeTensors lossless.

    Raises:
        UsageError: There is no such type, or it is asked of a pair to SafeTensors by name.
    """
    text, by_name = playbook.outtype(gate.gate_id)
    file, place = playbook.place("aprtui", "outtype", gate.gate_id if by_name else DEFAULT)
    try:
        asked_for = parse_output_type(text)
    except UsageError as error:
        raise UsageError(error.problem, file=file, place=place, todo=error.todo) from None
    if gate.target is not FormatLetter.SAFETENSORS or not asked_for.needs_blocks:
        return asked_for
    if by_name:
        todo = "use lossless, f32, f16 or bf16"
        raise UsageError(f"SafeTensors cannot hold {asked_for.text}", file=file, place=place, todo=todo)
    return parse_output_type(LOSSLESS)
