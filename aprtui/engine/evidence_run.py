"""An evidence.json without its run folder as a run that can be read: its gates, and what it holds of their comparisons.

It is unpacked into a temporary folder as a bundle is, so that everything that shows runs shows this one, too. What the
evidence does not hold is listed in the folder's facts, never made up.
"""

from __future__ import annotations

import json
import re
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from aprtui.core.diagnosis import Diagnosis
from aprtui.core.errors import AprtuiError
from aprtui.core.events import (
    AUDIT,
    ComparisonFinished,
    ComparisonStarted,
    ConverterFacts,
    Diagnosed,
    Event,
    GateFinished,
    JournalLine,
    LevelFinished,
    RunFinished,
    TensorFinished,
)
from aprtui.core.findings import FindingKind, LevelResult
from aprtui.core.json_values import from_json
from aprtui.core.outcomes import Level, Outcome
from aprtui.core.results import TensorResult
from aprtui.core.tolerance import ToleranceSettings
from aprtui.report.audit import EntryAudit, FileAudit, Standing, audit_evidence
from aprtui.report.audit.reading import StoredEntry, read_entries
from aprtui.store.bundle import BundleFacts, temporary_folder
from aprtui.store.plan import Limits, ModelFacts, PlannedComparison, PlannedGate, PlaybookFacts, RunPlan
from aprtui.store.run_folder import BUNDLE_FACTS, RunFolder
from aprtui.store.summary import run_exit_code

_RUN_ID = re.compile(r"[0-9A-Za-z][0-9A-Za-z._-]{0,79}")
_OURS = ("all tensors but the worst", "the log", "maps of errors")
_FOREIGN = ("tensors", "tolerances", "digests of files")


def open_evidence(path: Path) -> RunFolder:
    """Unpack evidence into a temporary folder, which goes when this process ends.

    Args:
        path: An evidence.json of apr-qa or of aprtui.

    Raises:
        AprtuiError: It cannot be read, holds no entries, or there is no room for it.
    """
    entries = read_entries(path)
    audit = audit_evidence(path, entries=entries)
    if not entries:
        raise AprtuiError("the evidence holds no entry: nothing was tested", file=path)
    evidence = _Evidence(path, entries, audit)
    folder = RunFolder(temporary_folder() / evidence.run_id)
    try:
        folder.path.mkdir()
        folder.write_plan(evidence.plan())
        with folder.journal.open("wb") as journal:
            for number, event in enumerate(evidence.events()):
                journal.write(JournalLine(evidence.run_id, number, evidence.time, event).to_bytes())
        shutil.copyfile(path, folder.evidence)
        (folder.path / BUNDLE_FACTS).write_bytes(evidence.facts().to_bytes())
    except OSError as error:
        raise AprtuiError(f"the evidence cannot be opened: {error.strerror}", file=path) from None
    return folder


class _Evidence:
    """A file of evidence as plan and events of a run."""

    def __init__(self, path: Path, entries: Sequence[StoredEntry], audit: FileAudit) -> None:
        self._path, self._entries, self._audit = path, entries, audit
        self._metadata = entries[0].metadata
        self._not_understood = 0
        run = self._metadata.get("run")
        self.run_id = run if isinstance(run, str) and _RUN_ID.fullmatch(run) else "evidence"
        self.time = datetime.fromtimestamp(path.stat().st_mtime, UTC)
        self._comparisons = self._richest()
        self._gate_ids = list(_distinct(entry.gate_id for entry in entries))

    def _richest(self) -> dict[str, Mapping[str, Any]]:
        """Of each comparison the entry that says most of it: those of content gates are short."""
        found: dict[str, Mapping[str, Any]] = {}
        for entry in self._entries:
            for one in _comparisons(entry):
                known = found.get(one["comparison"])
                if known is None or ("worst_tensors" in one and "worst_tensors" not in known):
                    found[one["comparison"]] = one
        return found

    def plan(self) -> RunPlan:
        """As far as the entries say what was planned."""
        playbook, model = _object(self._metadata, "playbook"), _object(self._metadata, "model")
        converter = None
        with suppress(ValueError):
            converter = from_json(ConverterFacts, _object(self._metadata, "converter"))
        name = next((entry.model for entry in self._entries if entry.model not in ("/", "conversion/test")), "")
        return RunPlan(
            run_id=self.run_id,
            playbook=PlaybookFacts(
                path=_text(playbook, "path"),
                name=_text(playbook, "name") or name.strip("/") or self._path.name,
                version=_text(playbook, "version"),
                repo=name,
                seed=0,
                digest=_text(playbook, "digest"),
                fingerprint=_text(playbook, "fingerprint"),
            ),
            model=ModelFacts(_text(model, "path") or name, _text(model, "how"), None),
            sources=(),
            converter=converter,
            gates=tuple(
                PlannedGate(gate, tuple(one["comparison"] for one in _comparisons(entry)))
                for gate, entry in zip(self._gate_ids, self._entries, strict=True)
            ),
            comparisons=tuple(_planned(one) for one in self._comparisons.values()),
            conversions=(),
            not_planned=(),
            tolerances=ToleranceSettings(),
            selection=(),
            limits=Limits(),
            evidence=str(self._path),
            scratch="",
            keeps_products=False,
            ignores_kept=False,
            aprtui_version=_text(self._metadata, "aprtui_version"),
            rules_version=_text(self._metadata, "rules_version"),
        )

    def events(self) -> Iterator[Event]:
        """What became of comparisons and gates."""
        for name, one in self._comparisons.items():
            yield ComparisonStarted(name, 0)
            yield from self._measured(name, one)
            not_checked = tuple(map(str, _list(one, "not_checked")))
            yield ComparisonFinished(name, _outcome(one.get("outcome")), _text(one, "reason"), not_checked=not_checked)
        verdicts = [
            _verdict(gate, entry, audit)
            for gate, entry, audit in zip(self._gate_ids, self._entries, self._audit.entries, strict=True)
        ]
        yield from verdicts
        yield RunFinished(int(run_exit_code(self.plan(), verdicts)))

    def _measured(self, name: str, one: Mapping[str, Any]) -> Iterator[Event]:
        kept: set[str] = set()
        for item in _list(one, "worst_tensors"):
            try:
                tensor = from_json(TensorResult, _tensor(item))
            except (ValueError, TypeError):
                self._not_understood += 1
                continue
            kept.add(tensor.name)
            yield TensorFinished(name, tensor)
        for item in _list(one, "levels"):
            if isinstance(item, dict) and "findings" in item:
                try:
                    yield LevelFinished(name, from_json(LevelResult, _level(item, kept)))
                except (ValueError, TypeError):
                    self._not_understood += 1
        if "causes" in (diagnosis := _object(one, "diagnosis")):
            try:
                yield Diagnosed(name, from_json(Diagnosis, diagnosis))
            except (ValueError, TypeError):
                self._not_understood += 1

    def facts(self) -> BundleFacts:
        """What the evidence does not hold."""
        left_out: tuple[str, ...] = _OURS if "aprtui_version" in self._metadata else _FOREIGN
        if self._not_understood:
            left_out = (f"{self._not_understood} parts that cannot be understood", *left_out)
        return BundleFacts.now(left_out, evidence=str(self._path))


