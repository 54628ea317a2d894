"""What a run is going to do, as it stands in plan.json: enough to show the run and to go on with it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from aprtui.core.events import ConverterFacts
from aprtui.core.gate_table import gate_of
from aprtui.core.gates import Gate
from aprtui.core.outcomes import Level
from aprtui.core.scenarios import (
    ALL_ORACLES,
    NO_LIMITS,
    SECONDS_OF_A_PROMPT,
    Backend,
    EngineName,
    Modality,
    Oracles,
    SpeedLimits,
)
from aprtui.core.tolerance import ToleranceSettings


@dataclass(frozen=True, slots=True)
class PlannedConversion:
    """One conversion; made once, whichever comparisons need its product.

    Attributes:
        conversion_id: Id of the source, ">" and the letter of the product's format: "S>G", "S>G>A". A second conversion
            of the same has "#2" at its end.
        source: What is converted: the letter of the run's model or of a source that was given, or another conversion.
        target: Letter of the product's format.
        asked_for: Output type.
        fresh: Whether an earlier run's product must not serve: its gate asks whether converting gives the same twice.
        estimated_bytes: Size of the product, estimated from the source and the output type.
    """

    conversion_id: str
    source: str
    target: str
    asked_for: str
    fresh: bool = False
    estimated_bytes: int = 0


@dataclass(frozen=True, slots=True)
class PlannedComparison:
    """One comparison of two files, or of the run's model with what it says of itself.

    Attributes:
        comparison_id: Ids of both sides with "~" between them; the letter of the model alone where it is checked
            against itself.
        source: What is right: the letter of the run's model or of a given source, or a conversion.
        target: What is compared with it.
        via: Conversions between the two, in their order, where the target was made from the source in several hops.
        levels: Levels to check.
        tensors: Patterns of the tensors to compare; empty for all.
        asked_for: Output type that the target's types are judged under; None where they are judged hop by hop.
        same_bytes: Whether tensors of one type have to hold the same bytes.
        estimated_bytes: Bytes to read, estimated.
    """

    comparison_id: str
    source: str
    target: str
    via: tuple[str, ...] = ()
    levels: tuple[Level, ...] = ()
    tensors: tuple[str, ...] = ()
    asked_for: str | None = None
    same_bytes: bool = False
    estimated_bytes: int = 0

    @property
    def step(self) -> str:
        """Its id."""
        return self.comparison_id

    @property
    def files(self) -> tuple[str, ...]:
        """Everything that has to be there: sources and conversions."""
        return tuple(dict.fromkeys((self.source, *self.via, self.target)))


@dataclass(frozen=True, slots=True)
class PlannedScenario:
    """One file in one engine, on all prompts.

    Attributes:
        scenario_id: Id of the file, "@", the engine, ":" and the backend; behind it ":speed" where time is measured,
            ":chat" where prompts are put into a chat template.
        file: What is run: the letter of the run's model or of a given source, or a conversion.
        engine: What runs it.
        backend: What that runs on.
        warmup: Runs before those that are measured; None where no time is measured.
        measure: Runs that are measured.
        modality: How the file is talked to.
    """

    scenario_id: str
    file: str
    engine: EngineName
    backend: Backend
    warmup: int | None = None
    measure: int = 0
    modality: Modality = Modality.RUN

    @property
    def step(self) -> str:
        """Its id."""
        return self.scenario_id

    @property
    def files(self) -> tuple[str, ...]:
        """What has to be there."""
        return (self.file,)

    @property
    def is_timed(self) -> bool:
        """Whether it needs the machine for itself."""
        return self.warmup is not None


PlannedStep = PlannedComparison | PlannedScenario
"""What a gate can be judged from."""


@dataclass(frozen=True, slots=True)
class PlannedGate:
    """One gate.

    Attributes:
        gate_id: Row of the table of gates.
        comparisons: Ids of the comparisons that it is judged from, the decisive one first: of a pair the product with
            its source, of a round trip its hops in their order and then both ends.
        levels: Levels that it asks for.
        asked_for: Output type of the tested conversion; None where it tests none or several.
        scenarios: Ids of the scenarios that it is judged from.
    """

    gate_id: str
    comparisons: tuple[str, ...]
    levels: tuple[Level, ...] = ()
    asked_for: str | None = None
    scenarios: tuple[str, ...] = ()

    @property
    def steps(self) -> tuple[str, ...]:
        """Ids of everything that it is judged from."""
        return (*self.comparisons, *self.scenarios)

    @property
    def gate(self) -> Gate:
        """Its row of the table."""
        return gate_of(self.gate_id)


@dataclass(frozen=True, slots=True)
class NotPlanned:
    """A gate that this run does not have, and why.

    Attributes:
        gate_id: Row of the table of gates, or a gate of apr-qa that is never planned.
        reason: One sentence.
    """

    gate_id: str
    reason: str


@dataclass(frozen=True, slots=True)
class SourceFacts:
    """A file that pairs start from instead of one that the converter makes.

    Attributes:
        letter: Of its format.
        path: What to open.
        how: Whether it was given or found, and where.
        nbytes: Size of its tensors.
    """

    letter: str
    path: str
    how: str
    nbytes: int = 0


@dataclass(frozen=True, slots=True)
class PlaybookFacts:
    """What evidence says of the playbook.

    Attributes:
        path: The file.
        name: Its name.
        version: Its version.
        repo: "org/name" of the model.
        seed: Seed of its scenarios.
        allow_skip: Ids of gates that may be Skipped.
        digest: Of the file, as it was when the plan was made.
        fingerprint: Of everything in it that a run follows from except the tolerances.
    """

    path: str
    name: str
    version: str
    repo: str
    seed: int
    allow_skip: tuple[str, ...] = ()
    digest: str = ""
    fingerprint: str = ""


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """The run's model, as it was found.

    Attributes:
        path: What to open.
        how: Which rule found it.
        commit: Of its repository, where that is known.
        letter: Of its format.
        expected: What the playbook expects of its configuration, by canonical key.
        nbytes: Size of its tensors.
    """

    path: str
    how: str
    commit: str | None
    letter: str = "S"
    expected: Mapping[str, int] = field(default_factory=dict)
    nbytes: int = 0


@dataclass(frozen=True, slots=True)
class Limits:
    """What a run may use; verdicts do not depend on it.

    Attributes:
        jobs: Threads in all.
        gate_seconds: Longest time of one gate or conversion; None for no limit.
        run_seconds: Longest time of the whole run; None for no limit.
    """

    jobs: int = 1
    gate_seconds: float | None = None
    run_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Running:
    """How models and tokenizers are tried.

    Attributes:
        prompts: Texts beside those that are built in.
        device: "cpu", "cuda" or "cuda:N".
        oracles: What judges the answers of scenarios.
        prompt_seconds: Longest time of one prompt in an engine.
        apr: The command that the engine apr runs.
        speed: How fast engines have to generate.
    """

    prompts: tuple[str, ...] = ()
    device: str = "cpu"
    oracles: Oracles = ALL_ORACLES
    prompt_seconds: float = SECONDS_OF_A_PROMPT
    apr: str = "apr"
    speed: SpeedLimits = NO_LIMITS


@dataclass(frozen=True, slots=True)
class RunPlan:
    """A run.

    Attributes:
        run_id: Time and random digits.
        playbook: The playbook.
        model: The model.
        sources: Files that pairs start from instead of ones that the converter makes.
        converter: The converter; None skips every gate that needs a conversion.
        gates: In the order in which they are judged.
        comparisons: What they are judged from.
        conversions: In an order in which each can be made.
        not_planned: Gates that this run does not have.
        tolerances: The playbook's own tolerances, as they were when the plan was made.
        selection: What the run was narrowed to, as arguments of the command; empty for the whole playbook.
        limits: Resources.
        evidence: Where evidence.json goes, beside the one in the run folder.
        scratch: Where products go.
        keeps_products: Whether products stay in `scratch` for later runs.
        ignores_kept: Whether products that earlier runs left there are passed over.
        aprtui_version: Version that made the plan.
        rules_version: Version of tolerances and layout rules.
        running: How models and tokenizers are tried.
        scenarios: Files that engines run.
        engines_left_out: Engines that this machine does not have and nobody named, with what is missing.
    """

    run_id: str
    playbook: PlaybookFacts
    model: ModelFacts
    sources: tuple[SourceFacts, ...]
    converter: ConverterFacts | None
    gates: tuple[PlannedGate, ...]
    comparisons: tuple[PlannedComparison, ...]
    conversions: tuple[PlannedConversion, ...]
    not_planned: tuple[NotPlanned, ...]
    tolerances: ToleranceSettings
    selection: tuple[str, ...]
    limits: Limits
    evidence: str
    scratch: str
    keeps_products: bool
    ignores_kept: bool
    aprtui_version: str
    rules_version: str
    running: Running = Running()
    scenarios: tuple[PlannedScenario, ...] = ()
    engines_left_out: tuple[str, ...] = ()

    @property
    def started_with(self) -> tuple[str, ...]:
        """Arguments that name what the run is about: playbook, model, sources that were given, converter."""
        arguments = ["run", self.playbook.path, "--model", self.model.path]
        for source in self.sources:
            if source.how.startswith("given"):
                arguments += ["--source", source.path]
        if self.converter is not None:
            arguments += ["--converter", self.converter.name]
        return tuple(arguments)

    @property
    def steps(self) -> tuple[PlannedStep, ...]:
        """Comparisons and scenarios in the order of the work.

        A file runs before its product is deleted, behind the first comparison of it; time is measured at the end.
        """
        untimed = [one for one in self.scenarios if not one.is_timed]
        found: dict[str, PlannedStep] = {one.step: one for one in untimed if ">" not in one.file}
        for comparison in self.comparisons:
            found[comparison.step] = comparison
            found.update((one.step, one) for one in untimed if one.file == comparison.target)
        found.update((one.step, one) for one in (*untimed, *self.scenarios))
        return tuple(found.values())

    @property
    def peak_bytes(self) -> int:
        """Most bytes of products that are there at the same time, if one conversion is made after the other."""
        return peak_bytes(self)


def peak_bytes(plan: RunPlan) -> int:
    """The largest sum of products that lie on the disk at one moment: each until the last comparison that needs it."""
    sizes = {one.conversion_id: one.estimated_bytes for one in plan.conversions}
    if plan.keeps_products:
        return sum(sizes.values())
    sources = {one.conversion_id: one.source for one in plan.conversions}
    left = [set(_with_sources(one.files, sources)) for one in plan.steps]
    there: set[str] = set()
    peak = 0
    for number, needed in enumerate(left):
        there |= needed
        peak = max(peak, sum(sizes[one] for one in there))
        there &= set().union(*left[number + 1 :])
    return peak


def _with_sources(files: Iterable[str], sources: Mapping[str, str]) -> Iterator[str]:
    for file in files:
        step = file
        while step in sources:
            yield step
            step = sources[step]
