"""A comparison as JSON: the whole statistics record of every tensor, with what was allowed and why."""

from __future__ import annotations

from dataclasses import asdict
from math import isfinite
from typing import Any

from aprtui.core.diagnosis import Diagnosis
from aprtui.core.findings import Finding, FindingKind, LevelResult
from aprtui.core.json_values import to_json
from aprtui.core.results import Comparison, TensorResult


def comparison_to_json(comparison: Comparison) -> dict[str, Any]:
    """The comparison as plain JSON values; non-finite numbers become the strings "inf", "-inf" and "nan"."""
    return {
        "verdict": comparison.sentence,
        "outcome": comparison.outcome.value,
        "weights": comparison.weights.value,
        "source": comparison.source,
        "target": comparison.target,
        "asked_for": comparison.asked_for,
        "levels": [level_to_json(level) for level in comparison.levels],
        "not_checked": list(comparison.not_checked),
        "tensors": [tensor_to_json(tensor) for tensor in comparison.tensors],
        "behaviour": to_json(comparison.behaviour),
        "seconds": round(comparison.seconds, 3),
        "bytes_read": comparison.bytes_read,
    }


def diagnosis_to_json(diagnosis: Diagnosis) -> dict[str, Any]:
    """A diagnosis with the catalogue's words for every cause."""
    report: dict[str, Any] = to_json(diagnosis)
    report["sentence"], report["is_complete"] = diagnosis.sentence, diagnosis.is_complete
    for fields, named in zip(report["causes"], diagnosis.causes, strict=True):
        cause = named.cause
        fields |= {"title": cause.title, "repair": cause.repair.value, "fix": cause.fix, "advice": cause.advice}
        fields |= {"severity": cause.severity.value, "history": list(cause.history), "links": list(cause.links)}
    return report


def level_to_json(result: LevelResult) -> dict[str, Any]:
    """One level with all its findings."""
    return {
        "level": result.level.value,
        "outcome": result.outcome.value,
        "checked": result.checked,
        "findings": [finding_to_json(finding) for finding in result.findings],
        "not_checked": list(result.not_checked),
    }


def finding_to_json(finding: Finding) -> dict[str, Any]:
    """One finding without its empty fields."""
    fields = asdict(finding)
    fields["level"] = finding.level.value
    fields["severity"] = finding.severity.value
    fields["kind"] = None if finding.kind is FindingKind.OTHER else finding.kind.value
    return {key: value for key, value in fields.items() if value is not None}


def tensor_to_json(tensor: TensorResult) -> dict[str, Any]:
    """One tensor: rule, tolerance, verdict and the statistics record with what derives from it."""
    record = tensor.record
    derived = {
        "mean_error": record.mean_error,
        "rmse": record.rmse,
        "nmse": record.nmse,
        "sqnr_db": record.sqnr_db,
        "cosine_distance": record.cosine_distance,
        "norm_a": record.norm_a,
        "norm_b": record.norm_b,
    }
    return {
        "name": tensor.name,
        "layout": tensor.layout,
        "source_dtype": tensor.source_dtype.value,
        "target_dtype": tensor.target_dtype.value,
        "shape": list(tensor.shape),
        "nbytes": tensor.nbytes,
        "rule": tensor.tolerance.rule.value,
        "limit": tensor.tolerance.limit,
        "origin": tensor.tolerance.full_origin,
        "outcome": tensor.judgement.outcome.value,
        "margin": _number(tensor.judgement.margin),
        "margin_unit": tensor.judgement.unit,
        "needed": _number(tensor.judgement.needed),
        "measured": tensor.judgement.sentence,
        "statistics": _numbers(asdict(record)) | _numbers(derived),
    }


def _numbers(values: dict[str, Any]) -> dict[str, Any]:
    return {key: _numbers(value) if isinstance(value, dict) else _number(value) for key, value in values.items()}


def _number(value: object) -> object:
    return value if not isinstance(value, float) or isfinite(value) else str(value)