def _distinct(names: Iterator[str]) -> Iterator[str]:
    """Names with "#2", "#3" behind those that were there before: apr-qa has several entries of one gate."""
    seen: Counter[str] = Counter()
    for name in names:
        seen[name] += 1
        yield name if seen[name] == 1 else f"{name}#{seen[name]}"


def _comparisons(entry: StoredEntry) -> list[Mapping[str, Any]]:
    items = _list(entry.metadata, "comparisons")
    return [item for item in items if isinstance(item, dict) and isinstance(item.get("comparison"), str)]


def _planned(one: Mapping[str, Any]) -> PlannedComparison:
    name = one["comparison"]
    source, _, target = name.partition("~")
    levels = [item.get("level") for item in _list(one, "levels") if isinstance(item, dict)]
    asked_for = one.get("asked_for")
    return PlannedComparison(
        name,
        source,
        target or source,
        levels=tuple(level for level in Level if level.value in levels),
        asked_for=asked_for if isinstance(asked_for, str) else None,
    )


def _tensor(item: object) -> dict[str, Any]:
    """The journal's form of what evidence says of a tensor.

    Raises:
        TypeError: It says something else.
    """
    if not isinstance(item, dict):
        raise TypeError
    origin, _, set_by = str(item.get("origin", "")).partition("; ")
    fields = {key: item.get(key) for key in ("rule", "limit")}
    tolerance = fields | {"dtype": item.get("target_dtype"), "origin": origin, "set_by": set_by}
    judgement = {key: item.get(key) for key in ("outcome", "margin", "needed")}
    judgement |= {"unit": item.get("margin_unit"), "sentence": item.get("measured")}
    return item | {"record": item.get("statistics"), "tolerance": tolerance, "judgement": judgement}


def _level(item: Mapping[str, Any], kept: set[str]) -> dict[str, Any]:
    """A level in which a failing tensor that is not held whole is a finding like others, so that it gets its row."""
    findings = []
    for finding in _list(item, "findings"):
        if isinstance(finding, dict):
            held = finding.get("kind") == FindingKind.TOLERANCE and finding.get("subject") in kept
            other = finding.get("kind") if held or finding.get("kind") != FindingKind.TOLERANCE else None
            findings.append({**finding, "kind": other or FindingKind.OTHER.value})
    return {**item, "findings": findings}


def _verdict(gate: str, entry: StoredEntry, audit: EntryAudit) -> GateFinished:
    """An entry as stored; what its audit finds stands in the details."""
    outcome = _outcome(entry.outcome)
    reason = entry.reason
    if outcome.value != entry.outcome:
        reason = f"its outcome is {entry.outcome or 'missing'}, which is none: {reason}"
    if outcome is Outcome.CORROBORATED and entry.prompt:
        reason = f"{entry.prompt}: {reason}"
    holds = audit.standing is Standing.HOLDS
    details = {} if holds else {AUDIT: f"{audit.standing}: {audit.why}"}
    return GateFinished(gate, outcome, reason, "", 0, output=entry.output, details=details, stderr=entry.stderr or None)


def _outcome(value: object) -> Outcome:
    try:
        return Outcome(str(value))
    except ValueError:
        return Outcome.SKIPPED


def _parsed(value: object) -> object:
    """Values of metadata are texts; those of ours hold JSON."""
    if isinstance(value, str) and value[:1] in ("{", "["):
        with suppress(ValueError, RecursionError):
            return json.loads(value)
    return value


def _list(value: Mapping[str, Any], key: str) -> list[Any]:
    found = _parsed(value.get(key))
    return found if isinstance(found, list) else []


def _object(value: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    found = _parsed(value.get(key))
    return found if isinstance(found, dict) else {}


def _text(value: Mapping[str, Any], key: str) -> str:
    found = value.get(key)
    return found if isinstance(found, str) else ""
