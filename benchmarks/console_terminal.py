"""Prints what the console costs on a terminal beside its budgets; ends with exit code 1 where one is exceeded.

python benchmarks/console_terminal.py

Everything is measured from outside, on a pseudo-terminal, except the lateness of the loop, which the console under test
measures itself while this process writes its journal. Times are medians; they count on a machine that does nothing
else, so the load is printed with them. Bytecode is kept, as in an installation.
"""

# mypy: allow-untyped-calls
# The run folders come from the tests, which have no annotations.

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from time import monotonic

from terminal import ROOT, Terminal

sys.path[:0] = [ROOT, str(Path(ROOT) / "tests")]

from run_folders import alive, journal_bytes, tensor, whole_run, write_run  # noqa: E402

from aprtui.core.events import ComparisonFinished, ComparisonStarted, RunStarted, TensorFinished  # noqa: E402
from aprtui.core.outcomes import Outcome  # noqa: E402
from aprtui.store.row_cache import write_rows  # noqa: E402
from aprtui.store.run_folder import RunFolder  # noqa: E402

SIZES = ((80, 24), (200, 50))
_TIMES = 5
_STREAM_S = 6.0
_EVENTS_PER_S = 200
_ROWS = 100_000
_KEYS = ("G", "g", "ctrl+d", "ctrl+u", "f", "f again", "s", "S", "j", "k")
"""Pressed in this order, each changes the screen."""

_BYTES = {"ctrl+d": b"\x04", "ctrl+u": b"\x15"}

_BEATING = """
import asyncio, json, sys
from pathlib import Path
from time import monotonic
from aprtui.tui.app import ConsoleApp
from aprtui.tui.options import ConsoleOptions, Opening

async def beat(pilot):
    await asyncio.sleep(1.5)
    late, end = [], monotonic() + float(sys.argv[3])
    while monotonic() < end:
        began = monotonic()
        await asyncio.sleep(0.02)
        late.append(monotonic() - began - 0.02)
    Path(sys.argv[2]).write_text(json.dumps(late))
    pilot.app.exit()

ConsoleApp(ConsoleOptions(), Opening(Path(sys.argv[1]))).run(auto_pilot=beat)
"""


@dataclass(frozen=True)
class Measured:
    """One line of the table.

    Attributes:
        what: What was measured.
        value: The figure.
        budget: The largest that is allowed.
        unit: Of both, with the places behind the point as a format: ".2f s".
        processor: Seconds that were computed meanwhile, where that was measured; the same on a busy machine, nearly.
    """

    what: str
    value: float
    budget: float
    unit: str
    processor: float | None = None

    @property
    def holds(self) -> bool:
        """Whether the budget is kept."""
        return self.value <= self.budget

    @property
    def cells(self) -> tuple[str, ...]:
        """As the table shows it."""
        places, unit = self.unit.split(" ")
        computed = "" if self.processor is None else f"{self.processor:.2f} s"
        verdict = "ok" if self.holds else "OVER"
        return self.what, f"{self.value:{places}} {unit}", f"{self.budget:g} {unit}", verdict, computed


def main() -> int:
    """Measure and print.

    Returns:
        The exit code.
    """
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    before = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        os.environ["XDG_STATE_HOME"] = str(scratch / "state")
        small = write_run(scratch / "small", whole_run())
        found = [*_imports(), *_first_paint(small), *_rows(small, scratch / "rows")]
        for size in SIZES:
            found += _bytes(small, scratch / f"{size[0]}", size)
        found += _lateness(scratch / "late")
    rows = [("what", "measured", "budget", "", "processor"), *(one.cells for one in found)]
    widths = [max(len(row[column]) for row in rows) for column in range(5)]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    over = sum(not one.holds for one in found)
    print(f"\n{os.cpu_count()} processors, load {before:.1f} before and {os.getloadavg()[0]:.1f} after; {over} over")
    return int(over > 0)


def _imports() -> Iterator[Measured]:
    code = "import sys; from aprtui.cli import main; sys.argv = ['aprtui', '--help']\n"
    code += "try: main()\nexcept SystemExit: pass\n"
    run = "import sys; import aprtui.cli.run\n"
    shows = "print(*[name for name in {} if name in sys.modules], file=sys.stderr)"

    def seconds(script: str, names: tuple[str, ...]) -> tuple[float, int]:
        began = monotonic()
        command = [sys.executable, "-c", script + shows.format(names)]
        done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
        return monotonic() - began, len(done.stderr.split())

    tries = [seconds(code, ("textual", "numpy")) for _ in range(_TIMES)]
    yield Measured("aprtui --help, whole process", 1000 * median(time for time, _ in tries), 150, ".0f ms")
    yield Measured("textual, numpy imported for --help", tries[0][1], 0, ".0f modules")
    yield Measured("textual imported for a run", seconds(run, ("textual",))[1], 0, ".0f modules")


def _seconds_until(arguments: list[str], text: bytes) -> tuple[float, float]:
    """Median times from the start of the process until a text is on the screen; a first start is not counted.

    Returns:
        Of the clock and of the processor.
    """

    def once() -> tuple[float, float]:
        began = monotonic()
        with Terminal(arguments) as terminal:
            if text not in terminal.read(60, until=text):
                raise SystemExit(f"aprtui {' '.join(arguments)} did not show {text!r}")
            return monotonic() - began, terminal.processor_seconds

    once()
    times, computed = zip(*(once() for _ in range(_TIMES)), strict=True)
    return median(times), median(computed)


def _first_paint(small: RunFolder) -> Iterator[Measured]:
    for arguments, text in (([], b"PLAYBOOK"), (["open", str(small.path)], b"finished")):
        seconds, computed = _seconds_until(arguments, text)
        yield Measured(f"first paint, aprtui {' '.join(arguments[:1])}".rstrip(), seconds, 0.6, ".2f s", computed)


