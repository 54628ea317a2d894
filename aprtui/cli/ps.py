"""`aprtui ps`: the runs of this user, from any directory."""

from __future__ import annotations

from collections.abc import Iterator

import click

from aprtui.cli.output import show
from aprtui.core.errors import AprtuiError
from aprtui.core.safe_text import safe_text
from aprtui.store.register import registered_runs
from aprtui.store.run_folder import RunFolder, RunState
from aprtui.store.summary import read_record, state_of

_GOING_ON = (RunState.RUNNING, RunState.ELSEWHERE)


@click.command(name="ps")
@click.option("--all", "show_all", is_flag=True, help="Also runs that have ended.")
def command(*, show_all: bool) -> int:
    """List runs that are going on: id, state, verdicts, playbook, host, process, folder.

    Exit codes: 0 listed, also where there is none.
    """
    lines = [line for folder in registered_runs() for line in _lines(folder, show_all=show_all)]
    if lines:
        show("\n".join(lines))
    else:
        click.echo("no runs" if show_all else "no run is going on; --all lists those that have ended", err=True)
    return 0


def _lines(folder: RunFolder, *, show_all: bool) -> Iterator[str]:
    """One run; one whose folder is damaged says so."""
    try:
        plan, engine = folder.plan(), folder.engine()
        record = read_record(folder.reader().new_lines())
        state = state_of(folder, record)
    except AprtuiError as error:
        if show_all:
            yield f"{safe_text(folder.path.name):<20}  {safe_text(error.message)}"
        return
    if not show_all and state not in _GOING_ON:
        return
    verdicts = f"{len(record.verdicts())}/{len(plan.gates)}"
    heard = "" if record.last is None else f"last heard {record.last.time.astimezone():%Y-%m-%d %H:%M:%S}"
    yield (
        f"{plan.run_id:<20}  {state:<15}  {verdicts:>5}  {safe_text(plan.playbook.name):<20}  "
        f"{safe_text(engine.host)}:{engine.pid}  {heard}  {safe_text(folder.path)}"
    )
