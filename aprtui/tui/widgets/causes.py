"""Causes as lines: the three questions first, then each cause with its evidence and what to change."""

from __future__ import annotations

from aprtui.core.diagnosis import Answer, Diagnosis, NamedCause
from aprtui.store.run_causes import RunCauses
from aprtui.tui.paint import Line, Span
from aprtui.tui.widgets.lines import wrapped

_PAINTS = {Answer.YES: "fail", Answer.NO: "pass", Answer.UNKNOWN: "warn"}
_WORDS = {Answer.YES: "✗ yes    ", Answer.NO: "✓ no     ", Answer.UNKNOWN: "? unknown"}


def answer_spans(causes: RunCauses) -> list[Span]:
    """The three questions over a whole run in one line; nothing where no comparison fails."""
    if not causes.causes and not causes.unexplained:
        return []
    spans: list[Span] = []
    for answered in causes.questions:
        count = f" {answered.count}" if answered.count else ""
        spans += [
            (f"  {answered.question.value} ", "muted"),
            (f"{answered.answer.value}{count}", _PAINTS[answered.answer]),
        ]
    return [*spans, (" ", "text")]


def diagnosis_lines(diagnosis: Diagnosis, width: int) -> list[Line]:
    """The diagnosis of one comparison."""
    lines: list[Line] = [*wrapped(diagnosis.sentence, width, "accent"), ()]
    for answered in diagnosis.questions:
        head: list[Span] = [
            (f"{answered.question.value:<13}", "muted"),
            (_WORDS[answered.answer], _PAINTS[answered.answer]),
        ]
        count = f"  {answered.count}" if answered.count else ""
        lines.append([*head, (count, "text")])
        lines += wrapped(answered.evidence, width, "muted", "    ")
    for cause in diagnosis.causes:
        lines += [(), *cause_lines(cause, width)]
    if diagnosis.unexplained:
        lines += [(), ((f"{len(diagnosis.unexplained)} without a cause", "warn"),)]
        for left in diagnosis.unexplained[:20]:
            lines += wrapped(f"{left.subject}: {left.message}", width, "muted", "    ")
    return lines


def cause_lines(cause: NamedCause, width: int) -> list[Line]:
    """One cause."""
    facts = cause.cause
    lines: list[Line] = [((cause.code, "fail"),)]
    lines += wrapped(f"{facts.title}: {cause.where}", width, "text", "  ")
    lines += wrapped(cause.evidence, width, "muted", "  ")
    if cause.error is not None:
        lines += wrapped(cause.error, width, "muted", "  ")
    return [*lines, *wrapped(f"→ {facts.advice}", width, "accent", "  ")]