def _rows(small: RunFolder, scratch: Path) -> Iterator[Measured]:
    """A finished run of many rows, as its engine leaves it."""
    names = [f"model.layers.{number // 9}.mlp.part{number % 9}.weight" for number in range(_ROWS)]
    run = write_run(scratch, whole_run(names))
    write_rows(run)
    shown = f"{_ROWS + 2} of {_ROWS + 2} ".encode()
    least, least_computed = _seconds_until(["open", str(small.path)], b"8 of 8 ")
    whole, computed = _seconds_until(["open", str(run.path)], shown)
    what = f"{_ROWS} rows open, beyond a run of 8"
    yield Measured(what, whole - least, 0.3, ".2f s", computed - least_computed)
    with Terminal(["open", str(run.path)]) as terminal:
        terminal.read(60, until=shown)
        terminal.read(2)
        rounds = [[_answer(terminal, _BYTES.get(key, key[:1].encode())) for key in _KEYS] for _ in range(_TIMES)]
    slowest, key = max(zip(map(median, zip(*rounds, strict=True)), _KEYS, strict=True))
    yield Measured(f"slowest key on them: {key}", 1000 * slowest, 100, ".0f ms")


def _answer(terminal: Terminal, key: bytes) -> float:
    """Seconds from a key to the first byte that it changes on the screen."""
    terminal.read(0.3)
    began = monotonic()
    terminal.press(key)
    terminal.read(2, until=b"\x1b")
    return monotonic() - began


def _live_run(folder: Path, events: list[object]) -> RunFolder:
    started = [RunStarted("host", 1), ComparisonStarted("S~S>G", 0)]
    run: RunFolder = write_run(folder, [*started, *events], engine=alive(), comparisons=("S>G", "S>A"))
    return run


def _bytes(small: RunFolder, scratch: Path, size: tuple[int, int]) -> Iterator[Measured]:
    """First paint, idle, and streaming of 200 results a second."""
    name = f"{size[0]}x{size[1]}"
    is_small = size == SIZES[0]
    with Terminal(["open", str(small.path)], size) as terminal:
        terminal.read(8, until=b"finished")
        terminal.read(1.5)
        painted = len(terminal.output)
        idle = len(terminal.read(8)) / 8
    yield Measured(f"first paint {name}", painted / 1000, 60 if is_small else 150, ".1f kB")
    yield Measured(f"idle {name}", idle, 150, ".0f B/s")
    for truecolor, words in ((True, "truecolor"), (False, "16 colours")):
        rate = _streaming(scratch / words.replace(" ", ""), size, truecolor=truecolor)
        yield Measured(f"streaming {name}, {words}", rate / 1000, 20 if is_small else 60, ".1f kB/s")


def _streaming(scratch: Path, size: tuple[int, int], *, truecolor: bool) -> float:
    """Bytes a second while each of many tensors gets its result, in rows that are there from the start."""
    run, lines = _waiting_run(scratch)
    environment = {"TERM": "xterm-256color" if truecolor else "screen"}
    with Terminal(["open", str(run.path), "--gate", "F-CONV-S-A"], size, environment, truecolor=truecolor) as terminal:
        terminal.read(6, until=b"wait")
        terminal.read(2)
        written = len(terminal.output)
        _feed(terminal, run, lines, lambda now, began: now - began < _STREAM_S)
        return (len(terminal.output) - written) / _STREAM_S


def _waiting_run(scratch: Path) -> tuple[RunFolder, list[bytes]]:
    """A live run with a waiting row for each tensor, and the lines with their results."""
    count = _EVENTS_PER_S * int(_STREAM_S + 2)
    names = [f"model.layers.{number // 9}.mlp.part{number % 9}.weight" for number in range(count)]
    before: list[object] = [TensorFinished("S~S>G", tensor(name)) for name in names]
    before.append(ComparisonFinished("S~S>G", Outcome.CORROBORATED, "identical", 1.0, 1))
    run = _live_run(scratch, [*before, ComparisonStarted("S~S>A", 0)])
    results = [
        TensorFinished("S~S>A", tensor(name, violations=n % 7 == 3, error=n / 1e4)) for n, name in enumerate(names)
    ]
    return run, journal_bytes(results, first=9).splitlines(keepends=True)


def _feed(terminal: Terminal, run: RunFolder, lines: list[bytes], goes_on: Callable[[float, float], bool]) -> None:
    """Write lines at their rate while the terminal is read."""
    began, sent = monotonic(), 0
    with run.journal.open("ab") as journal:
        while goes_on(monotonic(), began) and not terminal.is_closed:
            due = int((monotonic() - began) * _EVENTS_PER_S)
            journal.writelines(lines[sent:due])
            sent = due
            journal.flush()
            terminal.read(0.05)


def _lateness(scratch: Path) -> Iterator[Measured]:
    """How late a 20 ms heartbeat of the console's loop is while 200 results a second come."""
    run, lines = _waiting_run(scratch)
    written = scratch / "late.json"
    with Terminal(["-c", _BEATING, str(run.path), str(written), str(_STREAM_S - 1)], module=False) as terminal:
        _feed(terminal, run, lines, lambda now, began: now - began < 30 and not written.exists())
        terminal.wait(5)
    late = sorted(json.loads(written.read_text()))
    yield Measured("loop lateness while results come, median", 1000 * median(late), 20, ".1f ms")
    yield Measured("loop lateness while results come, p99", 1000 * late[int(len(late) * 0.99)], 20, ".1f ms")


if __name__ == "__main__":
    sys.exit(main())
