"""Causes as lines: the three questions first, then each cause with its evidence and what to change."""

from __future__ import annotations

from aprtui.core.diagnosis import Answer, Diagnosis, NamedCause
from aprtui.tui.paint import Line, Span
from aprtui.tui.widgets.lines import wrapped
from aprtui.tui.words import number

_ANSWERS: dict[Answer, Span] = {
    Answer.YES: ("✗ yes    ", "fail"),
    Answer.NO: ("✓ no     ", "pass"),
    Answer.UNKNOWN: ("? unknown", "warn"),
}


def diagnosis_lines(diagnosis: Diagnosis, width: int) -> list[Line]:
    """The diagnosis of one comparison."""
    lines: list[Line] = [*wrapped(diagnosis.sentence, width, "accent"), ()]
    for answered in diagnosis.questions:
        head: list[Span] = [(f"{answered.question.value:<13}", "muted"), _ANSWERS[answered.answer]]
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
    if cause.before is not None and cause.after is not None:
        lines.append(((f"  error {number(cause.before)}, repaired {number(cause.after)}", "muted"),))
    return [*lines, *wrapped(f"→ {facts.advice}", width, "accent", "  ")]
