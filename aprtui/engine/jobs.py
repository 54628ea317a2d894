"""What workers are told to do, and what they answer: read the model, convert it, compare two files.

The machinery around workers knows none of it: another kind of comparison is another `Measure`.
"""

from __future__ import annotations

import shutil
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from time import monotonic
from typing import Protocol

from aprtui.compare.behaviour import BehaviourSettings
from aprtui.compare.comparison import Scope, Told, compare_models
from aprtui.compare.self_check import check_model
from aprtui.compare.unreadable import unreadable_target
from aprtui.convert import (
    ConversionNotOfferedError,
    ConversionTimeoutError,
    ConversionVoidError,
    Converter,
    ConverterIdentity,
    read_record,
)
from aprtui.core.behaviour import LayerError
from aprtui.core.diagnosis import Diagnosis
from aprtui.core.errors import AprtuiError
from aprtui.core.events import (
    BehaviourMeasured,
    ComparisonFinished,
    ConverterFacts,
    Diagnosed,
    Event,
    LayerMeasured,
    LevelFinished,
    ProgramRun,
    ScenarioFinished,
    TensorFinished,
)
from aprtui.core.findings import LevelResult
from aprtui.core.gates import FormatLetter
from aprtui.core.json_values import from_json
from aprtui.core.outcomes import Outcome
from aprtui.core.results import Comparison, TensorResult
from aprtui.core.scenarios import PROMPTS, Backend
from aprtui.core.tolerance import ToleranceSettings
from aprtui.diagnose import diagnose, diagnose_file, with_logits
from aprtui.formats.container import Format
from aprtui.formats.digest import file_digest
from aprtui.formats.model import Model, open_model
from aprtui.formats.output_types import parse_output_type
from aprtui.inference.scenarios import EngineWanted, answers_of, facts_of, speed_of, why_absent
from aprtui.store.plan import PlannedComparison, PlannedScenario, Running

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
        programs: What the converter ran.
        kept: Whether it was made before.
    """

    path: Path
    files: Digests
    converter: ConverterFacts
    seconds: float
    programs: tuple[ProgramRun, ...] = ()
    kept: bool = False


@dataclass(frozen=True, slots=True)
class NoProduct:
    """A conversion without a product.

    Attributes:
        reason: Why there is none.
        seconds: Wall time.
        outcome: Falsified where the converter failed, Skipped where it has no such conversion, Timeout where it took
            too long, Crashed where the attempt says nothing about it.
        programs: What the converter ran.
    """

    reason: str
    seconds: float = 0.0
    outcome: Outcome = Outcome.FALSIFIED
    programs: tuple[ProgramRun, ...] = ()


@dataclass(frozen=True, slots=True)
class ModelRead:
    """Digests of what a run starts from.

    Attributes:
        files: By file of the model.
        sources: By file of each given source, by the letter of its format.
    """

    files: Digests
    sources: Mapping[str, Digests]


@dataclass(frozen=True, slots=True)
class ReadModel:
    """Read the run's model and the sources that were given: they can be opened, and these are their digests.

    Attributes:
        model: Path of the model.
        sources: Paths of the sources, by letter.
    """

    model: Path
    sources: Mapping[str, Path]

    def run(self, report: Report) -> ModelRead:
        """Digests by file."""
        del report
        sources = {letter: _digests(open_model(path)) for letter, path in self.sources.items()}
        return ModelRead(_digests(_reference(self.model)), sources)


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
            return replace(self.kept, kept=True)
        begun = monotonic()
        shutil.rmtree(self.directory, ignore_errors=True)
        self.directory.mkdir(parents=True)
        identity = _facts(self.converter.identity)
        asked_for = parse_output_type(self.asked_for)
        refusal = self.converter.not_offered(self.source, FORMATS[self.target], asked_for)
        if refusal is not None:
            return NoProduct(refusal, outcome=Outcome.SKIPPED)
        try:
            source = open_model(self.source)
        except AprtuiError as error:
            return NoProduct(f"its source cannot be opened: {error.message}", outcome=Outcome.SKIPPED)
        try:
            product = self.converter.convert(self.source, FORMATS[self.target], self.directory, asked_for)
        except MemoryError:
            raise
        except AprtuiError as error:
            outcome = _OUTCOMES.get(type(error), Outcome.FALSIFIED)
            failed = NoProduct(error.message, monotonic() - begun, outcome, _programs(self.directory))
            return _without_blame(failed, source)
        except Exception as error:
            return _without_blame(NoProduct(f"{type(error).__name__}: {error}", monotonic() - begun), source)
        seconds, programs = monotonic() - begun, _programs(self.directory)
        if not product.exists():
            return NoProduct(f"there is no product at {product}", seconds, programs=programs)
        return Product(product, _files_of_product(product), identity, seconds, programs)


def _without_blame(failed: NoProduct, source: Model) -> NoProduct:
    """A converter that fails on a source with damages has not shown anything."""
    damage = next((finding for finding in source.findings if finding.is_failure), None)
    if damage is None or failed.outcome is not Outcome.FALSIFIED:
        return failed
    reason = f"its source is damaged ({damage.subject}: {damage.message}): {failed.reason}"
    return replace(failed, reason=reason, outcome=Outcome.SKIPPED)


_OUTCOMES = {
    ConversionTimeoutError: Outcome.TIMEOUT,
    ConversionVoidError: Outcome.CRASHED,
    ConversionNotOfferedError: Outcome.SKIPPED,
}
"""What a conversion that failed comes to, where that is no fault of the converter's."""


