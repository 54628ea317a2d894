"""The three questions: transposed? quantisation? tokenizer? Yes, no or unknown, with count and evidence."""

from __future__ import annotations

from collections.abc import Sequence

from aprtui.core.causes import Question
from aprtui.core.diagnosis import Answer, NamedCause, QuestionAnswered, Unexplained
from aprtui.core.dtypes import Family
from aprtui.core.outcomes import Outcome
from aprtui.core.results import Comparison


def answers(
    comparison: Comparison, causes: Sequence[NamedCause], unexplained: Sequence[Unexplained]
) -> tuple[QuestionAnswered, ...]:
    """Answer all three."""
    return tuple(_answer(question, comparison, causes, unexplained) for question in Question)


def _answer(
    question: Question, comparison: Comparison, causes: Sequence[NamedCause], unexplained: Sequence[Unexplained]
) -> QuestionAnswered:
    saying_yes = [named for named in causes if named.cause.question is question]
    if saying_yes:
        members = {member for named in saying_yes for member in named.members}
        evidence = "; ".join(f"{named.code}: {named.where}" for named in saying_yes)
        return QuestionAnswered(question, Answer.YES, len(members), evidence)
    level = question.level
    result = next((result for result in comparison.levels if result.level is level), None)
    if result is None or result.outcome is Outcome.SKIPPED:
        return QuestionAnswered(question, Answer.UNKNOWN, 0, f"the {level} level was not compared")
    left = [item for item in unexplained if item.level is level]
    if left:
        several = len(left) > 1
        count = f"{len(left)} failures of the {level} level are" if several else f"a failure of the {level} level is"
        evidence = f"{count} unexplained: {left[0].subject}{' first' if several else ''}"
        return QuestionAnswered(question, Answer.UNKNOWN, 0, evidence)
    return QuestionAnswered(question, Answer.NO, 0, _why_not(question, comparison))


def _why_not(question: Question, comparison: Comparison) -> str:
    if question is Question.TOKENIZER:
        return "every part of the tokenizer is equal"
    passed = [tensor for tensor in comparison.tensors if tensor.judgement.passed]
    others = len(comparison.tensors) - len(passed)
    if question is Question.TRANSPOSED:
        rest = f", the other {f'{others} have' if others > 1 else 'one has'} another cause" if others else ""
        return f"{len(passed)} of {len(comparison.tensors)} tensors have every element in its place{rest}"
    quantised = [tensor for tensor in comparison.tensors if tensor.target_dtype.info.family is Family.BLOCK]
    if not quantised:
        return "no tensor is quantised"
    blocks = [tensor for tensor in quantised if tensor.judgement.passed]
    if not blocks:
        many = f"all {len(quantised)} quantised tensors have" if len(quantised) > 1 else "the quantised tensor has"
        return f"{many} another cause"
    certified = sum(tensor.record.certificate is not None for tensor in blocks)
    exact = len(blocks) - certified
    parts = [f"{certified} quantised tensors are certified, their loss is that of their type"] if certified else []
    parts += [f"{exact} are equal bit for bit or within their band"] if exact else []
    return "; ".join(parts)
