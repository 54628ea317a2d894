"""`aprtui rejudge RUN`: what was measured, judged under the tolerances that the playbook has now."""

from __future__ import annotations

from pathlib import Path
from time import monotonic, sleep

import click

from aprtui.cli.output import show
from aprtui.cli.run_listener import ShowingListener
from aprtui.core.errors import AprtuiError, UsageError
from aprtui.core.events import TolerancesChanged
from aprtui.core.outcomes import ExitCode
from aprtui.core.tolerance import ToleranceSettings
from aprtui.engine.run import rejudge_run
from aprtui.playbook import load_playbook
from aprtui.store.plan import RunPlan
from aprtui.store.register import find_run
from aprtui.store.run_folder import RunFolder, RunState
from aprtui.store.summary import exit_code_of, read_record, state_of

_SECONDS_FOR_THE_ENGINE = 10.0


@click.command(name="rejudge")
@click.argument("run")
def command(run: str) -> int:
    """Judge RUN again under the tolerances that its playbook has now, from stored numbers: no weights are read.

    A run that is going on uses them from here on. Anything else that changed in the playbook needs a new run.

    Exit codes: 0 every gate holds, else the run's own; 2 the playbook changed in more than its tolerances; 3 the run is
    still going on.
    """
    folder = find_run(run)
    plan = folder.plan()
    tolerances = playbook_tolerances(plan)
    record = read_record(folder.reader().new_lines())
    if tolerances == (record.tolerances or plan.tolerances):
        show("the playbook's tolerances are those that the run was judged under")
        return int(exit_code_of(record))
    state = state_of(folder, record)
    if state is RunState.ELSEWHERE:
        raise UsageError(f"this run belongs to host {folder.engine().host}", file=folder.path, todo="judge it there")
    if state is RunState.RUNNING:
        ask_engine(folder, tolerances)
        show("the engine judges under the playbook's tolerances from here on")
        return int(ExitCode.ENVIRONMENT)
    with ShowingListener() as listener:
        code = rejudge_run(folder, tolerances, listener)
    show(f"{len(listener.entries)} gates were judged again")
    return int(code)


def playbook_tolerances(plan: RunPlan) -> ToleranceSettings:
    """The tolerances that a run's playbook has now.

    Raises:
        UsageError: The playbook is gone or wrong, or changed in more than its tolerances.
    """
    playbook = load_playbook(Path(plan.playbook.path))
    if playbook.fingerprint != plan.playbook.fingerprint:
        problem = "the playbook changed in more than its tolerances"
        raise UsageError(problem, file=playbook.path, todo="run it again")
    return playbook.tolerances


def ask_engine(folder: RunFolder, tolerances: ToleranceSettings) -> None:
    """Ask the engine of a run that is going on, and wait until it has taken the tolerances.

    Raises:
        AprtuiError: It does not.
    """
    folder.ask_for_tolerances(tolerances)
    reader, end = folder.reader(), monotonic() + _SECONDS_FOR_THE_ENGINE
    while monotonic() < end:
        taken = [line.event for line in reader.new_lines() if isinstance(line.event, TolerancesChanged)]
        if taken and taken[-1].tolerances == tolerances:
            return
        sleep(0.1)
    raise AprtuiError("the engine does not take the tolerances", file=folder.path, todo="`aprtui stop` ends it")
