"""One question asked of every conversion of a run: names, shapes, weights, configuration; and the contracts of APR."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, replace

from aprtui.core.behaviour import TextVerdict, band
from aprtui.core.findings import LLAMA_CPP, Finding, FindingKind
from aprtui.core.outcomes import Level, Outcome
from aprtui.gates.verdict import Measured, Measurements, Verdict, absent_levels, only_a_part

Selects = Callable[[Finding, Measured], bool]


@dataclass(frozen=True, slots=True)
class Question:
    """What a gate asks.

    Attributes:
        selects: Which findings are its failures.
        answer: What to say where there are none.
    """

    selects: Selects
    answer: str


def _failure_of(kinds: Collection[FindingKind]) -> Selects:
    return lambda finding, _: finding.kind in kinds and (finding.is_failure or finding.kind is FindingKind.MISNAMED)


def _failure_at(level: Level) -> Selects:
    return lambda finding, _: finding.is_failure and finding.level is level


def _of_embedding(finding: Finding, measured: Measured) -> bool:
    return finding.is_failure and finding.subject in measured.finished.embedding


def _from_blocks(finding: Finding, measured: Measured) -> bool:
    return finding.level is Level.WEIGHTS and finding.subject in measured.record.failed_from_blocks


def _fallback(finding: Finding, _: Measured) -> bool:
    return finding.is_failure and (finding.level is Level.INTEGRITY or finding.kind is FindingKind.TYPE)


def _does_not_run(finding: Finding, _: Measured) -> bool:
    """The reference cannot run it, or the engine that its users run refuses it."""
    is_of_run = finding.is_failure and finding.level is Level.BEHAVIOUR
    return is_of_run and finding.subject in ("model", LLAMA_CPP)


def _other_text(finding: Finding, _: Measured) -> bool:
    return finding.is_failure and finding.level is Level.BEHAVIOUR and finding.subject in ("text", "model")


_OF_TENSORS = frozenset({Level.INTEGRITY, Level.STRUCTURE, Level.WEIGHTS})
_COUNTED = frozenset({FindingKind.MISSING, FindingKind.UNEXPECTED})

_ASK_FOR_TEXT = frozenset({"F-CONV-SEMANTIC-001", "F-CONTRACT-I1-001", "F-GOLDEN-RULE-001"})

_QUESTIONS: Mapping[str, Question] = {
    "F-CONV-CARD-001": Question(_failure_of(_COUNTED), "every product holds as many tensors"),
    "F-CONV-NAME-001": Question(
        _failure_of(_COUNTED | {FindingKind.MISNAMED}),
        "every tensor is where its reader looks for it",
    ),
    "F-CONV-SHAPE-001": Question(_failure_of({FindingKind.SHAPE}), "every tensor has the shape of its layout rule"),
    "F-CONV-EMBED-001": Question(_of_embedding, "embedding and head hold"),
    "F-CONV-WEIGHT-001": Question(_failure_at(Level.WEIGHTS), "every element holds"),
    "F-CONV-CONFIG-001": Question(_failure_at(Level.METADATA), "every product states the same"),
    "F-CONV-DEQUANT-001": Question(_from_blocks, "every block is kept or decoded exactly"),
    "F-CONV-TOK-001": Question(_failure_at(Level.TOKENIZER), "every tokenizer says the same"),
    "F-CONV-SEMANTIC-001": Question(_failure_at(Level.BEHAVIOUR), "every product answers alike"),
    "F-CONV-INFER-001": Question(_does_not_run, "every product runs"),
    "F-CONTRACT-I1-001": Question(_failure_at(Level.BEHAVIOUR), "the APR answers alike"),
    "F-CONTRACT-I5-001": Question(_failure_at(Level.TOKENIZER), "the tokenizers say the same"),
    "F-GOLDEN-RULE-001": Question(_other_text, "texts are the same"),
    "F-GOLDEN-RULE-003": Question(_does_not_run, "the APR runs"),
    "F-CONTRACT-I2-001": Question(_failure_of(_COUNTED), "the APR holds the checkpoint's tensors and no others"),
    "F-CONTRACT-I3-001": Question(_fallback, "every type was asked for, and the file is whole"),
    "F-CONTRACT-I4-001": Question(_failure_at(Level.WEIGHTS), "every element holds"),
}


def judge_content(measurements: Measurements) -> Verdict:
    """Falsified if any conversion shows such a finding, Skipped if any could not be asked, else Corroborated."""
    if measurements.gate.gate_id in ("F-CONV-MISSING-001", "F-GOLDEN-RULE-002"):
        return _judge_missing(measurements)
    question, levels = _QUESTIONS[measurements.gate.gate_id], measurements.gate.levels
    failures, unknown = [], []
    for measured in measurements.all:
        findings = (one for level in measured.record.levels for one in level.findings if measured.is_own(one))
        found = [one for one in findings if question.selects(one, measured)]
        failures += [(measured, finding) for finding in found]
        if not found:
            unknown += _unanswered(measured, levels)
    details = {"findings": [_text(measured, finding) for measured, finding in failures]} if failures else {}
    if failures:
        more = f" (and {len(failures) - 1} more)" if len(failures) > 1 else ""
        return Verdict(Outcome.FALSIFIED, f"{_text(*failures[0])}{more}", details)
    if unknown:
        more = f" (and {len(unknown) - 1} more)" if len(unknown) > 1 else ""
        return Verdict(Outcome.SKIPPED, f"could not check {unknown[0]}{more}")
    part = only_a_part(measurements.plan)
    if part and not _OF_TENSORS.isdisjoint(levels):
        return Verdict(Outcome.SKIPPED, part)
    if measurements.gate.gate_id == "F-CONV-DEQUANT-001":
        return _judge_blocks(measurements, question)
    if measurements.gate.gate_id == "F-GOLDEN-RULE-001":
        return _judge_texts(measurements)
    reason = f"{question.answer}, in {_conversions(len(measurements.all))}"
    return _with_left_out(measurements, Verdict(Outcome.CORROBORATED, reason))


def _with_left_out(measurements: Measurements, verdict: Verdict) -> Verdict:
    """A pass with the texts that nobody compared, where a gate asks what models say."""
    if measurements.gate.gate_id not in _ASK_FOR_TEXT:
        return verdict
    missing = [f"{measured.title}: {one}" for measured in measurements.all for one in _no_text(measured)]
    if not missing:
        return verdict
    return replace(
        verdict, reason=f"{verdict.reason}; not checked: {missing[0]}", details={**verdict.details, "no_text": missing}
    )


def _no_text(measured: Measured) -> Iterator[str]:
    """Why there are texts that nobody compared."""
    return (one for one in measured.finished.not_checked if "text: " in one)


def _judge_blocks(measurements: Measurements, question: Question) -> Verdict:
    count = sum(measured.record.from_blocks for measured in measurements.all)
    if not count:
        return Verdict(Outcome.SKIPPED, "no source stores a tensor in blocks")
    return Verdict(Outcome.CORROBORATED, f"{question.answer}, in {count} tensors")


def _judge_texts(measurements: Measurements) -> Verdict:
    """How many texts are the same, and how many are undecided; beside it, deciding nothing, the band of the logits."""
    counts: Counter[TextVerdict] = Counter()
    bands = []
    for measured in measurements.all:
        behaviour = measured.record.behaviour
        if behaviour is None or not behaviour.texts:
            why = next(_no_text(measured), "none was generated")
            return Verdict(Outcome.SKIPPED, f"could not check text of {measured.title}: {why}")
        endless = sum(text.word == "open" for text in behaviour.texts)
        if endless:
            why = f"{endless} of {len(behaviour.texts)} differ, and nothing tells how far they may"
            return Verdict(Outcome.SKIPPED, f"could not check text of {measured.title}: {why}")
        counts.update(text.verdict for text in behaviour.texts)
        bands.append(f"mean KLD {behaviour.target.mean_kld:.3g} ({band(behaviour.target.mean_kld)})")
    reason = f"greedy tokens are the same in {counts[TextVerdict.EQUAL]} of {counts.total()} texts"
    if undecided := counts[TextVerdict.TIE]:
        reason += f", and differ first where the checkpoint itself is undecided in {undecided}"
    texts = {verdict.value: count for verdict, count in counts.items()}
    verdict = Verdict(Outcome.CORROBORATED, f"{reason}; {', '.join(bands)}", {"texts": texts, "band": bands})
    return _with_left_out(measurements, verdict)


def _judge_missing(measurements: Measurements) -> Verdict:
    """Whether every conversion that was run left a product that can be opened."""
    lost, unknown = [], []
    for measured in measurements.all:
        failed = measured.failed
        if failed is not None and failed.outcome is Outcome.FALSIFIED:
            lost.append(f"{failed.conversion}: {failed.reason}")
        elif failed is not None:
            unknown.append(f"{failed.conversion}: {failed.reason}")
        elif not measured.record.levels:
            unknown.append(f"{measured.planned.target}: {measured.finished.reason}")
        else:
            lost += [f"{measured.planned.target}: {one.message}" for one in measured.record.failures if _unopened(one)]
    if lost:
        lost = list(dict.fromkeys(lost))
        more = f" (and {len(lost) - 1} more)" if len(lost) > 1 else ""
        return Verdict(Outcome.FALSIFIED, f"no product of {lost[0]}{more}", {"without_product": lost})
    if unknown:
        return Verdict(Outcome.SKIPPED, f"could not check {unknown[0]}")
    return Verdict(Outcome.CORROBORATED, f"{_conversions(len(measurements.all))} left products that can be opened")


def _unopened(finding: Finding) -> bool:
    return finding.level is Level.INTEGRITY and finding.kind is FindingKind.UNREADABLE


def _unanswered(measured: Measured, levels: tuple[Level, ...]) -> list[str]:
    """Why a conversion does not answer a question; nothing where it does."""
    if measured.failed is not None:
        return [f"{measured.title}: no product of {measured.failed.conversion}"]
    if not measured.record.levels:
        return [f"{measured.title}: {measured.finished.reason}"]
    absent = absent_levels(measured, levels)
    return [f"{', '.join(absent)} of {measured.title}"] if absent else []


def _text(measured: Measured, finding: Finding) -> str:
    return f"{measured.title}: {finding.subject}: {finding.message}"


def _conversions(count: int) -> str:
    return f"{count} conversion" if count == 1 else f"{count} conversions"
