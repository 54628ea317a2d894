"""Other aprtui processes: engines that outlive the console, and short children that answer one question.

They are started with `asyncio.create_subprocess_exec`: multiprocessing cannot start one inside a running Textual
application, and what they read, model files above all, must not hold up the screen.
"""

from __future__ import annotations

import asyncio
import json
import os
import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aprtui
from aprtui.core.errors import AprtuiError
from aprtui.paths import state_folder

_MOST_BYTES = 64 << 20
_LAST_LINES = 12
_ERROR = "aprtui: "


@dataclass(frozen=True, slots=True)
class Answer:
    """What a child said.

    Attributes:
        value: The JSON on its standard output; None where there is none.
        problem: Why not; empty where there is.
        code: Its exit code.
    """

    value: Any
    problem: str
    code: int


@dataclass(frozen=True, slots=True)
class Engine:
    """An engine that was started.

    Attributes:
        process: The process, in a session of its own.
        log: What it writes to standard output and standard error.
    """

    process: asyncio.subprocess.Process
    log: Path

    def last_lines(self) -> str:
        """The end of what it wrote."""
        try:
            return "\n".join(self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-_LAST_LINES:])
        except OSError:
            return ""


def command_line(arguments: Sequence[str]) -> str:
    """The same for a shell, to show and to copy."""
    return shlex.join(["aprtui", *arguments])


def _program(arguments: Sequence[str]) -> list[str]:
    # -P: a folder named aprtui in the working directory is not ours.
    return [sys.executable, "-P", "-m", "aprtui", *arguments]


def _environment() -> dict[str, str]:
    package = str(Path(aprtui.__file__).parents[1])
    before = os.environ.get("PYTHONPATH")
    return os.environ | {"PYTHONPATH": f"{package}{os.pathsep}{before}" if before else package}


async def ask(arguments: Sequence[str], seconds: float = 60.0) -> Answer:
    """Run a command that prints JSON, and take its answer.

    Args:
        arguments: Without the program.
        seconds: Longest time; then it is killed.
    """
    process = await asyncio.create_subprocess_exec(
        *_program(arguments),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=_environment(),
        limit=_MOST_BYTES,
    )
    try:
        output, errors = await asyncio.wait_for(process.communicate(), seconds)
    except TimeoutError:
        problem = f"no answer within {seconds:g} s: {command_line(arguments)}"
        return Answer(None, problem, -1)
    finally:
        # Also where the screen that asked has gone and its task was cancelled.
        if process.returncode is None:
            process.kill()
            await process.wait()
    code = process.returncode or 0
    try:
        value = await asyncio.to_thread(json.loads, output)
    except (ValueError, RecursionError):
        lines = errors.decode("utf-8", "replace").strip().splitlines()
        return Answer(None, lines[-1] if lines else f"exit code {code} without an answer", code)
    return Answer(value, "", code)


async def tell(arguments: Sequence[str], seconds: float = 60.0) -> str:
    """Run a command that does something; the line in which it says why it did not, else nothing.

    An exit code alone says nothing: a command that judges a run has the run's.
    """
    answer = await ask(arguments, seconds)
    return answer.problem.removeprefix(_ERROR) if answer.problem.startswith(_ERROR) else ""


async def start_engine(arguments: Sequence[str]) -> Engine:
    """Start a run in a session of its own: it goes on when the terminal or the console ends.

    Raises:
        AprtuiError: It cannot be started.
    """
    folder = state_folder() / "console"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        log = folder / f"engine-{os.getpid()}-{len(list(folder.glob('engine-*')))}.log"
        with log.open("wb") as output:
            process = await asyncio.create_subprocess_exec(
                *_program(arguments),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=asyncio.subprocess.STDOUT,
                start_new_session=True,
                env=_environment(),
            )
    except OSError as error:
        raise AprtuiError(f"the engine cannot be started: {error.strerror}", file=folder) from None
    return Engine(process, log)
