"""The structure level: do both models hold the same tensors, in the shapes and types that the conversion asks for?"""

from __future__ import annotations

from aprtui.core.dtypes import DType
from aprtui.core.findings import Finding, LevelResult, judge_level
from aprtui.core.outcomes import Level, Severity
from aprtui.formats.container import Format
from aprtui.formats.layout.plan import LayoutPlan
from aprtui.formats.output_types import OutputTypes


def check_structure(plan: LayoutPlan, asked_for: OutputTypes | None) -> LevelResult:
    """Names as a bijection under the layout rules, shapes, and the types found against the types asked for.

    Args:
        plan: What the target should hold, and what it does.
        asked_for: Types that the conversion asked for; None reports types without judging them.
    """
    findings = [
        Finding(Level.STRUCTURE, name, "the target lacks this tensor", expected="present", found="missing")
        for name in plan.missing
    ]
    findings += [
        Finding(Level.STRUCTURE, name, "the source has no such tensor", expected="absent", found="present")
        for name in plan.unexpected
    ]
    findings += [
        Finding(Level.STRUCTURE, name, f"the layout rule does not fit: {reason}")
        for name, reason in plan.impossible.items()
    ]
    reader = "llama.cpp" if plan.conversion.target is Format.GGUF else "transformers"
    findings += [
        Finding(
            Level.STRUCTURE,
            name,
            f"it is stored under a name that {reader} does not look for, which is {wanted}",
            Severity.NOTE,
        )
        for name, wanted in plan.misnamed.items()
    ]
    findings += [
        Finding(Level.STRUCTURE, name, reason, Severity.NOTE) for name, reason in sorted(plan.explained.items())
    ]
    for pair in plan.pairs:
        if pair.source.shape != pair.view.shape:
            findings.append(
                Finding(
                    Level.STRUCTURE,
                    pair.name,
                    "shapes differ",
                    expected=str(list(pair.source.shape)),
                    found=str(list(pair.view.shape)),
                )
            )
        if asked_for is not None:
            allowed = asked_for.allowed(pair.name, pair.view.shape, pair.source.dtype, plan.conversion)
            findings += _type_finding(pair.name, allowed, pair.view.dtype)
    not_checked: tuple[str, ...] = (plan.no_rule,) if plan.no_rule else ()
    if asked_for is None:
        not_checked += ("types: no output type was named (--outtype), so types are reported, not judged",)
    return judge_level(Level.STRUCTURE, findings, checked=len(plan.pairs), not_checked=not_checked)


def _type_finding(name: str, allowed: tuple[DType, ...], found: DType) -> list[Finding]:
    if found in allowed:
        return []
    expected = " or ".join(allowed)
    return [Finding(Level.STRUCTURE, name, f"{found} was not asked for", expected=expected, found=found)]
