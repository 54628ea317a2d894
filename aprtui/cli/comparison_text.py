"""A comparison as lines of text: the verdict first, then levels, then the worst tensors."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

import click

from aprtui.cli.diagnosis_text import diagnosis_lines, question_lines
from aprtui.core.diagnosis import Diagnosis
from aprtui.core.findings import Finding, LevelResult
from aprtui.core.outcomes import Outcome
from aprtui.core.results import Comparison, TensorResult
from aprtui.core.safe_text import safe_text
from aprtui.report.behaviour_text import behaviour_lines

_WORST = 10
_GROUPS_PER_LEVEL = 12
_COLORS = {Outcome.CORROBORATED: "green", Outcome.FALSIFIED: "red", Outcome.SKIPPED: "yellow"}
_WORDS = {Outcome.CORROBORATED: "pass", Outcome.FALSIFIED: "FAIL", Outcome.SKIPPED: "skip"}


def comparison_lines(comparison: Comparison, diagnosis: Diagnosis) -> Iterator[str]:
    """Lines of the report; colours are styles that `click.echo` drops where they do not belong."""
    color = _COLORS.get(comparison.outcome, "red")
    yield click.style(safe_text(comparison.sentence), fg=color, bold=True)
    if comparison.not_checked:
        yield f"not checked: {'; '.join(safe_text(part) for part in comparison.not_checked)}"
    yield ""
    yield from question_lines(diagnosis.questions)
    yield ""
    if diagnosis.failures:
        yield from diagnosis_lines(diagnosis)
        yield ""
    yield f"A  {safe_text(comparison.source)}"
    yield f"B  {safe_text(comparison.target)}"
    if comparison.asked_for:
        yield f"asked for: {safe_text(comparison.asked_for)}"
    yield ""
    for level in comparison.levels:
        yield from level_lines(level)
    if comparison.tensors:
        yield ""
        yield from _layout_lines(comparison.tensors)
        yield ""
        yield from _tensor_lines(comparison.tensors)
    if comparison.behaviour is not None:
        yield ""
        yield from behaviour_lines(comparison.behaviour)
    elif comparison.bytes_read:
        rate = comparison.bytes_read / 1e9 / max(comparison.seconds, 1e-9)
        yield ""
        yield f"{comparison.bytes_read / 1e6:.1f} MB compared in {comparison.seconds:.2f} s ({rate:.2f} GB/s)"


def outcome_word(outcome: Outcome) -> str:
    """A coloured word of four letters for an outcome."""
    return click.style(_WORDS.get(outcome, outcome.value), fg=_COLORS.get(outcome, "red"))


def level_lines(result: LevelResult) -> Iterator[str]:
    """One level: its outcome, then its findings, those that say the same together."""
    failures, notes = len(result.failures), len(result.findings) - len(result.failures)
    parts = [f"{result.checked} checked"]
    parts += [f"{failures} failed"] if failures else []
    parts += [f"{notes} noted"] if notes else []
    yield f"{outcome_word(result.outcome)}  {result.level.value:<10}  {', '.join(parts)}"
    groups = _grouped(result.findings)
    for group in groups[:_GROUPS_PER_LEVEL]:
        yield f"        {_group_text(group)}"
    if len(groups) > _GROUPS_PER_LEVEL:
        yield f"        … {len(groups) - _GROUPS_PER_LEVEL} more (--format json lists all)"


def _grouped(findings: Sequence[Finding]) -> list[list[Finding]]:
    """Findings that say the same of several subjects together, in the order of their first."""
    groups: dict[tuple[object, ...], list[Finding]] = {}
    for finding in findings:
        key = (finding.is_failure, finding.message, finding.expected, finding.found)
        groups.setdefault(key, []).append(finding)
    return list(groups.values())


def _group_text(group: Sequence[Finding]) -> str:
    first = group[0]
    text = f"{safe_text(first.subject)}"
    if len(group) > 1:
        text += f" and {len(group) - 1} more"
    text += f": {safe_text(first.message)}"
    if first.expected is not None and first.found is not None:
        text += f" (expected {safe_text(first.expected, 120)}, found {safe_text(first.found, 160)})"
    if first.place and len(group) == 1:
        text += f" [{safe_text(first.place)}]"
    return text if first.is_failure else f"note: {text}"


def _layout_lines(tensors: Sequence[TensorResult]) -> Iterator[str]:
    """How many tensors each layout rule and each tolerance rule held for."""
    layouts = Counter(tensor.layout or "rows as stored" for tensor in tensors)
    yield "layout rules"
    for layout, count in layouts.most_common():
        yield f"  {count:>6}  {safe_text(layout)}"
    rules = Counter((tensor.tolerance.rule.value, tensor.tolerance.origin) for tensor in tensors)
    yield "tolerances"
    for (rule, origin), count in rules.most_common():
        yield f"  {count:>6}  {rule}: {safe_text(origin)}"


def _tensor_lines(tensors: Sequence[TensorResult]) -> Iterator[str]:
    shown = tensors[:_WORST]
    width = min(60, max(len(safe_text(tensor.name)) for tensor in shown))
    yield f"worst tensors ({len(shown)} of {len(tensors)})"
    for tensor in shown:
        types = f"{tensor.source_dtype}>{tensor.target_dtype}"
        nmse = f"NMSE {tensor.record.nmse:.2e}"
        name = safe_text(tensor.name)
        yield (
            f"{outcome_word(tensor.judgement.outcome)}  {name:<{width}}  {types:<12}  {nmse}  "
            f"{safe_text(tensor.judgement.sentence)}"
        )
