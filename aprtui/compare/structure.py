"""The structure level: do both models hold the same tensors, in the shapes and types that the conversion asks for?"""

from __future__ import annotations

from aprtui.core.dtypes import DType
from aprtui.core.findings import Finding, FindingKind, LevelResult, judge_level
from aprtui.core.outcomes import Level, Severity
from aprtui.formats.container import Format
from aprtui.formats.layout.plan import LayoutPlan
from aprtui.formats.output_types import OutputTypes


def check_structure(plan: LayoutPlan, asked_for: OutputTypes | None, *, types_elsewhere: bool = False) -> LevelResult:
    """Names as a bijection under the layout rules, shapes, and the types found against the types asked for.

    Args:
        plan: What the target should hold, and what it does.
        asked_for: Types that the conversion asked for; None reports types without judging them.
        types_elsewhere: The types are judged with the conversions in between, or have no rule between two products.
    """
    findings = [
        _finding(FindingKind.MISSING, name, "the target lacks this tensor", "present", "missing")
        for name in plan.missing
    ]
    findings += [
        _finding(FindingKind.UNEXPECTED, name, "the source has no such tensor", "absent", "present")
        for name in plan.unexpected
    ]
    findings += [
        _finding(FindingKind.SHAPE, name, f"the layout rule does not fit: {reason}")
        for name, reason in plan.impossible.items()
    ]
    reader = "llama.cpp" if plan.conversion.target is Format.GGUF else "transformers"
    findings += [
        Finding(
            Level.STRUCTURE,
            name,
            f"it is stored under a name that {reader} does not look for, which is {wanted}",
            Severity.NOTE,
            kind=FindingKind.MISNAMED,
        )
        for name, wanted in plan.misnamed.items()
    ]
    findings += [
        Finding(Level.STRUCTURE, name, reason, Severity.NOTE) for name, reason in sorted(plan.explained.items())
    ]
    for pair in plan.pairs:
        if pair.source.shape != pair.view.shape:
            shapes = str(list(pair.source.shape)), str(list(pair.view.shape))
            findings.append(_finding(FindingKind.SHAPE, pair.name, "shapes differ", *shapes))
        if asked_for is not None:
            allowed = asked_for.allowed(pair.name, pair.view.shape, pair.source.dtype, plan.conversion)
            findings += _type_finding(pair.name, allowed, pair.view.dtype)
    not_checked: tuple[str, ...] = (plan.no_rule,) if plan.no_rule else ()
    if asked_for is None and not types_elsewhere:
        not_checked += ("types: no output type was named (--outtype), so types are reported, not judged",)
    return judge_level(Level.STRUCTURE, findings, checked=len(plan.pairs), not_checked=not_checked)


def _type_finding(name: str, allowed: tuple[DType, ...], found: DType) -> list[Finding]:
    if found in allowed:
        return []
    expected = " or ".join(allowed)
    return [_finding(FindingKind.TYPE, name, f"{found} was not asked for", expected, found)]


def _finding(
    kind: FindingKind, name: str, message: str, expected: str | None = None, found: str | None = None
) -> Finding:
    return Finding(Level.STRUCTURE, name, message, expected=expected, found=found, kind=kind)
