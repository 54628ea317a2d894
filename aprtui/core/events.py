"""What happens in a run, as a closed set of facts: the lines of its journal.

The engine writes them, everything else reads them: a run's verdicts and its evidence follow from them alone.
They hold scalars and texts, never arrays of weights.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from aprtui.core.behaviour import Behaviour, LayerError
from aprtui.core.diagnosis import Diagnosis
from aprtui.core.findings import LevelResult
from aprtui.core.json_values import from_json, to_json
from aprtui.core.outcomes import Outcome
from aprtui.core.results import TensorResult
from aprtui.core.scenarios import Answer, EngineFacts, Speed
from aprtui.core.tolerance import ToleranceSettings

JOURNAL_VERSION = 2
"""Version of the lines; a reader passes over lines of a version that it does not know."""


@dataclass(frozen=True, slots=True)
class ConverterFacts:
    """A converter as it was when it was used.

    Attributes:
        name: As on the command line.
        path: The program.
        version: As it says itself.
        digest: Of its files.
    """

    name: str
    path: str
    version: str
    digest: str


@dataclass(frozen=True, slots=True)
class ProgramRun:
    """A program that a conversion ran.

    Attributes:
        arguments: Program and arguments.
        exit_code: As the system gave it; the negative number of the signal that ended it.
        seconds: Wall time.
        timed_out: It was ended at its time limit.
        last_lines: What it printed last.
    """

    arguments: tuple[str, ...]
    exit_code: int
    seconds: float
    timed_out: bool = False
    last_lines: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RunStarted:
    """An engine began, or went on with a run that had ended early.

    Attributes:
        host: Machine.
        pid: The engine's process.
        resumed: Whether the run had begun before.
    """

    host: str
    pid: int
    resumed: bool = False


@dataclass(frozen=True, slots=True)
class ModelOpened:
    """The run's model was read, and the sources that were given.

    Attributes:
        files: Digest by file of the model.
        sources: Digests by file of each source that was given or found, by the letter of its format.
    """

    files: Mapping[str, str]
    sources: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class WorkspaceChecked:
    """Whether there is room for products.

    Attributes:
        path: The directory for products.
        free_bytes: Free space on its disk.
        needed_bytes: Most bytes of products that are there at the same time, as the plan estimates them.
        problem: Why nothing can be converted; empty where something can.
    """

    path: str
    free_bytes: int
    needed_bytes: int
    problem: str = ""


@dataclass(frozen=True, slots=True)
class RunResumed:
    """What was taken over from before; everything else runs again.

    Attributes:
        gates: Ids of the gates whose verdicts stand.
        reason: Why nothing could be taken over; empty where something could.
        comparisons: Ids of the comparisons whose results stand.
        scenarios: Ids of the scenarios whose results stand.
    """

    gates: tuple[str, ...]
    reason: str = ""
    comparisons: tuple[str, ...] = ()
    scenarios: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ConversionStarted:
    """A converter was started.

    Attributes:
        conversion: Id in the plan.
        worker: Number of the worker.
    """

    conversion: str
    worker: int


@dataclass(frozen=True, slots=True)
class ConversionFinished:
    """A product is there.

    Attributes:
        conversion: Id in the plan.
        product: What to open.
        files: Digest by file of the product.
        commands: Command lines that lead from the run's model to the product.
        converter: Who made it.
        seconds: Wall time.
        programs: What the converter ran; empty where it is no program, or where the product was kept from before.
        kept: Whether an earlier run made the product.
    """

    conversion: str
    product: str
    files: Mapping[str, str]
    commands: tuple[str, ...]
    converter: ConverterFacts
    seconds: float
    programs: tuple[ProgramRun, ...] = ()
    kept: bool = False


@dataclass(frozen=True, slots=True)
class ConversionFailed:
    """There is no product.

    Attributes:
        conversion: Id in the plan.
        outcome: Falsified where the converter failed, Crashed or Timeout where the worker did not live to tell.
        reason: One sentence.
        commands: As in `ConversionFinished`.
        seconds: Wall time.
        stderr: Last lines of a worker that died.
        programs: As in `ConversionFinished`.
    """

    conversion: str
    outcome: Outcome
    reason: str
    commands: tuple[str, ...] = ()
    seconds: float = 0.0
    stderr: str | None = None
    programs: tuple[ProgramRun, ...] = ()


@dataclass(frozen=True, slots=True)
class ComparisonStarted:
    """A comparison began to measure; what was measured for it before is void.

    Attributes:
        comparison: Id in the plan.
        worker: Number of the worker.
    """

    comparison: str
    worker: int


@dataclass(frozen=True, slots=True)
class TensorFinished:
    """One tensor of a comparison: the statistics record, the tolerance, the judgement.

    Attributes:
        comparison: Id in the plan.
        tensor: The result.
    """

    comparison: str
    tensor: TensorResult


@dataclass(frozen=True, slots=True)
class LevelFinished:
    """One level of a comparison.

    Attributes:
        comparison: Id in the plan.
        level: The result with its findings.
    """

    comparison: str
    level: LevelResult


@dataclass(frozen=True, slots=True)
class LayerMeasured:
    """One part of a product was held to the same part of its source; the next ones still run.

    Attributes:
        comparison: Id in the plan.
        layer: Its errors.
    """

    comparison: str
    layer: LayerError


@dataclass(frozen=True, slots=True)
class BehaviourMeasured:
    """What both models of a comparison do: logits, layers, text.

    Attributes:
        comparison: Id in the plan.
        behaviour: What was measured.
    """

    comparison: str
    behaviour: Behaviour


@dataclass(frozen=True, slots=True)
class Diagnosed:
    """Why a comparison fails, by named causes.

    Attributes:
        comparison: Id in the plan.
        diagnosis: Questions, causes, and what is left.
    """

    comparison: str
    diagnosis: Diagnosis


@dataclass(frozen=True, slots=True)
class ComparisonFinished:
    """A comparison has come to its end.

    Attributes:
        comparison: Id in the plan.
        outcome: Of its worst level; Skipped where a file to compare was not made, Crashed or Timeout where the worker
            did not live to tell.
        reason: One sentence.
        seconds: Wall time.
        bytes_read: Bytes of both sides that were compared.
        not_checked: What nobody looked at, with the reason.
        embedding: Canonical names of embedding and output matrix.
        lacks: Id of the conversion that left no product; empty where both sides were there.
        stderr: Last lines that a worker wrote before it died.
    """

    comparison: str
    outcome: Outcome
    reason: str
    seconds: float = 0.0
    bytes_read: int = 0
    not_checked: tuple[str, ...] = ()
    embedding: tuple[str, ...] = ()
    lacks: str = ""
    stderr: str | None = None


@dataclass(frozen=True, slots=True)
class ScenarioStarted:
    """An engine was given a file; what it answered before is void.

    Attributes:
        scenario: Id in the plan.
        worker: Number of the worker.
    """

    scenario: str
    worker: int


@dataclass(frozen=True, slots=True)
class ScenarioFinished:
    """What an engine made of a file.

    Attributes:
        scenario: Id in the plan.
        absent: What became of it where the engine did not get to run the file: Skipped where file or engine is missing,
            Crashed or Timeout where the worker did not live to tell; None where it ran.
        reason: Why it did not run, or why there is no speed; empty otherwise.
        engine: Who ran; None where nobody did.
        has_loaded: Whether the engine loaded the file; None where it does not tell.
        answers: One for each prompt.
        speed: How fast it generates, where that was measured.
        seconds: Wall time.
        lacks: Id of the conversion that left no file; empty where there is one.
        stderr: Last lines that a worker wrote before it died.
    """

    scenario: str
    absent: Outcome | None = None
    reason: str = ""
    engine: EngineFacts | None = None
    has_loaded: bool | None = None
    answers: tuple[Answer, ...] = ()
    speed: Speed | None = None
    seconds: float = 0.0
    lacks: str = ""
    stderr: str | None = None


@dataclass(frozen=True, slots=True)
class TolerancesChanged:
    """Tolerances of the playbook became others; what was measured is judged again from its scalars.

    Attributes:
        tolerances: The ones that hold from here on.
    """

    tolerances: ToleranceSettings


AUDIT = "audit"
"""Detail of a verdict that was read from stored evidence: what an audit finds it to be worth."""


@dataclass(frozen=True, slots=True)
class GateFinished:
    """A gate's verdict.

    Attributes:
        gate: Id.
        outcome: What became of it.
        reason: One sentence.
        entry_id: Of its evidence entry.
        duration_ms: Wall time of its comparisons and of the conversions that it tests.
        output: The report as text.
        details: What the evidence says beside levels and tensors: digests, commands, where a tensor changed.
        stderr: Last lines that a worker wrote before it died.
    """

    gate: str
    outcome: Outcome
    reason: str
    entry_id: str
    duration_ms: int
    output: str = ""
    details: Mapping[str, Any] = field(default_factory=dict)
    stderr: str | None = None


@dataclass(frozen=True, slots=True)
class WorkerDied:
    """A worker ended although it had something to do.

    Attributes:
        worker: Its number.
        pid: Its process.
        step: What it was doing: the id of a gate or a conversion.
        reason: Signal, exit code or time limit, as one sentence.
        last_lines: What it wrote last to standard error.
    """

    worker: int
    pid: int
    step: str
    reason: str
    last_lines: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """The engine lives; every five seconds.

    Attributes:
        running: Ids of what workers are doing.
    """

    running: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RunFinished:
    """Every gate has its verdict.

    Attributes:
        exit_code: Of the run.
    """

    exit_code: int


@dataclass(frozen=True, slots=True)
class RunInterrupted:
    """The run ended early and can be resumed.

    Attributes:
        reason: Who or what ended it.
    """

    reason: str


Event = (
    RunStarted
    | ModelOpened
    | WorkspaceChecked
    | RunResumed
    | ConversionStarted
    | ConversionFinished
    | ConversionFailed
    | ComparisonStarted
    | TensorFinished
    | LevelFinished
    | LayerMeasured
    | BehaviourMeasured
    | Diagnosed
    | ComparisonFinished
    | ScenarioStarted
    | ScenarioFinished
    | TolerancesChanged
    | GateFinished
    | WorkerDied
    | Heartbeat
    | RunFinished
    | RunInterrupted
)

_KINDS: Mapping[str, type[Event]] = {kind.__name__: kind for kind in Event.__args__}


@dataclass(frozen=True, slots=True)
class JournalLine:
    """One line of a journal.

    Attributes:
        run: Id of the run.
        number: Position in the run's journal, from 0 without gaps.
        time: When it happened.
        event: What happened.
    """

    run: str
    number: int
    time: datetime
    event: Event

    def to_bytes(self) -> bytes:
        """The line with its end."""
        head = {"v": JOURNAL_VERSION, "run": self.run, "seq": self.number, "time": self.time.isoformat()}
        line = head | {"kind": type(self.event).__name__} | to_json(self.event)
        return json.dumps(line, separators=(",", ":"), allow_nan=False).encode() + b"\n"

    @classmethod
    def from_bytes(cls, line: bytes) -> JournalLine:
        """Read a line.

        Raises:
            ValueError: It is torn or damaged, or from a version that is not known here.
        """
        try:
            value = json.loads(line)
            if value.get("v") != JOURNAL_VERSION:
                raise ValueError(f"version {value.get('v')} of the journal is not known")
            event = from_json(_KINDS[value["kind"]], value)
            run, number = from_json(str, value["run"]), from_json(int, value["seq"])
            return cls(run, number, datetime.fromisoformat(value["time"]), event)
        except (AttributeError, KeyError, TypeError, RecursionError) as error:
            raise ValueError(f"no line of a journal: {error}") from None
