"""`aprtui attach RUN`: the journal of a run as lines, until the run ends."""

from __future__ import annotations

from time import sleep

import click

from aprtui.cli.comparison_text import outcome_word
from aprtui.cli.output import show
from aprtui.core.events import Heartbeat
from aprtui.report.event_text import journal_line_text
from aprtui.store.register import find_run
from aprtui.store.run_folder import RunState
from aprtui.store.summary import RunRecord, exit_code_of, state_of

_SECONDS_BETWEEN_LOOKS = 0.25


@click.command(name="attach")
@click.argument("run")
def command(run: str) -> int:
    """Show what happens in RUN, the id or the folder of a run, from its beginning until it ends.

    Ctrl-C leaves the run alone. Exit codes: 0 every gate holds, else the run's own; 130 interrupted, 3 its engine died.
    """
    folder = find_run(run)
    record, reader = RunRecord(), folder.reader()
    while True:
        # Asked before reading: what an engine wrote before it ended is read after it.
        ended = state_of(folder, record) not in (RunState.RUNNING, RunState.ELSEWHERE)
        for line in reader.new_lines():
            record.add(line)
            if not isinstance(line.event, Heartbeat):
                show(journal_line_text(line, outcome_word))
        if ended:
            break
        sleep(_SECONDS_BETWEEN_LOOKS)
    state = state_of(folder, record)
    if reader.passed_over:
        click.echo(f"{reader.passed_over} damaged or unknown lines were passed over", err=True)
    if state is RunState.DIED:
        click.echo(f"the engine died; `aprtui run --resume {folder.path.name}` goes on", err=True)
    return int(exit_code_of(record))
