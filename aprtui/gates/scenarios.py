"""What engines made of files: whether they load, answer, crash and say sense; where not, whose fault it is."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from aprtui.core.outcomes import Outcome
from aprtui.core.scenarios import Ending, OracleKind
from aprtui.gates.faults import Given, agreements, whose_fault
from aprtui.gates.speed import judge_speed
from aprtui.gates.verdict import WORDS_OF_FAILURE, Measurements, Verdict, format_title

_UNANSWERED = frozenset({Ending.FAILED, Ending.CRASHED})
_UNKNOWN = frozenset({Ending.TOO_LONG, Ending.NOT_RUN, Ending.UNREADABLE, Ending.KILLED, Ending.NOT_PROMPTED})
_SHOWN = 60


@dataclass(frozen=True, slots=True)
class Trouble:
    """Something that keeps a gate from its pass.

    Attributes:
        outcome: What the gate comes to because of it.
        text: What it is.
        given: The answer that shows it; None where there is none.
    """

    outcome: Outcome
    text: str
    given: Given | None = None


Asks = Callable[[Given, Measurements], Iterator[Trouble]]


def judge_scenarios(measurements: Measurements) -> Verdict:
    """Outcome and reason of a gate that engines decide."""
    if measurements.gate.gate_id.startswith("F-PROFILE"):
        return judge_speed(measurements)
    asks, answer = _GATES[measurements.gate.gate_id]
    troubles = list(_absent(measurements))
    given = list(given_answers(measurements))
    troubles += [trouble for one in given for trouble in asks(one, measurements)]
    troubles += _of_files(measurements)
    other_tokens = _notes(given)
    details: dict[str, object] = {"prompt_tokens": other_tokens} if other_tokens else {}
    details |= agreements(given)
    for outcome in (Outcome.FALSIFIED, Outcome.CRASHED, Outcome.TIMEOUT, Outcome.SKIPPED):
        found = [one for one in troubles if one.outcome is outcome]
        if found:
            texts, faults = _texts(found, measurements)
            more = f" (and {len(texts) - 1} more)" if len(texts) > 1 else ""
            lead = "could not check " if outcome is Outcome.SKIPPED else ""
            details |= {"troubles": texts} | ({"faults": faults} if faults else {})
            return Verdict(outcome, f"{lead}{texts[0]}{more}", details)
    if not given:
        return Verdict(Outcome.SKIPPED, "nothing was run", details)
    named = f"; {len(other_tokens)} prompts were seen as other tokens" if other_tokens else ""
    return Verdict(Outcome.CORROBORATED, f"{answer}: {_count(given)}{named}", details)


def given_answers(measurements: Measurements) -> Iterator[Given]:
    """Every answer of the gate's scenarios, file by file."""
    planned = {one.scenario_id: one for one in measurements.plan.scenarios}
    for scenario in measurements.gate.scenarios:
        result = measurements.record.scenarios[scenario]
        assert result is not None
        yield from (Given(planned[scenario], result, answer) for answer in result.answers)


def _absent(measurements: Measurements) -> Iterator[Trouble]:
    """Scenarios that did not run: no file, no engine, or a worker that did not live to tell."""
    planned = {one.scenario_id: one for one in measurements.plan.scenarios}
    for scenario in measurements.gate.scenarios:
        result, one = measurements.record.scenarios[scenario], planned[scenario]
        if result is None or result.absent is None:
            continue
        where = f"{one.file} in {one.engine} on {one.backend}"
        failed = measurements.record.failures.get(result.lacks)
        if failed is not None:
            words = f"its conversion {WORDS_OF_FAILURE[failed.outcome]}: {failed.reason}"
            yield Trouble(Outcome.SKIPPED, f"{where}: no {format_title(one.file).lower()} file: {words}")
        else:
            yield Trouble(result.absent, f"{where}: {result.reason}")


def _unknown(given: Given) -> Iterator[Trouble]:
    """What says nothing of the file, unless the same engine manages with the model."""
    ending, answer = given.answer.ending, given.answer
    if ending is Ending.TIMEOUT:
        yield Trouble(Outcome.TIMEOUT, f"{given.place}: {answer.reason}", given)
    elif ending in _UNKNOWN:
        outcome = Outcome.CRASHED if ending is Ending.KILLED else Outcome.SKIPPED
        yield Trouble(outcome, f"{given.place}: {answer.reason}", given)


def _loads(given: Given, _: Measurements) -> Iterator[Trouble]:
    if given.result.has_loaded is False and given.answer.ending in _UNANSWERED:
        yield Trouble(Outcome.FALSIFIED, f"{given.place}: it is not loaded: {given.answer.reason}", given)
    elif not given.result.has_loaded:
        yield from _unknown(given)
        if given.answer.ending in _UNANSWERED:
            text = f"{given.place}: it does not say whether it loaded the file ({given.answer.reason})"
            yield Trouble(Outcome.SKIPPED, text, given)


def _generates(given: Given, measurements: Measurements) -> Iterator[Trouble]:
    yield from _unprompted(given, measurements)
    if given.answer.ending in _UNANSWERED:
        yield Trouble(Outcome.FALSIFIED, f"{given.place}: {given.answer.reason}", given)


