"""What has to hold before any conversion is judged: the model, the sources that pairs start from, room for products."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from aprtui.core.findings import Finding, FindingKind, LevelResult, not_stated
from aprtui.core.outcomes import Level, Outcome
from aprtui.gates.pairs import judge_pair
from aprtui.gates.verdict import Measured, Measurements, Verdict, absent_levels, finding_text, not_measured

Selects = Callable[[Finding, Measured], bool]

_STATED = {"LAYERS": "num_hidden_layers", "HIDDEN": "hidden_size", "VOCAB": "vocab_size"}


def _about(*subjects: str) -> Selects:
    return lambda finding, _: finding.is_failure and finding.subject in subjects


def _sound(finding: Finding, _: Measured) -> bool:
    return finding.level is Level.INTEGRITY and finding.is_failure and finding.subject not in _STATED.values()


def _kind(kind: FindingKind) -> Selects:
    return lambda finding, _: finding.level is Level.STRUCTURE and finding.kind is kind


def _critical(finding: Finding, measured: Measured) -> bool:
    return finding.kind is FindingKind.SHAPE and finding.subject in measured.finished.embedding


def _configured(finding: Finding, _: Measured) -> bool:
    """Expectations of the playbook are a question of F-CONV-CONFIG-001."""
    of_config = finding.level is Level.METADATA and finding.kind is not FindingKind.EXPECTATION
    return finding.is_failure and (of_config or finding.subject in _STATED.values())


_SELECTS: Mapping[str, tuple[Selects, str]] = {
    "G0-VALIDATE-001": (_sound, "offsets and sizes fit, every value is finite, no matrix is all zeros"),
    "G0-TENSOR-001": (_kind(FindingKind.MISSING), "every tensor of the architecture is there"),
    "G0-LAYOUT-001": (_kind(FindingKind.SHAPE), "every shape is the configuration's"),
    "G0-LAYOUT-CRITICAL": (_critical, "embedding and head have the shape of the configuration"),
    "G0-INTEGRITY-CONFIG": (
        _configured,
        "the configuration can be read and agrees with the tensors",
    ),
    **{f"G0-INTEGRITY-{name}": (_about(key), f"{key} agrees with the tensors") for name, key in _STATED.items()},
}


def judge_gateway(measurements: Measurements) -> Verdict:
    """Outcome and reason of a gateway."""
    gate = measurements.gate.gate_id
    if gate == "G0-PULL-001":
        return _judge_pull(measurements)
    if gate == "G0-FORMAT-WORKSPACE-001":
        return _judge_workspace(measurements)
    if gate in ("G0-FORMAT-GGUF-001", "G0-FORMAT-APR-001"):
        return judge_pair(measurements)
    return _judge_model(measurements)


def _judge_pull(measurements: Measurements) -> Verdict:
    model, opened = measurements.plan.model, measurements.record.opened
    if opened is None:
        return Verdict(Outcome.CRASHED, "the model was not read")
    commit = f", commit {model.commit}" if model.commit else ""
    return Verdict(Outcome.CORROBORATED, f"{len(opened.files)} files read ({model.how}{commit})")


def _judge_workspace(measurements: Measurements) -> Verdict:
    found = measurements.record.workspace
    if found is None:
        return Verdict(Outcome.CRASHED, "the directory for products was not looked at")
    if found.problem:
        return Verdict(Outcome.CRASHED, found.problem)
    details = {"path": found.path, "free_bytes": found.free_bytes, "needed_bytes": found.needed_bytes}
    return Verdict(Outcome.CORROBORATED, f"there is room for {_gib(found.needed_bytes)} of products", details)


def _judge_model(measurements: Measurements) -> Verdict:
    (measured,) = measurements.all
    verdict = not_measured(measured)
    if verdict is not None:
        return verdict
    selects, answer = _SELECTS[measurements.gate.gate_id]
    failures = [one for level in measured.record.levels for one in level.findings if selects(one, measured)]
    if failures:
        details = {"findings": [f"{one.subject}: {one.message}" for one in failures]}
        return Verdict(Outcome.FALSIFIED, finding_text(failures), details)
    absent = absent_levels(measured, measurements.gate.levels)
    if absent:
        return Verdict(Outcome.SKIPPED, f"could not check {', '.join(absent)}{_why(measured, absent)}")
    silent = _not_compared(measurements, measured)
    if silent:
        return Verdict(Outcome.SKIPPED, silent)
    return Verdict(Outcome.CORROBORATED, answer)


def _why(measured: Measured, absent: list[Level]) -> str:
    results: list[LevelResult] = [one for one in measured.record.levels if one.level in absent]
    reasons = [reason for result in results for reason in result.not_checked]
    return f": {reasons[0]}" if reasons else ""


def _not_compared(measurements: Measurements, measured: Measured) -> str:
    """Why a number of the configuration could not be held against the tensors; empty where it was."""
    name = measurements.gate.gate_id.removeprefix("G0-INTEGRITY-")
    keys = tuple(_STATED.values()) if name == "CONFIG" else tuple(filter(None, (_STATED.get(name),)))
    result = measured.record.level(Level.INTEGRITY)
    missing = [not_stated(key) for key in keys if result is not None and not_stated(key) in result.not_checked]
    return missing[0] if missing else ""


def _gib(count: int) -> str:
    return f"{count / 2**30:.2f} GiB"
