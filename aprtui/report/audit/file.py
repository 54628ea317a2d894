"""Audits one evidence file: entry by entry, then what is true of the whole."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from aprtui.core.gate_table import gate_of
from aprtui.core.gates import GateFamily
from aprtui.report.audit.facts import EntryAudit, FileAudit
from aprtui.report.audit.own import has_own_tolerances, is_ours, judge_ours
from aprtui.report.audit.reading import StoredEntry, read_entries
from aprtui.report.audit.rules import PASSING_PAIR, epsilon_of, judge

_ASKED_OF_OTHERS = (GateFamily.PAIR, GateFamily.ROUND_TRIP, GateFamily.TWO_ROUTES)
_LETTERS = {"SafeTensors": "S", "Gguf": "G", "Apr": "A"}
_ALSO_PASSES_AS = {
    ("Gguf", "Gguf"): ("F-CONV-RT-001",),
    ("SafeTensors", "SafeTensors"): ("F-CONV-RT-002", "F-CONV-RT-003"),
    ("Apr", "SafeTensors"): ("F-CONV-RT-004",),
    ("SafeTensors", "Apr"): ("F-CONV-RT-BYTE-001",),
    ("Gguf", "Apr"): ("F-CONV-IDEM-001", "F-CONV-COM-001"),
}
"""Gates whose passes apr-qa stores under the id of their first and last format (conversion.rs)."""


def audit_evidence(
    path: Path,
    *,
    planned: Sequence[str] = (),
    model_digests: Mapping[str, str] | None = None,
    entries: Sequence[StoredEntry] | None = None,
) -> FileAudit:
    """Audit a file.

    Args:
        path: An evidence.json of apr-qa or of aprtui.
        planned: Ids of the gates that a playbook plans. Of files of apr-qa only those about conversions are asked,
            because what it writes under other ids is not what aprtui's gates of that name ask.
        model_digests: Digests of the model at hand, by file name.
        entries: Its entries, where they were read already.

    Raises:
        AprtuiError: The file cannot be read.
    """
    entries = read_entries(path) if entries is None else entries
    if not any(map(is_ours, entries)):
        planned = [gate for gate in planned if gate_of(gate).family in _ASKED_OF_OTHERS]
    model = _model(entries)
    audits = tuple(
        judge_ours(entry, model_digests or {}) if is_ours(entry) else judge(entry, model) for entry in entries
    )
    ambiguous = _ambiguous(entries)
    answered = {entry.gate_id for entry in entries} | {gate for gates in ambiguous.values() for gate in gates}
    return FileAudit(
        path=str(path),
        entries=audits,
        ambiguous={name: " or ".join(gates) for name, gates in ambiguous.items()},
        notes=tuple(_notes(entries, audits, model_digests)),
        missing=tuple(gate for gate in dict.fromkeys(planned) if gate not in answered),
    )


def _model(entries: Sequence[StoredEntry]) -> str:
    """The model of the file: conversions name none."""
    names = Counter(entry.model for entry in entries if entry.model not in ("conversion/test", "/"))
    return names.most_common(1)[0][0] if names else "org/model"


def _ambiguous(entries: Sequence[StoredEntry]) -> dict[str, tuple[str, ...]]:
    """Passing ids with the gates that they may stand for."""
    found: dict[str, tuple[str, ...]] = {}
    for entry in (entry for entry in entries if not is_ours(entry)):
        match = PASSING_PAIR.match(entry.gate_id)
        if match is None:
            continue
        one, other = match.group(1), match.group(2)
        pair = (f"F-CONV-{_LETTERS[one]}-{_LETTERS[other]}",) if one != other else ()
        found[entry.gate_id] = (*pair, *_ALSO_PASSES_AS.get((one, other), ()))
    return found


def _notes(
    entries: Sequence[StoredEntry], audits: Sequence[EntryAudit], model_digests: Mapping[str, str] | None
) -> Iterator[str]:
    if not entries:
        yield "the file holds no entry: nothing was tested"
    nameless = sum(entry.model == "conversion/test" for entry in entries)
    if nameless:
        yield f"{nameless} entries name the model conversion/test: which model was converted is not stored"
    theirs = [entry for entry in entries if not is_ours(entry)]
    if theirs:
        yield f"{len(theirs)} entries hold no digest of any file and no version of the converter"
    replaced = sum(has_own_tolerances(entry) for entry in entries if is_ours(entry))
    if replaced:
        yield f"{replaced} entries were judged under tolerances of their playbook in place of the rules' own"
    epsilons = Counter(found for entry in theirs if (found := epsilon_of(entry)) is not None)
    targets = {target for _, target in epsilons}
    if len(targets) > 1 and len({epsilon for epsilon, _ in epsilons}) == 1:
        (epsilon, _), *_ = epsilons
        yield (
            f"{epsilons.total()} conversions into {' and '.join(sorted(targets))} were judged by one epsilon of "
            f"{epsilon:g}, whatever their types can hold (measurement.one_epsilon)"
        )
    loosened = sum("loosened" in audit.why for audit in audits)
    if loosened:
        yield f"{loosened} passes have differences above 1e-6: the rule was replaced, not met"
    if model_digests and not any(is_ours(entry) for entry in entries):
        yield "whether the entries are about the model at hand cannot be known: they state no digest"
