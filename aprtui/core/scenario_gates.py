"""Rows of the table of gates for what runs model files in engines: scenarios, their gateways, and speed.

Gates of apr-qa that test a program around a model file and not the file stand here with the reason, and are never
planned.
"""

from __future__ import annotations

from collections.abc import Mapping

from aprtui.core.gates import Gate, GateFamily, GateSeverity
from aprtui.core.outcomes import Level
from aprtui.core.scenarios import Backend, Modality

_FILES = "each file that the playbook's formats name, in every engine that runs it"


def _scenario(
    gate_id: str,
    title: str,
    pass_rule: str,
    unlike: str,
    *,
    inputs: str = f"{_FILES}, on all prompts",
    severity: GateSeverity = GateSeverity.P0,
) -> Gate:
    return Gate(gate_id, title, GateFamily.SCENARIO, (), (Level.BEHAVIOUR,), severity, inputs, pass_rule, unlike)


def _speed(number: int, title: str, pass_rule: str, severity: GateSeverity) -> Gate:
    return _scenario(
        f"F-PROFILE-CI-{number:03}",
        title,
        f"{pass_rule}, in every engine but the reference, which is measured and not judged",
        "upstream runs `apr profile` and takes what it cannot read for a pass",
        inputs=f"{_FILES}, on the first prompt, again and again, alone on the machine",
        severity=severity,
    )


_ANSWERS = (
    "every prompt is answered, and every oracle that the playbook names and the prompt calls for accepts the answer"
)
_UNLIKE_RUN = "upstream takes any answer to a prompt that its arithmetic cannot parse, and loses the text it generates"

_UNLIKE_CHAT = "upstream types the prompt into `apr chat` and judges the whole session, its banner and prompts included"
_CHATTED = f"{_FILES} but apr, on all prompts in the file's own chat template"

GATEWAYS: tuple[Gate, ...] = (
    _scenario(
        "G1-LOAD",
        "Files load",
        "every engine loads every file that it is for",
        "described upstream and evaluated nowhere",
    ),
    _scenario(
        "G2-BASIC",
        "Files generate",
        "every engine ends every prompt without an error, and generates text for one of them at least",
        "upstream writes this only as a failure, for exit codes above 0",
    ),
    _scenario(
        "G3-STABLE",
        "Engines do not crash",
        "no engine is ended by a signal or a panic; one that was killed (SIGKILL) says nothing of the file: Crashed",
        "upstream writes this only as a failure, and a program that is missing counts as a crash",
    ),
    _scenario(
        "G4-VALID",
        "Text is no garbage",
        "no text is empty, repeats itself, or holds control characters, bytes that are no UTF-8, a tokenizer's marks, "
        "nothing but signs or too few characters",
        "described upstream and evaluated nowhere; its garbage test looks at banners and times as well",
    ),
)
"""apr-qa's gateways of scenarios."""

ANSWER_GATES: Mapping[tuple[Modality, Backend], Gate] = {
    (Modality.RUN, Backend.CPU): _scenario("F-A1-001", "Run on the CPU", _ANSWERS, _UNLIKE_RUN),
    (Modality.RUN, Backend.GPU): _scenario("F-A2-001", "Run on a GPU", _ANSWERS, _UNLIKE_RUN),
    (Modality.CHAT, Backend.CPU): _scenario("F-A3-001", "Chat on the CPU", _ANSWERS, _UNLIKE_CHAT, inputs=_CHATTED),
    (Modality.CHAT, Backend.GPU): _scenario("F-A4-001", "Chat on a GPU", _ANSWERS, _UNLIKE_CHAT, inputs=_CHATTED),
}
"""The scenarios themselves, by modality and backend."""

THROUGHPUT = _speed(1, "Throughput", "as many tokens per second as the playbook asks for", GateSeverity.P1)
LATENCY_P99 = _speed(2, "Time of the slowest tokens", "99 % of the tokens within the playbook's time", GateSeverity.P1)
LATENCY_P50 = _speed(3, "Time of a token", "half of the tokens within the playbook's time", GateSeverity.P2)

SPEED_GATES: tuple[Gate, ...] = (THROUGHPUT, LATENCY_P99, LATENCY_P50)
"""Gates that measure time."""

SCENARIO_GATES: tuple[Gate, ...] = (*GATEWAYS, *ANSWER_GATES.values(), *SPEED_GATES)
"""All of them, in the order in which a run judges them."""

_SERVE = (
    "apr's server answers over HTTP from the same file: the file runs in F-A1-001 to F-A4-001, and what is left, "
    "ports and requests, is no property of the file"
)

NEVER_PLANNED: Mapping[Backend, tuple[str, str]] = {
    Backend.CPU: ("F-A5-001", f"serve on the CPU: {_SERVE}"),
    Backend.GPU: ("F-A6-001", f"serve on a GPU: {_SERVE}"),
}
"""Gates of apr-qa that cannot block a certification here, and why; by backend."""