def _programs(directory: Path) -> tuple[ProgramRun, ...]:
    """What a converter ran, from the record beside its product."""
    commands = (read_record(directory) or {}).get("commands", [])
    return tuple(from_json(ProgramRun, command) for command in commands)


@dataclass(frozen=True, slots=True)
class Compare:
    """Measure and judge a comparison.

    Attributes:
        planned: What to compare.
        model: The run's model, from which layout rules take architecture and head counts.
        files: What to open for each source and conversion that the comparison names.
        expected: What the playbook expects of the model's configuration.
        tolerances: Tolerances of the playbook in place of the rules' own.
        running: How models and tokenizers are tried.
        threads: Threads to use.
        measure: How it is done.
    """

    planned: PlannedComparison
    model: Path
    files: Mapping[str, Path]
    expected: Mapping[str, int]
    tolerances: ToleranceSettings
    running: Running
    threads: int
    measure: Measure

    def run(self, report: Report) -> ComparisonFinished:
        """Compare; tensors and levels are told as they are judged."""
        return self.measure(self, report)


@dataclass(frozen=True, slots=True)
class RunScenario:
    """Run a file in an engine.

    Attributes:
        planned: The scenario.
        path: What to open.
        running: Prompts, device, oracles, time limit.
    """

    planned: PlannedScenario
    path: Path
    running: Running

    def run(self, report: Report) -> ScenarioFinished:
        """Every prompt, or how fast the first one is continued; whatever an engine does to itself is an answer."""
        del report
        planned, running, begun = self.planned, self.running, monotonic()
        absent = why_absent(planned.engine, planned.backend, running.apr)
        device = running.device if running.device != "cpu" else "cuda"
        engine = EngineWanted(
            planned.engine,
            planned.backend,
            "cpu" if planned.backend is Backend.CPU else device,
            running.apr,
            running.prompt_seconds,
        ).make()
        try:
            facts = None if absent else facts_of(engine)
        except AprtuiError as error:
            absent = error.problem
        if absent:
            return ScenarioFinished(planned.scenario_id, Outcome.SKIPPED, absent)
        prompts = running.prompts or PROMPTS
        if planned.warmup is not None:
            speed, reason = speed_of(engine, self.path, prompts[0], planned.warmup, planned.measure)
            seconds = monotonic() - begun
            return ScenarioFinished(planned.scenario_id, None, reason, facts, speed=speed, seconds=seconds)
        answers, has_loaded = answers_of(engine, self.path, prompts, running.oracles, planned.modality)
        seconds = monotonic() - begun
        return ScenarioFinished(planned.scenario_id, None, "", facts, has_loaded, tuple(answers), seconds=seconds)


