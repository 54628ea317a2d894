"""`aprtui watch PLAYBOOK`: runs, and runs again whenever the playbook, the model or the converter changes."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from threading import Event
from typing import Any

import click

from aprtui.cli import options
from aprtui.cli.rejudge import ask_engine
from aprtui.cli.running import RunOptions, planned_run
from aprtui.core.errors import AprtuiError, UsageError
from aprtui.core.outcomes import ExitCode
from aprtui.core.safe_text import safe_text
from aprtui.formats.model import open_model
from aprtui.playbook import Playbook, PlaybookChange, change_between, load_playbook
from aprtui.playbook.load import files_of_playbook
from aprtui.store.file_watch import changes, files_of_program
from aprtui.store.plan import Limits
from aprtui.store.register import run_of_process
from aprtui.store.run_folder import RunFolder

_SECONDS_TO_END = 30.0


@click.command(name="watch")
@click.argument("playbook", type=click.Path(path_type=Path))
@options.named_model
@options.revision
@options.sources
@options.converter
@options.gates
@options.pairs
@options.tensor_globs
@options.levels
@options.device
@options.output
@options.scratch
@options.jobs
def command(playbook: Path, **given: Any) -> int:  # noqa: ANN401 - click passes options by name
    """Run PLAYBOOK now, and again whenever it, the model or the converter changes.

    A change of tolerances alone judges the last run again and cancels nothing; any other ends a run that is going on.
    A playbook that does not load leaves the last good run as it is. Ctrl-C or SIGTERM ends it.

    Exit codes: 0 ended by SIGTERM, 130 by Ctrl-C; 2 the playbook is wrong, 3 the model is not here, both at the start.
    """
    loaded = load_playbook(playbook)
    stop = Event()
    watcher = _Watcher(loaded, _arguments(playbook, given), _watched(loaded, given))
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    try:
        watcher.run(stop)
    except KeyboardInterrupt:
        pass
    finally:
        watcher.end()
    return int(ExitCode.PASSED if stop.is_set() else ExitCode.INTERRUPTED)


def _arguments(playbook: Path, given: dict[str, Any]) -> list[str]:
    """The run as a command line."""
    arguments = [str(playbook), "--jobs", str(given["jobs"]), "--device", given["device"]]
    for option, name in (("--model", "model"), ("--revision", "revision"), ("--converter", "converter")):
        if given[name] is not None:
            arguments += [option, str(given[name])]
    for option, name in (("--output-dir", "output"), ("--scratch", "scratch")):
        if given[name] is not None:
            arguments += [option, str(given[name])]
    repeated = (
        ("--level", "levels"),
        ("--source", "sources"),
        ("--gate", "gates"),
        ("--pair", "pairs"),
        ("--tensor", "tensor_globs"),
    )
    for option, name in repeated:
        for value in given[name]:
            arguments += [option, str(value)]
    return arguments


def _watched(playbook: Playbook, given: dict[str, Any]) -> dict[Path, str]:
    """Every file to look at, with what it is.

    Raises:
        AprtuiError: The model is not on this machine or cannot be read.
    """
    request = RunOptions(
        model=given["model"], revision=given["revision"], sources=given["sources"], converter=given["converter"]
    )
    planned = planned_run(playbook, request, Limits())
    watched = dict.fromkeys(files_of_playbook(playbook.path), "playbook")
    for path in (planned.plan.model.path, *(source.path for source in planned.plan.sources)):
        container = open_model(Path(path)).container
        watched |= dict.fromkeys((*container.files, *container.companions.values()), "model")
    if planned.plan.converter is not None:
        watched |= dict.fromkeys(files_of_program(Path(planned.plan.converter.path)), "converter")
    return watched


class _Watcher:
    """The engine that runs, and what to do when a file changes.

    Args:
        playbook: As it was read first.
        arguments: Of `aprtui run`.
        watched: Files and what they are.
    """

    def __init__(self, playbook: Playbook, arguments: list[str], watched: dict[Path, str]) -> None:
        self._playbook, self._arguments, self._watched = playbook, arguments, watched
        self._engine: subprocess.Popen[bytes] | None = None

    def run(self, stop: Event) -> None:
        """Run, and look at changes until somebody stops it."""
        self._start("watching")
        for changed in changes(self._watched, stop):
            if changed:
                self._changed({self._watched[file] for file in changed}, sorted(map(str, changed)))
            elif self._engine is not None and self._engine.poll() is not None:
                code, self._engine = self._engine.returncode, None
                click.echo(f"run ended with exit code {code}; waiting for changes", err=True)

    def end(self, reason: str = "") -> None:
        """End the engine, if one runs; its journal says why."""
        engine, self._engine = self._engine, None
        if engine is None or engine.poll() is not None:
            return
        folder = run_of_process(engine.pid) if reason else None
        if folder is not None:
            folder.give_reason_to_stop(reason)
        engine.send_signal(signal.SIGTERM)
        try:
            engine.wait(_SECONDS_TO_END)
        except subprocess.TimeoutExpired:
            engine.kill()
            engine.wait()

    def _changed(self, kinds: set[str], files: list[str]) -> None:
        names = safe_text(", ".join(files[:3]) + (", …" if len(files) > 3 else ""), 300)
        try:
            now = load_playbook(self._playbook.path)
        except UsageError as error:
            click.echo(f"aprtui: {safe_text(error.message, limit=2000)}", err=True)
            click.echo("the last good run stands", err=True)
            return
        change = change_between(self._playbook, now)
        self._playbook = now
        if kinds - {"playbook"} or change is PlaybookChange.RUN_AGAIN:
            self.end(f"{names} changed: another run takes its place")
            self._start(f"changed: {names}")
        elif change is PlaybookChange.JUDGE_AGAIN:
            click.echo(f"changed: {names}; judged again", err=True)
            self._judge_again(now)

    def _start(self, why: str) -> None:
        click.echo(safe_text(why, 400), err=True)
        command = [sys.executable, "-m", "aprtui", "run", *self._arguments]
        self._engine = subprocess.Popen(command, stdin=subprocess.DEVNULL)  # noqa: S603 - our own command

    def _judge_again(self, playbook: Playbook) -> None:
        """The run that goes on takes the tolerances from here on; the last one is judged again."""
        folder = next(iter(_newest_runs(self._output(playbook))), None)
        if folder is None:
            return
        if self._engine is not None and self._engine.poll() is None:
            try:
                ask_engine(folder, playbook.tolerances)
            except AprtuiError as error:
                click.echo(f"aprtui: {safe_text(error.message, limit=2000)}", err=True)
            return
        command = [sys.executable, "-m", "aprtui", "rejudge", str(folder.path)]
        subprocess.run(command, stdin=subprocess.DEVNULL, check=False)  # noqa: S603 - our own command

    def _output(self, playbook: Playbook) -> Path:
        """Where the runs of a playbook are."""
        given = dict(zip(self._arguments, self._arguments[1:], strict=False))
        output = Path(given.get("--output-dir", "output"))
        return (output.parent if output.suffix == ".json" else output) / playbook.name / "runs"


def _newest_runs(folder: Path) -> Iterator[RunFolder]:
    if folder.is_dir():
        for path in sorted(folder.iterdir(), reverse=True):
            if RunFolder(path).exists:
                yield RunFolder(path)