def _is_stable(given: Given, _: Measurements) -> Iterator[Trouble]:
    if given.answer.ending is Ending.CRASHED:
        yield Trouble(Outcome.FALSIFIED, f"{given.place}: {given.answer.reason}", given)
    elif given.answer.ending not in (Ending.FAILED, Ending.UNREADABLE):
        yield from _unknown(given)


def _is_no_garbage(given: Given, _: Measurements) -> Iterator[Trouble]:
    yield from _without_text(given)
    yield from _refused(given, (OracleKind.GARBAGE,))


def _answers(given: Given, measurements: Measurements) -> Iterator[Trouble]:
    yield from _generates(given, measurements)
    yield from _refused(given, tuple(OracleKind))
    yield from _undecided(given, measurements)


def _without_text(given: Given) -> Iterator[Trouble]:
    if given.answer.ending in _UNANSWERED:
        yield Trouble(Outcome.SKIPPED, f"{given.place}: {given.answer.reason}", given)
    yield from _unknown(given)


def _refused(given: Given, kinds: tuple[OracleKind, ...]) -> Iterator[Trouble]:
    """Oracles that do not accept a text; the first one for each text."""
    failed = next((one for one in given.answer.failed if one.oracle in kinds), None)
    if failed is not None:
        said = _shortened(given.answer.text or "")
        text = f"{given.place}: {_shortened(given.answer.prompt)} is answered {said}: {failed.oracle}: {failed.reason}"
        yield Trouble(Outcome.FALSIFIED, text, given)


def _undecided(given: Given, measurements: Measurements) -> Iterator[Trouble]:
    """A result that is not there when the text is cut off: a failure where the model has it there in time."""
    late = next((one for one in given.answer.verdicts if one.outcome is Outcome.SKIPPED), None)
    if late is None or given.answer.failed or not given.answer.is_cut_off:
        return
    model = given.by_model(measurements)
    in_time = model is not None and any(
        one.oracle is late.oracle and one.outcome is Outcome.CORROBORATED for one in model.answer.verdicts
    )
    outcome = Outcome.FALSIFIED if in_time else Outcome.SKIPPED
    yield Trouble(outcome, f"{given.place}: {_shortened(given.answer.prompt)}: {late.oracle}: {late.reason}", given)


def _unprompted(given: Given, measurements: Measurements) -> Iterator[Trouble]:
    """A product without a tokenizer fails where the model has one."""
    model = given.by_model(measurements)
    if given.answer.ending is Ending.NOT_PROMPTED and model is not None and model.answer.text is not None:
        yield Trouble(Outcome.FALSIFIED, f"{given.place}: it cannot be prompted: {given.answer.reason}", given)
    else:
        yield from _unknown(given)


def _of_files(measurements: Measurements) -> Iterator[Trouble]:
    """G2-BASIC asks for text from one prompt at least of each file in each engine."""
    if measurements.gate.gate_id != "G2-BASIC":
        return
    by_scenario: dict[str, list[Given]] = {}
    for given in given_answers(measurements):
        by_scenario.setdefault(given.planned.scenario_id, []).append(given)
    for answers in by_scenario.values():
        texts = [one.answer.text for one in answers if one.answer.ending is Ending.ANSWERED]
        if texts and not any(text and text.strip() for text in texts):
            yield Trouble(Outcome.FALSIFIED, f"{answers[0].place}: no prompt is continued by any text", answers[0])


def _texts(troubles: list[Trouble], measurements: Measurements) -> tuple[list[str], list[str]]:
    """Troubles in words, and whose fault each failure is, where that can be told."""
    texts, faults = [], []
    for one in troubles:
        is_known = one.given is not None and one.outcome is Outcome.FALSIFIED
        fault = whose_fault(one.given, measurements) if is_known and one.given is not None else None
        texts.append(one.text if fault is None else f"{one.text}; {fault.text}")
        if fault is not None:
            faults.append(fault.who.value)
    return list(dict.fromkeys(texts)), list(dict.fromkeys(faults))


def _notes(given: list[Given]) -> list[str]:
    """Prompts that an engine saw as other tokens than the file's own tokenizer gives: named, and never compared."""
    return [f"{one.place}: {_shortened(one.answer.prompt)}: {one.answer.note}" for one in given if one.answer.note]


def _count(given: list[Given]) -> str:
    prompts = len(dict.fromkeys(one.answer.prompt for one in given))
    places = dict.fromkeys(f"{one.planned.file} in {one.planned.engine}" for one in given)
    return f"{prompts} {'prompt' if prompts == 1 else 'prompts'}, {', '.join(places)}"


def _shortened(text: str) -> str:
    return repr(text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…")


_GATES: Mapping[str, tuple[Asks, str]] = {
    "G1-LOAD": (_loads, "every file is loaded"),
    "G2-BASIC": (_generates, "every file generates text"),
    "G3-STABLE": (_is_stable, "no engine crashes"),
    "G4-VALID": (_is_no_garbage, "no text is garbage"),
    "F-A1-001": (_answers, "every answer holds"),
    **dict.fromkeys(("F-A2-001", "F-A3-001", "F-A4-001"), (_answers, "every answer holds")),
}
