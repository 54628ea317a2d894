"""What engines made of a file, as JSON values of an evidence entry."""

from __future__ import annotations

from typing import Any

from aprtui.core.events import ScenarioFinished
from aprtui.core.json_values import to_json
from aprtui.core.scenarios import Answer
from aprtui.store.plan import PlannedScenario


def scenario_to_json(planned: PlannedScenario, found: ScenarioFinished) -> dict[str, Any]:
    """A scenario: who ran what, and each prompt with its answer, or how fast it was."""
    entry: dict[str, Any] = {
        "scenario": planned.scenario_id,
        "file": planned.file,
        "engine": to_json(found.engine) if found.engine is not None else {"name": planned.engine.value},
        "backend": planned.backend.value,
        "modality": planned.modality.value,
        "seconds": round(found.seconds, 3),
    }
    if found.absent is not None:
        entry["outcome"] = found.absent.value
    if found.reason:
        entry["reason"] = found.reason
    if found.stderr:
        entry["stderr"] = found.stderr
    if found.has_loaded is not None:
        entry["has_loaded"] = found.has_loaded
    if planned.is_timed:
        entry |= {"warmup": planned.warmup, "measure": planned.measure}
    if found.speed is not None:
        entry["speed"] = to_json(found.speed)
    if found.answers:
        entry["answers"] = [_answer(one) for one in found.answers]
    return entry


def _answer(answer: Answer) -> dict[str, Any]:
    """An answer; without what it has nothing to say about."""
    stated = to_json(answer)
    return {key: value for key, value in stated.items() if value not in (None, "", [], False)} | {"text": answer.text}
