"""`aprtui stop RUN`: end a run of this machine; what it has measured is kept."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from time import monotonic, sleep

import click

from aprtui.core.errors import UsageError
from aprtui.engine.worker_mark import worker_mark
from aprtui.store.register import find_run
from aprtui.store.run_folder import RunFolder, RunState
from aprtui.store.summary import read_record, state_of

_PATIENCE = 10.0
_SECONDS_BETWEEN_LOOKS = 0.1


@click.command(name="stop")
@click.argument("run")
@click.option("--reason", help="Why, for the run's journal.")
def command(run: str, reason: str | None) -> int:
    """Stop RUN, the id or the folder of a run; an engine that does not end within 10 s is killed.

    Exit codes: 0 it has stopped or had ended before, 2 it runs on another host.
    """
    folder = find_run(run)
    name = folder.path.name
    state = state_of(folder, read_record(folder.reader().new_lines()))
    if state is RunState.ELSEWHERE:
        raise UsageError(f"run {name} belongs to host {folder.engine().host}", todo="stop it there")
    if state is RunState.RUNNING:
        if reason:
            folder.give_reason_to_stop(reason)
        stop_engine(folder)
        click.echo(f"{name} stopped; `aprtui run --resume {name}` goes on with it")
    else:
        click.echo(f"{name} is not running: {state}")
    # An engine that was killed leaves its workers to their guards, and those to this.
    worker_mark(folder.path).end_processes()
    return 0


def stop_engine(folder: RunFolder) -> None:
    """Ask the engine to end, then make it."""
    engine = folder.engine()
    for number in (signal.SIGTERM, signal.SIGKILL):
        if engine.is_alive:
            with suppress(ProcessLookupError):
                os.kill(engine.pid, number)
        deadline = monotonic() + _PATIENCE
        while engine.is_alive and monotonic() < deadline:
            sleep(_SECONDS_BETWEEN_LOOKS)
