"""A diagnosis as lines of text: the three questions, then the causes, then what is left."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import click

from aprtui.core.diagnosis import Answer, Diagnosis, NamedCause, QuestionAnswered
from aprtui.core.safe_text import safe_text

_COLORS = {Answer.YES: "red", Answer.NO: "green", Answer.UNKNOWN: "yellow"}
_QUESTION_WIDTH = len("quantisation?")
_UNEXPLAINED_SHOWN = 10


def question_lines(questions: Iterable[QuestionAnswered]) -> Iterator[str]:
    """The three questions, one a line."""
    for asked in questions:
        word = click.style(f"{asked.answer:<7}", fg=_COLORS[asked.answer], bold=True)
        yield f"{asked.question.value + '?':<{_QUESTION_WIDTH}}  {word}  {safe_text(asked.evidence)}"


def diagnosis_lines(diagnosis: Diagnosis) -> Iterator[str]:
    """Causes worst first, then what no cause explains."""
    color = "green" if diagnosis.is_complete else "yellow"
    yield click.style(safe_text(diagnosis.sentence), fg=color, bold=True)
    for number, named in enumerate(diagnosis.causes, 1):
        yield from named_cause_lines(number, named)
    if diagnosis.kld_after is not None:
        before = "it cannot run" if diagnosis.kld_before is None else f"mean KLD {diagnosis.kld_before:.3g}"
        yield f"logits     {before} as it is, mean KLD {diagnosis.kld_after:.3g} under the repairs"
    if diagnosis.unexplained:
        yield "unexplained"
    for item in diagnosis.unexplained[:_UNEXPLAINED_SHOWN]:
        yield f"  {item.level.value:<10}  {safe_text(item.subject)}: {safe_text(item.message)}"
    more = len(diagnosis.unexplained) - _UNEXPLAINED_SHOWN
    if more > 0:
        yield f"  … {more} more (--format json lists all)"


def named_cause_lines(number: int, named: NamedCause) -> Iterator[str]:
    """One cause: where, what proves it, what undoes it, what to change in the converter."""
    cause = named.cause
    beneath = f" (under the repairs of layer {named.layer - 1})" if named.layer > 1 else ""
    yield click.style(f"{number:>2}  {cause.title}", bold=True) + f"  {cause.code}{beneath}"
    yield f"      where     {safe_text(named.where)}"
    yield f"      evidence  {safe_text(named.evidence)}"
    if named.error is not None:
        yield f"      error     {named.error}"
    yield f"      repair    {cause.fix}"
    yield f"      advice    {cause.advice}"
