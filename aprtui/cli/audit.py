"""`aprtui audit EVIDENCE…`: judges evidence files, apr-qa's and ours."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import click

from aprtui.cli import options
from aprtui.cli.output import show
from aprtui.core.json_values import to_json
from aprtui.core.outcomes import ExitCode
from aprtui.core.safe_text import safe_text
from aprtui.report.audit import EntryAudit, FileAudit, Standing, audit_evidence

_COLORS = {
    Standing.HOLDS: "green",
    Standing.CONTRADICTS: "red",
    Standing.WITHOUT_SUBSTANCE: "red",
    Standing.CANNOT_BE_KNOWN: "yellow",
}
_ORDER = (Standing.CONTRADICTS, Standing.WITHOUT_SUBSTANCE, Standing.CANNOT_BE_KNOWN, Standing.HOLDS)
_EVIDENCE = "evidence.json"


@click.command(name="audit")
@click.argument("evidence", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--playbook", type=click.Path(path_type=Path), help="Name the gates that it plans and the file lacks.")
@click.option(
    "--model", type=click.Path(path_type=Path, exists=True), help="Hold stated digests against those of this model."
)
@options.output_format
def command(evidence: tuple[Path, ...], playbook: Path | None, model: Path | None, output_format: str) -> int:
    """Judge evidence files of apr-qa or of aprtui; a directory stands for every evidence.json in it.

    Exit codes: 0 every entry holds and nothing planned is missing, 1 something does not hold, 2 the playbook is wrong,
    3 a file cannot be read.
    """
    planned = _planned(playbook) if playbook else ()
    digests = _digests(model) if model else None
    audits = [audit_evidence(path, planned=planned, model_digests=digests) for path in _files(evidence)]
    if output_format == "json":
        show(json.dumps([_as_json(audit) for audit in audits], indent=2))
    else:
        show("\n".join(_lines(audits)))
    sound = bool(audits) and all(audit.is_sound for audit in audits)
    return int(ExitCode.PASSED if sound else ExitCode.FALSIFIED)


def _files(paths: Sequence[Path]) -> list[Path]:
    return [file for path in paths for file in (sorted(path.rglob(_EVIDENCE)) if path.is_dir() else [path])]


def _planned(path: Path) -> tuple[str, ...]:
    from aprtui.engine.plan import planned_gates  # noqa: PLC0415 - evidence alone is read without a planner
    from aprtui.playbook import load_playbook  # noqa: PLC0415 - nor YAML

    return planned_gates(load_playbook(path))


def _digests(model: Path) -> dict[str, str]:
    from aprtui.formats.digest import file_digest  # noqa: PLC0415 - evidence alone needs no model

    files = [model] if model.is_file() else sorted(path for path in model.iterdir() if path.is_file())
    return {path.name: file_digest(path) for path in files}


def _lines(audits: Sequence[FileAudit]) -> Iterator[str]:
    for audit in audits:
        yield from _file_lines(audit)
        yield ""
    total: Counter[Standing] = Counter()
    for audit in audits:
        total.update(audit.counts)
    entries = sum(total.values())
    passes = sum(entry.outcome == "Corroborated" for audit in audits for entry in audit.entries)
    empty = sum(audit.empty_passes for audit in audits)
    words = ", ".join(f"{total[standing]} {standing}" for standing in Standing)
    yield click.style(f"{entries} entries in {len(audits)} files: {words}", bold=True)
    yield f"{empty} of {passes} passes are without substance or contradict themselves"


def _file_lines(audit: FileAudit) -> Iterator[str]:
    yield click.style(safe_text(audit.path), bold=True)
    yield "  " + ", ".join(f"{count} {standing}" for standing, count in audit.counts.items() if count)
    for entry, count in _grouped(audit.entries):
        standing = click.style(f"{entry.standing:<18}", fg=_COLORS[entry.standing])
        times = f"{count} x " if count > 1 else ""
        line = f"  {standing}  {safe_text(entry.gate_id):<30}  {entry.outcome:<12}  {times}{safe_text(entry.why, 200)}"
        yield line + (f"; ask for {entry.ask}" if entry.ask else "")
    for name, gates in audit.ambiguous.items():
        yield f"  {safe_text(name)} may stand for {gates}"
    yield from (f"  note: {note}" for note in audit.notes)
    if audit.missing:
        yield click.style(f"  planned and missing: {', '.join(audit.missing)}", fg="red")


def _grouped(entries: Sequence[EntryAudit]) -> list[tuple[EntryAudit, int]]:
    """Entries that say the same together, those that do not hold first."""
    groups: dict[tuple[str, ...], list[EntryAudit]] = {}
    for entry in entries:
        groups.setdefault((entry.standing, entry.gate_id, entry.outcome, entry.why), []).append(entry)
    ranked = sorted(groups.values(), key=lambda group: _ORDER.index(group[0].standing))
    return [(group[0], len(group)) for group in ranked]


def _as_json(audit: FileAudit) -> dict[str, object]:
    return {
        "file": audit.path,
        "counts": {standing.value: count for standing, count in audit.counts.items()},
        "empty_passes": audit.empty_passes,
        "entries": [to_json(entry) for entry in audit.entries],
        "ambiguous": dict(audit.ambiguous),
        "notes": list(audit.notes),
        "missing": list(audit.missing),
    }
