"""Events of a journal as lines: of a log, of a terminal, of a console."""

from __future__ import annotations

from collections.abc import Callable

from aprtui.core.events import (
    BehaviourMeasured,
    ComparisonFinished,
    ComparisonStarted,
    ConversionFailed,
    ConversionFinished,
    ConversionStarted,
    Diagnosed,
    Event,
    GateFinished,
    Heartbeat,
    JournalLine,
    LayerMeasured,
    LevelFinished,
    ModelOpened,
    RunFinished,
    RunInterrupted,
    RunResumed,
    RunStarted,
    ScenarioFinished,
    ScenarioStarted,
    TensorFinished,
    TolerancesChanged,
    WorkerDied,
    WorkspaceChecked,
)
from aprtui.core.outcomes import Outcome
from aprtui.core.safe_text import safe_text
from aprtui.report.behaviour_text import layer_text

OutcomeWord = Callable[[Outcome], str]

_WORDS = {Outcome.CORROBORATED: "pass", Outcome.FALSIFIED: "FAIL", Outcome.SKIPPED: "skip"}


def plain_outcome_word(outcome: Outcome) -> str:
    """The word of an outcome without colour."""
    return _WORDS.get(outcome, outcome.value)


def journal_line_text(line: JournalLine, outcome_word: OutcomeWord = plain_outcome_word) -> str:
    """One event with its local time.

    Args:
        line: The line of the journal.
        outcome_word: Makes the word of an outcome, with colour or without.
    """
    return f"{line.time.astimezone():%H:%M:%S}  {_text(line.event, outcome_word)}"


def _text(event: Event, outcome_word: OutcomeWord) -> str:
    if isinstance(event, ComparisonStarted | ComparisonFinished | TensorFinished | LevelFinished):
        return _comparison_text(event, outcome_word)
    if isinstance(event, LayerMeasured):
        return f"{safe_text(event.comparison)}  {layer_text(event.layer)}"
    if isinstance(event, BehaviourMeasured):
        target = event.behaviour.target
        return f"{safe_text(event.comparison)}  mean KLD {target.mean_kld:.3g}, top-1 {target.top1_agreement:.2%}"
    if isinstance(event, Diagnosed):
        causes = ", ".join(named.code for named in event.diagnosis.causes)
        return f"{safe_text(event.comparison)}  {event.diagnosis.sentence}{f' ({causes})' if causes else ''}"
    if isinstance(event, ScenarioStarted | ScenarioFinished):
        return _scenario_text(event, outcome_word)
    if isinstance(event, ConversionStarted | ConversionFinished | ConversionFailed):
        return _conversion_text(event, outcome_word)
    if isinstance(event, GateFinished):
        return f"{outcome_word(event.outcome)}  {safe_text(event.gate)}  {safe_text(event.reason, 300)}"
    if isinstance(event, WorkerDied):
        last = f": {safe_text(event.last_lines[-1])}" if event.last_lines else ""
        return f"worker {event.worker} ended at {safe_text(event.step)}: {safe_text(event.reason)}{last}"
    if isinstance(event, Heartbeat):
        return f"running: {safe_text(', '.join(event.running)) or 'nothing'}"
    return _run_text(event)


def _run_text(
    event: RunStarted | RunResumed | RunFinished | RunInterrupted | ModelOpened | WorkspaceChecked | TolerancesChanged,
) -> str:
    if isinstance(event, RunStarted):
        return f"{'resumed' if event.resumed else 'started'} on {safe_text(event.host)}, process {event.pid}"
    if isinstance(event, ModelOpened):
        return f"model read, {len(event.files)} files"
    if isinstance(event, WorkspaceChecked):
        return safe_text(event.problem) if event.problem else f"products go to {safe_text(event.path)}"
    if isinstance(event, TolerancesChanged):
        return f"judged again under the tolerances of {safe_text(event.tolerances.origin) or 'the rules'}"
    if isinstance(event, RunResumed):
        why = f" ({safe_text(event.reason)})" if event.reason else ""
        return f"taken over: {safe_text(', '.join(event.gates)) or 'nothing'}{why}"
    if isinstance(event, RunFinished):
        return f"finished with exit code {event.exit_code}"
    return f"interrupted: {safe_text(event.reason)}"


def _scenario_text(event: ScenarioStarted | ScenarioFinished, outcome_word: OutcomeWord) -> str:
    name = safe_text(event.scenario)
    if isinstance(event, ScenarioStarted):
        return f"scenario {name} started"
    if event.absent is not None:
        return f"{outcome_word(event.absent)}  {name}  {safe_text(event.reason, 300)}"
    if event.speed is not None:
        return f"scenario {name}: {event.speed.tokens_per_second:.1f} tokens/s"
    silent = event.reason or next((one.reason for one in event.answers if one.text is None), "")
    if silent:
        return f"scenario {name}: {safe_text(silent, 300)}"
    good = sum(one.holds for one in event.answers)
    return f"scenario {name}: {good} of {len(event.answers)} answers hold after {event.seconds:.1f} s"


def _conversion_text(
    event: ConversionStarted | ConversionFinished | ConversionFailed, outcome_word: OutcomeWord
) -> str:
    name = safe_text(event.conversion)
    if isinstance(event, ConversionStarted):
        return f"conversion {name} started"
    if isinstance(event, ConversionFinished):
        return f"conversion {name} finished after {event.seconds:.1f} s"
    return f"conversion {name}: {outcome_word(event.outcome)}  {safe_text(event.reason)}"


def _comparison_text(
    event: ComparisonStarted | ComparisonFinished | TensorFinished | LevelFinished, outcome_word: OutcomeWord
) -> str:
    comparison = safe_text(event.comparison)
    if isinstance(event, ComparisonStarted):
        return f"comparison {comparison} started"
    if isinstance(event, ComparisonFinished):
        return f"{outcome_word(event.outcome)}  {comparison}  {safe_text(event.reason, 300)}"
    if isinstance(event, LevelFinished):
        level = event.level
        failed = f", {len(level.failures)} failed" if level.failures else ""
        return f"{outcome_word(level.outcome)}  {comparison}  {level.level.value}: {level.checked} checked{failed}"
    judgement = event.tensor.judgement
    name = safe_text(event.tensor.name)
    return f"{outcome_word(judgement.outcome)}  {comparison}  {name}: {safe_text(judgement.sentence)}"
