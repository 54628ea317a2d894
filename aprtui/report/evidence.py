"""evidence.json: apr-qa's array of entries with its twelve keys.

The shape is the one that apr-qa's own reader accepts: `outcome` is a bare word, `metadata` maps strings to
strings. What apr-qa has no key for stands there as JSON text.
"""

from __future__ import annotations

import json
import platform
import socket
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

from aprtui.core.errors import AprtuiError
from aprtui.core.outcomes import Outcome


@dataclass(frozen=True, slots=True)
class Scenario:
    """What an entry is about, in apr-qa's terms.

    Attributes:
        repo: "org/name" of the model.
        format: safetensors, gguf or apr: the format under test.
        prompt: A sentence that says what was done; apr-qa shows it.
        seed: Seed of the playbook.
        backend: cpu or gpu.
        modality: run or chat.
    """

    repo: str
    format: str
    prompt: str
    seed: int = 0
    backend: str = "cpu"
    modality: str = "run"

    def to_json(self) -> dict[str, Any]:
        """apr-qa's object."""
        org, _, name = self.repo.rpartition("/")
        return {
            "id": f"{name}_{self.modality}_{self.backend}_{self.format}_{self.seed:016x}",
            "model": {"org": org, "name": name, "variant": None},
            "modality": self.modality,
            "backend": self.backend,
            "format": self.format,
            "prompt": self.prompt,
            "temperature": 0.0,
            "max_tokens": 32,
            "seed": self.seed,
            "trace_level": "none",
            "oracle_type": "garbage",
        }


@dataclass(frozen=True, slots=True)
class EvidenceEntry:
    """One gate's result.

    Attributes:
        gate_id: The gate, the same for pass and failure.
        scenario: What was tested.
        outcome: What became of it.
        reason: One sentence.
        output: The report of the comparison as text.
        duration_ms: Wall time.
        stderr: What the converter wrote to standard error.
        exit_code: Exit code of the converter; None where none ran as a process.
        details: Values of our own; each becomes one string in `metadata`.
        converter_version: Version of the converter under test.
        timestamp: When the gate ended.
        entry_id: 32 hexadecimal digits.
    """

    gate_id: str
    scenario: Scenario
    outcome: Outcome
    reason: str
    output: str
    duration_ms: int
    stderr: str | None = None
    exit_code: int | None = None
    details: Mapping[str, Any] = field(default_factory=dict)
    converter_version: str = "unknown"
    timestamp: datetime = field(default_factory=lambda: datetime.now(UTC))
    entry_id: str = field(default_factory=lambda: uuid4().hex)

    def to_json(self) -> dict[str, Any]:
        """apr-qa's twelve keys."""
        return {
            "id": self.entry_id,
            "gate_id": self.gate_id,
            "scenario": self.scenario.to_json(),
            "outcome": self.outcome.value,
            "reason": self.reason,
            "output": self.output,
            "stderr": self.stderr,
            "exit_code": self.exit_code,
            "metrics": {
                "tokens_per_second": None,
                "time_to_first_token_ms": None,
                "total_tokens": None,
                "memory_peak_mb": None,
                "duration_ms": self.duration_ms,
            },
            "timestamp": self.timestamp.isoformat().replace("+00:00", "Z"),
            "host": {
                "hostname": socket.gethostname(),
                "os": platform.system().lower(),
                "cpu": platform.machine(),
                "gpu": None,
                "apr_version": self.converter_version,
            },
            "metadata": {key: _as_text(value) for key, value in self.details.items()},
        }


def _as_text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))


def write_evidence(path: Path, entries: Iterable[EvidenceEntry], carried: Iterable[Mapping[str, Any]] = ()) -> None:
    """Write evidence.json whole or not at all.

    Args:
        path: The file.
        entries: Entries of a run.
        carried: Entries of earlier runs that go behind them, as they are written.

    Raises:
        AprtuiError: It cannot be written, as on a full disk.
    """
    text = json.dumps([*(entry.to_json() for entry in entries), *carried], indent=2, allow_nan=False)
    part: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=path.parent, suffix=".part", delete=False, encoding="utf-8") as file:
            part = Path(file.name)
            file.write(text + "\n")
        part.replace(path)
    except OSError as error:
        if part is not None:
            part.unlink(missing_ok=True)
        problem = f"the evidence cannot be written: {error.strerror}"
        raise AprtuiError(problem, file=path, todo="name another directory with --output-dir") from None