Measure = Callable[[Compare, Report], ComparisonFinished]
"""How one kind of comparison is done."""

Job = ReadModel | Convert | Compare | RunScenario
"""What a worker can be told to do."""


def measure(job: Compare, report: Report) -> ComparisonFinished:
    """Compare the two files on every level, or check the run's model alone where both sides are the model."""
    planned = job.planned

    def told(result: TensorResult | LevelResult | LayerError) -> None:
        if isinstance(result, TensorResult):
            report.event(TensorFinished(planned.comparison_id, result))
        elif isinstance(result, LevelResult):
            report.event(LevelFinished(planned.comparison_id, result))
        else:
            report.event(LayerMeasured(planned.comparison_id, result))

    diagnosis: Diagnosis | None = None
    if planned.source == planned.target:
        comparison = check_model(_reference(job.model), planned.levels, job.expected, report.progress)
        for level in comparison.levels:
            told(level)
    else:
        try:
            sources = [_opened(job, one) for one in (planned.source, *planned.via)]
        except AprtuiError as error:
            reason = f"there is no source to compare with: {error.message}"
            return ComparisonFinished(planned.comparison_id, Outcome.SKIPPED, reason)
        comparison, diagnosis = _compared(job, sources, report, told)
    if comparison.behaviour is not None:
        report.event(BehaviourMeasured(planned.comparison_id, comparison.behaviour))
    if diagnosis is not None:
        report.event(Diagnosed(planned.comparison_id, diagnosis))
    return ComparisonFinished(
        planned.comparison_id,
        comparison.outcome,
        comparison.sentence,
        seconds=comparison.seconds,
        bytes_read=comparison.bytes_read,
        not_checked=comparison.not_checked,
        embedding=comparison.embedding,
    )


def _compared(
    job: Compare, sources: Sequence[Model], report: Report, told: Told
) -> tuple[Comparison, Diagnosis | None]:
    """What was measured, and why it fails where it does."""
    planned, reference = job.planned, _reference(job.model)
    source, *via = sources
    try:
        target = _opened(job, planned.target)
    except AprtuiError as error:
        unreadable = unreadable_target(source, job.files[planned.target], error)
        for level in unreadable.levels:
            told(level)
        return unreadable, diagnose_file(unreadable, job.files[planned.target])
    scope = Scope(
        levels=planned.levels,
        tensor_globs=planned.tensors,
        asked_for=None if planned.asked_for is None else parse_output_type(planned.asked_for),
        jobs=job.threads,
        reference=reference,
        via=tuple(via),
        same_bytes=planned.same_bytes,
        tolerances=job.tolerances,
        prompts=job.running.prompts,
        running=BehaviourSettings(job.running.device),
    )
    comparison = compare_models(source, target, scope, report.progress, told)
    if comparison.outcome is not Outcome.FALSIFIED:
        return comparison, None
    try:
        explained = diagnose(source, target, comparison, scope)
        return comparison, with_logits(source, target, explained, comparison.behaviour, scope)
    except MemoryError:
        raise
    except Exception as error:
        # A verdict stands without its causes; what went wrong is in the run's stderr.log.
        traceback.print_exc()
        missing = f"causes: the diagnosis failed ({type(error).__name__}: {error})"
        return replace(comparison, not_checked=(*comparison.not_checked, missing)), None


def _opened(job: Compare, file: str) -> Model:
    path = job.files[file]
    return _reference(path) if path == job.model else open_model(path)


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
