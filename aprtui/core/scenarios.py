"""Scenarios: what a model file answers in an engine, and what oracles say of the answers.

The facts alone; `aprtui.inference` runs the engines, `aprtui.gates` judges.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from aprtui.core.outcomes import Outcome

MOST_TOKENS = 32
"""Tokens that a scenario generates at most; apr-qa's number."""

PROMPTS = ("What is 2+2?", "def add(a, b):\n", "The capital of France is")
"""What is continued where nobody names prompts."""

SECONDS_OF_A_PROMPT = 300.0
"""Time limit of one prompt, where nobody sets another one."""


class EngineName(StrEnum):
    """What can run a model file."""

    REFERENCE = "reference"
    LLAMA_CPP = "llama.cpp"
    APR = "apr"


class Modality(StrEnum):
    """How a model is talked to."""

    RUN = "run"
    """The prompt as it is."""
    CHAT = "chat"
    """The prompt in the file's chat template."""
    SERVE = "serve"
    """Over HTTP."""


class Backend(StrEnum):
    """What a model runs on."""

    CPU = "cpu"
    GPU = "gpu"


class OracleKind(StrEnum):
    """The oracles of apr-qa's playbooks."""

    ARITHMETIC = "arithmetic"
    GARBAGE = "garbage"
    CODE_SYNTAX = "code_syntax"
    RESPONSE = "response"
    COMPOSITE = "composite"


@dataclass(frozen=True, slots=True)
class OracleSettings:
    """What a playbook may set under `oracles[].config`.

    Attributes:
        tolerance: Relative tolerance of results of arithmetic that are no whole numbers.
        max_repetition_ratio: Largest share of one word among the words of a text.
        min_unique_chars: Fewest different characters of a text that is long enough to have them.
        parts: Oracles of a composite; empty for those that the prompt calls for.
    """

    tolerance: float = 0.01
    max_repetition_ratio: float = 0.3
    min_unique_chars: int = 10
    parts: tuple[OracleKind, ...] = ()


@dataclass(frozen=True, slots=True)
class OracleVerdict:
    """What an oracle says.

    Attributes:
        oracle: Which one.
        outcome: Corroborated, Falsified, or Skipped where it has nothing to say about the prompt.
        reason: One sentence.
    """

    oracle: OracleKind
    outcome: Outcome
    reason: str


@dataclass(frozen=True, slots=True)
class Oracles:
    """Which oracles a playbook asks, and how.

    Attributes:
        kinds: Those that it names; empty for all. The garbage oracle is asked in any case.
        settings: By the name of the oracle, those that have any.
    """

    kinds: tuple[OracleKind, ...] = ()
    settings: Mapping[str, OracleSettings] = field(default_factory=dict)

    def of(self, kind: OracleKind) -> OracleSettings:
        """Settings of one oracle."""
        return self.settings.get(kind.value, OracleSettings())


class Ending(StrEnum):
    """How an engine ended with one prompt."""

    ANSWERED = "answered"
    """It generated text that could be extracted."""
    FAILED = "failed"
    """It says that it cannot, or ended with an exit code other than 0."""
    CRASHED = "crashed"
    """A signal or a panic ended it."""
    KILLED = "killed"
    """Somebody ended it, or the system for want of memory (SIGKILL, SIGTERM …). It says nothing of the file."""
    TIMEOUT = "out of time"
    """It did not end in time."""
    UNREADABLE = "no text"
    """It ended well, and no text could be extracted from what it printed."""
    NOT_PROMPTED = "not prompted"
    """The file has no tokenizer, or no chat template, that could turn the prompt into tokens."""
    TOO_LONG = "too long"
    """The prompt fills the model's context, so that nothing can follow it."""
    NOT_RUN = "not run"
    """This machine lacks something, or an earlier prompt ended the engine."""


@dataclass(frozen=True, slots=True)
class EngineFacts:
    """An engine as it was when it ran.

    Attributes:
        name: Which one.
        version: As it states it.
        path: What ran.
        digest: Of that file.
    """

    name: str
    version: str
    path: str
    digest: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What an engine made of one prompt.

    Attributes:
        prompt: The prompt.
        ending: How it ended.
        text: The generated text and nothing else; None where there is none.
        ids: Generated token ids; None where the engine does not tell them.
        prompt_tokens: Tokens of the prompt as the engine saw it; None where it does not tell.
        note: Why these are not the tokens that the file's own tokenizer gives; empty where they are. Such an answer is
            not compared with another engine's.
        is_cut_off: Whether the text ends because the limit was reached, or may do so: not every engine tells.
        reason: Why there is no text.
        warnings: What the engine said about itself that matters.
        seconds: Wall time.
        command: The command line, where there is one.
        verdicts: What the oracles say of the text.
    """

    prompt: str
    ending: Ending
    text: str | None = None
    ids: tuple[int, ...] | None = None
    prompt_tokens: int | None = None
    note: str = ""
    is_cut_off: bool = False
    reason: str = ""
    warnings: tuple[str, ...] = ()
    seconds: float = 0.0
    command: str = ""
    verdicts: tuple[OracleVerdict, ...] = ()

    @property
    def failed(self) -> tuple[OracleVerdict, ...]:
        """Oracles that do not accept the text."""
        return tuple(one for one in self.verdicts if one.outcome is Outcome.FALSIFIED)

    @property
    def holds(self) -> bool:
        """Whether there is a text that some oracle accepts and none refuses."""
        return not self.failed and any(one.outcome is Outcome.CORROBORATED for one in self.verdicts)


@dataclass(frozen=True, slots=True)
class Speed:
    """How fast an engine generates, without warm-up and without the prompt.

    Attributes:
        runs: Runs that count.
        tokens: Tokens that were generated in them.
        tokens_per_second: Behind the first token of each run.
        p50_ms: Median time of one token, in ms; None where the engine does not tell single tokens.
        p99_ms: 99 % of the tokens take no longer, in ms; None as above.
        load: Processes that wanted to run in the minute before (the system's load average).
        processors: Processors that they share.
    """

    runs: int
    tokens: int
    tokens_per_second: float
    p50_ms: float | None
    p99_ms: float | None
    load: float
    processors: int


@dataclass(frozen=True, slots=True)
class SpeedLimits:
    """Thresholds of a playbook's `profile_ci.assertions`; None where it has none.

    Attributes:
        throughput: Fewest tokens per second, by backend.
        p50_ms: Longest median time of one token, in ms.
        p99_ms: Longest time of 99 % of the tokens, in ms.
    """

    throughput: Mapping[str, float] = field(default_factory=dict)
    p50_ms: float | None = None
    p99_ms: float | None = None


ALL_ORACLES = Oracles()
"""Every oracle that suits a prompt, with its own settings."""

NO_LIMITS = SpeedLimits()
"""No threshold."""
