"""Evidence entries of a run: what was tested, with rules, tolerances, digests, converter and commands."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from time import monotonic
from typing import Any

import aprtui
from aprtui.convert import Converter, ConverterIdentity
from aprtui.core.gates import FORMAT_NAMES, Gate
from aprtui.core.outcomes import Outcome
from aprtui.core.results import Comparison, TensorResult
from aprtui.engine.conversions import Conversion
from aprtui.gates.conversion import judge_conversion
from aprtui.models import ResolvedModel
from aprtui.playbook import Playbook
from aprtui.report.comparison_json import level_to_json, tensor_to_json
from aprtui.report.evidence import EvidenceEntry, Scenario

RULES_VERSION = "1"
"""Version of the tolerances and layout rules; evidence names it."""

_WORST = 10
_MEASURED = ("name", "rule", "limit", "origin", "measured", "needed", "margin", "margin_unit")

Digests = Mapping[str, Mapping[str, str]]


class EntryWriter:
    """Makes the entries of one run.

    Args:
        playbook: The playbook.
        model: The run's model, as it was found; evidence names its path and commit.
        converter: The converter under test, if there is one.
    """

    def __init__(self, playbook: Playbook, model: ResolvedModel, converter: Converter | None) -> None:
        self._playbook, self._model = playbook, model
        command = ["aprtui", "run", str(playbook.path), "--model", str(model.path)]
        self._identity = None if converter is None else converter.identity
        if self._identity is not None:
            command += ["--converter", self._identity.name]
        self._command = shlex.join(command)

    def plain(
        self,
        gate: Gate,
        outcome: Outcome,
        reason: str,
        *,
        begun: float,
        made: Conversion | None = None,
        digests: Digests | None = None,
    ) -> EvidenceEntry:
        """An entry without a comparison: skipped, failed to convert, crashed."""
        details = self._details(gate, made) | dict(digests or {})
        return self._entry(gate, outcome, reason, output="", begun=begun, details=details)

    def compared(
        self, gate: Gate, comparison: Comparison, *, begun: float, made: Conversion, digests: Digests
    ) -> EvidenceEntry:
        """The entry of a compared product."""
        outcome, reason = judge_conversion(gate, comparison, self._playbook.settings.tensors)
        details = self._details(gate, made) | {
            "levels": [level_to_json(level) for level in comparison.levels],
            "tolerances": tolerances(comparison),
            "worst_tensors": [tensor_to_json(tensor) for tensor in comparison.tensors[:_WORST]],
            "tensors_compared": len(comparison.tensors),
            "not_checked": list(comparison.not_checked),
            "asked_for": comparison.asked_for,
            **digests,
        }
        output = "\n".join([comparison.sentence, *(f"{level.level}: {level.outcome}" for level in comparison.levels)])
        return self._entry(gate, outcome, reason, output=output, begun=begun, details=details)

    def _entry(
        self, gate: Gate, outcome: Outcome, reason: str, *, output: str, begun: float, details: dict[str, Any]
    ) -> EvidenceEntry:
        source, target = FORMAT_NAMES[gate.source], FORMAT_NAMES[gate.target]
        prompt = f"Convert {source} to {target} and compare"
        return EvidenceEntry(
            gate_id=gate.gate_id,
            scenario=Scenario(self._playbook.model.hf_repo, target, prompt, self._playbook.seed),
            outcome=outcome,
            reason=reason,
            output=output,
            duration_ms=round((monotonic() - begun) * 1000),
            details=details,
            converter_version=self._identity.version if self._identity is not None else "unknown",
        )

    def _details(self, gate: Gate, made: Conversion | None) -> dict[str, Any]:
        playbook = self._playbook
        identity = made.converter if made is not None else self._identity
        return {
            "aprtui_version": aprtui.__version__,
            "rules_version": RULES_VERSION,
            "severity": gate.severity.value,
            "pass_rule": gate.pass_rule,
            "playbook": {"name": playbook.name, "version": playbook.version, "path": str(playbook.path)},
            "model": {"path": str(self._model.path), "how": self._model.how, "commit": self._model.commit},
            "command": self._command,
            **({"conversion_commands": list(made.commands)} if made is not None else {}),
            **({"converter": _identity_json(identity)} if identity is not None else {}),
        }


def _identity_json(identity: ConverterIdentity) -> dict[str, str]:
    return {
        "name": identity.name,
        "path": str(identity.path),
        "version": identity.version,
        "digest": identity.digest,
    }


def tolerances(comparison: Comparison) -> list[dict[str, Any]]:
    """Each tolerance that was applied: where it came from, to how many tensors, and the worst of them as measured.

    `needed` is the smallest limit under which that tensor would have passed.
    """
    groups: dict[tuple[str, str], list[TensorResult]] = {}
    for tensor in comparison.tensors:
        groups.setdefault((tensor.tolerance.rule.value, tensor.tolerance.origin), []).append(tensor)
    found = []
    for tensors in groups.values():
        worst = tensor_to_json(min(tensors, key=lambda tensor: tensor.rank))
        failed = sum(1 for tensor in tensors if not tensor.judgement.passed)
        found.append({"tensors": len(tensors), "failed": failed} | {key: worst[key] for key in _MEASURED})
    return found
