"""What workers are told to do, and what they answer: read the model, convert it, check a gate.

The machinery around workers knows none of it: another kind of gate is another `GateCheck`.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from time import monotonic
from typing import Any, Protocol

from aprtui.compare.comparison import Scope, compare_models
from aprtui.compare.unreadable import unreadable_target
from aprtui.convert import ConversionTimeoutError, ConversionVoidError, Converter, ConverterIdentity
from aprtui.core.errors import AprtuiError
from aprtui.core.events import ConverterFacts, Event, LevelFinished, TensorFinished
from aprtui.core.gates import FormatLetter
from aprtui.core.outcomes import Outcome
from aprtui.core.results import Comparison
from aprtui.formats.container import Format
from aprtui.formats.digest import file_digest
from aprtui.formats.model import Model, open_model
from aprtui.formats.output_types import parse_output_type
from aprtui.gates.conversion import judge_conversion
from aprtui.store.plan import PlannedGate

FORMATS = {
    FormatLetter.SAFETENSORS: Format.SAFETENSORS,
    FormatLetter.GGUF: Format.GGUF,
    FormatLetter.APR: Format.APR,
}
"""The format that each letter of a gate's id stands for."""

Digests = Mapping[str, str]


class Report(Protocol):
    """How a job tells what it is doing."""

    def event(self, event: Event) -> None:
        """Something to write into the journal."""
        ...

    def progress(self, done: int, total: int, name: str) -> None:
        """Bytes so far, bytes in all, what was read last."""
        ...


@dataclass(frozen=True, slots=True)
class Product:
    """What a conversion made.

    Attributes:
        path: What to open.
        files: Digest by file.
        converter: Who made it.
        seconds: Wall time.
    """

    path: Path
    files: Digests
    converter: ConverterFacts
    seconds: float


@dataclass(frozen=True, slots=True)
class NoProduct:
    """A conversion without a product.

    Attributes:
        reason: Why there is none.
        seconds: Wall time.
        outcome: Falsified where the converter failed, Skipped where it has no such conversion, Timeout where it took
            too long, Crashed where the attempt says nothing about it.
    """

    reason: str
    seconds: float = 0.0
    outcome: Outcome = Outcome.FALSIFIED


@dataclass(frozen=True, slots=True)
class Measured:
    """What a gate came to.

    Attributes:
        outcome: The verdict.
        reason: One sentence.
        output: The report as text.
        details: Further values for the evidence.
    """

    outcome: Outcome
    reason: str
    output: str = ""
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ReadModel:
    """Read the run's model: it can be opened, and these are the digests of its files.

    Attributes:
        model: Its path.
    """

    model: Path

    def run(self, report: Report) -> Digests:
        """Digest by file."""
        del report
        return _digests(_reference(self.model))


@dataclass(frozen=True, slots=True)
class Convert:
    """Make a product.

    Attributes:
        converter: The converter.
        source: What to convert.
        target: Format of the product.
        asked_for: Output type.
        directory: Where the product goes; emptied before.
        kept: A product that was made before the run was resumed; taken if its files are still the same.
    """

    converter: Converter
    source: Path
    target: FormatLetter
    asked_for: str
    directory: Path
    kept: Product | None = None

    def run(self, report: Report) -> Product | NoProduct:
        """Convert, unless the product is there already."""
        del report
        if self.kept is not None and _unchanged(self.kept.files):
            return self.kept
        begun = monotonic()
        shutil.rmtree(self.directory, ignore_errors=True)
        self.directory.mkdir(parents=True)
        identity = _facts(self.converter.identity)
        asked_for = parse_output_type(self.asked_for)
        refusal = self.converter.not_offered(self.source, FORMATS[self.target], asked_for)
        if refusal is not None:
            return NoProduct(refusal, outcome=Outcome.SKIPPED)
        try:
            product = self.converter.convert(self.source, FORMATS[self.target], self.directory, asked_for)
        except MemoryError:
            raise
        except ConversionTimeoutError as error:
            return NoProduct(error.message, monotonic() - begun, Outcome.TIMEOUT)
        except ConversionVoidError as error:
            return NoProduct(error.message, monotonic() - begun, Outcome.CRASHED)
        except AprtuiError as error:
            return NoProduct(error.message, monotonic() - begun)
        except Exception as error:
            return NoProduct(f"{type(error).__name__}: {error}", monotonic() - begun)
        seconds = monotonic() - begun
        if not product.exists():
            return NoProduct(f"there is no product at {product}", seconds)
        return Product(product, _files_of_product(product), identity, seconds)


@dataclass(frozen=True, slots=True)
class CheckGate:
    """Measure and judge a gate.

    Attributes:
        planned: The gate.
        model: The run's model, from which layout rules take architecture and head counts.
        source: The source of the tested conversion.
        product: Its product.
        threads: Threads to use.
        check: How the gate is checked.
    """

    planned: PlannedGate
    model: Path
    source: Path
    product: Path
    threads: int
    check: GateCheck

    def run(self, report: Report) -> Measured:
        """Check the gate."""
        return self.check(self, report)


GateCheck = Callable[[CheckGate, Report], Measured]
"""How one kind of gate is checked."""

Job = ReadModel | Convert | CheckGate
"""What a worker can be told to do."""


def check_conversion(job: CheckGate, report: Report) -> Measured:
    """The six pairs: the product compared with its source on every level."""
    planned = job.planned
    comparison = _compared(job, report)
    for tensor in comparison.tensors:
        report.event(TensorFinished(planned.gate_id, tensor))
    for level in comparison.levels:
        report.event(LevelFinished(planned.gate_id, level))
    outcome, reason = judge_conversion(planned.gate, comparison, planned.tensors)
    output = "\n".join([comparison.sentence, *(f"{level.level}: {level.outcome}" for level in comparison.levels)])
    details = {"not_checked": list(comparison.not_checked), "asked_for": comparison.asked_for}
    return Measured(outcome, reason, output, details)


def _compared(job: CheckGate, report: Report) -> Comparison:
    reference = _reference(job.model)
    source = reference if job.source == job.model else open_model(job.source)
    try:
        target = open_model(job.product)
    except AprtuiError as error:
        return unreadable_target(source, job.product, error)
    scope = Scope(
        levels=job.planned.levels,
        tensor_globs=job.planned.tensors,
        asked_for=parse_output_type(job.planned.asked_for),
        jobs=job.threads,
        reference=reference,
    )
    return compare_models(source, target, scope, report.progress)


@lru_cache(maxsize=1)
def _reference(path: Path) -> Model:
    """The run's model, opened once by each worker."""
    return open_model(path)


def _digests(model: Model) -> Digests:
    files = [*model.container.files, *model.container.companions.values()]
    return {str(file): file_digest(file) for file in dict.fromkeys(files)}


def _files_of_product(product: Path) -> Digests:
    """Digest by file: of a model its files and companions, of anything else every file."""
    try:
        return _digests(open_model(product))
    except AprtuiError:
        files = [product] if product.is_file() else sorted(file for file in product.rglob("*") if file.is_file())
        return {str(file): file_digest(file) for file in files}


def _unchanged(files: Digests) -> bool:
    return all(Path(file).is_file() and file_digest(Path(file)) == digest for file, digest in files.items())


def _facts(identity: ConverterIdentity) -> ConverterFacts:
    return ConverterFacts(identity.name, str(identity.path), identity.version, identity.digest)
