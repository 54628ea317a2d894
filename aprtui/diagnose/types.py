"""Causes behind types that were not asked for."""

from __future__ import annotations

from collections.abc import Iterator

from aprtui.core.dtypes import DType, Family
from aprtui.core.findings import Finding, LevelResult
from aprtui.core.outcomes import Level
from aprtui.diagnose.found import Found, failing, found_at
from aprtui.diagnose.hypothesis import Context
from aprtui.formats.layout.plan import LayoutPlan

_NOT_ASKED_FOR = "was not asked for"


def diagnose_types(plan: LayoutPlan, result: LevelResult | None, context: Context, *, tied: bool) -> list[Found]:
    """Causes of type findings, those of one type and one reason together."""
    groups: dict[tuple[str, str], list[Finding]] = {}
    shapes = {pair.name: pair.view.shape for pair in plan.pairs}
    for name, findings in failing(result).items():
        for finding in findings:
            if _NOT_ASKED_FOR in finding.message:
                code = _code(finding, shapes.get(name, ()), context.role(name), tied=tied)
                groups.setdefault((code, str(finding.found)), []).append(finding)
    return list(_founds(groups))


def _founds(groups: dict[tuple[str, str], list[Finding]]) -> Iterator[Found]:
    for (code, dtype), findings in groups.items():
        members = tuple(finding.subject for finding in findings)
        evidence = f"{dtype} where {findings[0].expected} was asked for"
        yield found_at(Level.STRUCTURE, code, members, evidence)


def _code(finding: Finding, shape: tuple[int, ...], role: str, *, tied: bool) -> str:
    found = DType(str(finding.found))
    expected = tuple(DType(name) for name in str(finding.expected).split(" or "))
    if found.info.family is Family.BLOCK:
        if len(shape) < 2:
            return "structure.norms_or_biases_quantised"
        if role == "output.weight" and tied:
            return "structure.tied_head_quantised"
        return "structure.type_not_asked_for"
    if found is DType.F16 and all(dtype.info.family is not Family.BLOCK for dtype in expected):
        return "structure.narrowed"
    return "structure.widened"
