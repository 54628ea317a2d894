"""`aprtui open RUN|BUNDLE|EVIDENCE`: the console on a run, at its worst row; the models need not be there any more."""

from __future__ import annotations

import json
from pathlib import Path

import click

from aprtui.cli.console import ConsoleArguments, open_console
from aprtui.core.errors import UsageError
from aprtui.store.bundle import is_bundle
from aprtui.store.register import find_run, registered_runs
from aprtui.store.run_folder import RunFolder


@click.command(name="open")
@click.argument("run", metavar="RUN|BUNDLE|EVIDENCE")
@click.option("--gate", metavar="ID", help="Show the rows of this gate.")
@click.option("--readonly", is_flag=True, help="Start, stop and write nothing.")
@click.pass_context
def command(context: click.Context, run: str, gate: str | None, readonly: bool) -> int:
    """Open the console on RUN, the id or the folder of a run, a bundle, or an evidence.json of aprtui or apr-qa.

    Evidence opens its run where that is on this machine, else what the file itself holds.

    Exit codes: 0 left, 2 there is no such run or no terminal, 3 the evidence cannot be read, 70 the console failed.
    """
    folder = run_of(run)
    if gate is not None and gate not in {one.gate_id for one in folder.plan().gates}:
        raise UsageError(f"this run has no gate {gate}", todo="`aprtui show RUN` lists the gates of a run")
    given = dict(context.obj or {})
    given["readonly"] = readonly or given.get("readonly", False)
    return open_console(ConsoleArguments(run=folder.path, gate=gate or "", **given))


def run_of(name: str) -> RunFolder:
    """The run that is meant: by folder, id, or a file of evidence, which stands for itself where its run is not here.

    Raises:
        UsageError: There is none.
        AprtuiError: The evidence cannot be read.
    """
    path = Path(name)
    if not path.is_file() or is_bundle(path):
        return find_run(name)
    if (folder := RunFolder(path.parent)).exists:
        return RunFolder(folder.path.resolve())
    wanted = entry_ids(path)
    beside = [RunFolder(one.resolve()) for one in sorted(path.parent.glob("runs/*"), reverse=True)]
    for folder in dict.fromkeys([*beside, *registered_runs()]) if wanted else ():
        if folder.exists and folder.evidence.is_file() and wanted <= entry_ids(folder.evidence):
            return folder
    from aprtui.engine.evidence_run import open_evidence  # noqa: PLC0415 - runs are opened more often

    return open_evidence(path)


def entry_ids(evidence: Path) -> set[str]:
    """Ids of the entries of an evidence.json; none where it holds no such thing."""
    try:
        return {str(entry["id"]) for entry in json.loads(evidence.read_bytes())}
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return set()
