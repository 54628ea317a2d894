"""Evidence entries of a run: what was tested, with digests, converter and the command that repeats it."""

from __future__ import annotations

import shlex
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any

import aprtui
from aprtui.core.gates import FORMAT_NAMES, Gate
from aprtui.core.outcomes import Outcome
from aprtui.core.results import Comparison
from aprtui.formats.digest import file_digest
from aprtui.formats.model import open_model
from aprtui.gates.conversion import judge_conversion
from aprtui.report.comparison_json import level_to_json, tensor_to_json
from aprtui.report.evidence import EvidenceEntry, Scenario

if TYPE_CHECKING:
    from aprtui.engine.run import Run

RULES_VERSION = "1"
"""Version of the tolerances and layout rules; evidence names it."""


def plain_entry(run: Run, gate: Gate, outcome: Outcome, reason: str, begun: float) -> EvidenceEntry:
    """An entry without a comparison: skipped, failed to convert, crashed."""
    return _entry(run, gate, outcome, reason, "", begun, _common_details(run, gate))


def comparison_entry(
    run: Run, gate: Gate, comparison: Comparison, source: Path, product: Path, begun: float
) -> EvidenceEntry:
    """The entry of a compared product."""
    outcome, reason = judge_conversion(gate, comparison)
    details = _common_details(run, gate) | {
        "levels": [level_to_json(level) for level in comparison.levels],
        "worst_tensors": [tensor_to_json(tensor) for tensor in comparison.tensors[:10]],
        "tensors_compared": len(comparison.tensors),
        "not_checked": list(comparison.not_checked),
        "asked_for": comparison.asked_for,
        "source_files": _digests(source),
        "target_files": _digests(product),
    }
    output = "\n".join([comparison.sentence, *(f"{level.level}: {level.outcome}" for level in comparison.levels)])
    return _entry(run, gate, outcome, reason, output, begun, details)


def _entry(
    run: Run, gate: Gate, outcome: Outcome, reason: str, output: str, begun: float, details: dict[str, Any]
) -> EvidenceEntry:
    source, target = FORMAT_NAMES[gate.source], FORMAT_NAMES[gate.target]
    return EvidenceEntry(
        gate_id=gate.gate_id,
        scenario=Scenario(
            run.playbook.model.hf_repo, target, f"Convert {source} to {target} and compare", run.playbook.seed
        ),
        outcome=outcome,
        reason=reason,
        output=output,
        duration_ms=round((monotonic() - begun) * 1000),
        details=details,
        converter_version=run.converter.identity.version if run.converter else "unknown",
    )


def _common_details(run: Run, gate: Gate) -> dict[str, Any]:
    command = ["aprtui", "run", str(run.playbook.path), "--model", str(run.model)]
    if run.converter:
        command += ["--converter", run.converter.identity.name]
    details: dict[str, Any] = {
        "aprtui_version": aprtui.__version__,
        "rules_version": RULES_VERSION,
        "severity": gate.severity.value,
        "pass_rule": gate.pass_rule,
        "playbook": {"name": run.playbook.name, "version": run.playbook.version, "path": str(run.playbook.path)},
        "command": shlex.join(command),
    }
    if run.converter:
        identity = run.converter.identity
        details["converter"] = {
            "name": identity.name,
            "path": str(identity.path),
            "version": identity.version,
            "digest": identity.digest,
        }
    return details


def _digests(path: Path) -> dict[str, str]:
    container = open_model(path).container
    files = [*container.files, *container.companions.values()]
    return {str(file): file_digest(file) for file in dict.fromkeys(files)}
