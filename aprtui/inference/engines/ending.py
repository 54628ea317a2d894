"""How a process that ran an engine ended: in order, with an error, out of time, or by a crash."""

from __future__ import annotations

import re
import signal

from aprtui.core.scenarios import Ending
from aprtui.processes.run import CommandResult

_PANIC_CODE = 101
_SHELL = 128
_PANIC = re.compile(r"thread '[^']*'.* panicked at|double free or corruption|^panic: ", re.MULTILINE)
_BY_OTHERS = frozenset({signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP})
_FATAL = frozenset({signal.SIGILL, signal.SIGABRT, signal.SIGBUS, signal.SIGFPE, signal.SIGSEGV})


def ending_of(result: CommandResult, said: str = "") -> tuple[Ending, str]:
    """How a process ended, and the same in words ("ended with exit code 8: …").

    Args:
        result: The process.
        said: Its standard error; a panic of Rust or Go is known by its words.
    """
    if result.timed_out:
        return Ending.TIMEOUT, f"did not end in {result.seconds:.0f} s"
    # A shell that started the program gives its signal on as an exit code.
    number = -result.exit_code if result.exit_code < 0 else result.exit_code - _SHELL
    if number in _BY_OTHERS:
        return Ending.KILLED, f"was killed ({signal.Signals(number).name}), by somebody or for want of memory"
    if result.exit_code < 0 or number in _FATAL:
        return Ending.CRASHED, result.ending
    if result.exit_code == _PANIC_CODE or (result.exit_code and _PANIC.search(said)):
        return Ending.CRASHED, f"panicked: it {result.ending}"
    return (Ending.FAILED if result.exit_code else Ending.ANSWERED), result.ending
