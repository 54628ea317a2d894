"""A comparison with its diagnosis as Markdown, ready to paste into an issue tracker."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from aprtui.core.diagnosis import Diagnosis, NamedCause
from aprtui.core.results import Comparison
from aprtui.core.safe_text import safe_text

_MEMBERS = 40
_UNEXPLAINED = 20
_WORST = 10
_SPECIAL = str.maketrans({mark: f"\\{mark}" for mark in "\\`*_{}[]<>#|~"})


def markdown_lines(comparison: Comparison, diagnosis: Diagnosis | None) -> Iterator[str]:
    """The issue text: a title, what was compared, the three questions, causes, what is left, the worst tensors."""
    yield f"# {_text(comparison.sentence)}"
    yield ""
    yield f"* source: {_code(comparison.source)}"
    yield f"* product: {_code(comparison.target)}"
    if comparison.asked_for:
        yield f"* asked for: {_code(comparison.asked_for)}"
    levels = ", ".join(f"{level.level} {level.outcome.lower()}" for level in comparison.levels)
    yield f"* levels: {levels}"
    if comparison.not_checked:
        yield f"* not checked: {'; '.join(map(_text, comparison.not_checked))}"
    if diagnosis is not None:
        yield from _diagnosis(diagnosis)
    yield from _worst(comparison)


def _diagnosis(diagnosis: Diagnosis) -> Iterator[str]:
    yield ""
    yield from _table(
        ("question", "answer", "count", "evidence"),
        [
            (f"{asked.question}?", f"**{asked.answer}**", str(asked.count), _text(asked.evidence))
            for asked in diagnosis.questions
        ],
    )
    if diagnosis.failures:
        yield ""
        yield f"**{_text(diagnosis.sentence)}.**"
    if diagnosis.kld_before is not None and diagnosis.kld_after is not None:
        yield ""
        yield f"Logits: mean KLD {diagnosis.kld_before:.3g} as it is, {diagnosis.kld_after:.3g} under the repairs."
    for number, named in enumerate(diagnosis.causes, 1):
        yield ""
        yield from _cause(number, named)
    if diagnosis.unexplained:
        yield ""
        yield "## Unexplained"
        yield ""
        for item in diagnosis.unexplained[:_UNEXPLAINED]:
            yield f"* {item.level}: {_code(item.subject)}: {_text(item.message)}"
        if len(diagnosis.unexplained) > _UNEXPLAINED:
            yield f"* … {len(diagnosis.unexplained) - _UNEXPLAINED} more"


def _cause(number: int, named: NamedCause) -> Iterator[str]:
    cause = named.cause
    yield f"## {number}. {cause.title} ({_code(cause.code)})"
    yield ""
    yield f"* where: {_text(named.where)}"
    yield f"* evidence: {_text(named.evidence)}"
    if named.error is not None:
        yield f"* error: {named.error}"
    yield f"* repair: {cause.fix}"
    yield f"* advice: {cause.advice}"
    if cause.links:
        yield f"* seen before: {', '.join(cause.links)}"
    if len(named.members) > 1:
        shown = ", ".join(_code(name) for name in named.members[:_MEMBERS])
        more = len(named.members) - _MEMBERS
        yield f"* members: {shown}" + (f" and {more} more" if more > 0 else "")


def _worst(comparison: Comparison) -> Iterator[str]:
    failing = [tensor for tensor in comparison.tensors if not tensor.judgement.passed][:_WORST]
    if not failing:
        return
    yield ""
    yield "## Worst tensors"
    yield ""
    rows = []
    for item in failing:
        types = f"{item.source_dtype}>{item.target_dtype}"
        rows.append((_code(item.name), types, f"{item.record.nmse:.2e}", _text(item.judgement.sentence)))
    yield from _table(("tensor", "types", "NMSE", "measured"), rows)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield f"|{' --- |' * len(head)}"
    for row in rows:
        yield f"| {' | '.join(row)} |"


def _text(text: object) -> str:
    """Text from files without any meaning to Markdown."""
    return safe_text(text).translate(_SPECIAL)


def _code(text: object) -> str:
    return f"`{safe_text(text).replace('`', chr(39))}`"
