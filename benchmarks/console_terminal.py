"""Prints what the console costs on a terminal beside its budgets: first paint, bytes on the wire, loop lateness, rows.

python benchmarks/console_terminal.py
"""

# mypy: allow-untyped-calls
# The run folders come from the tests, which have no annotations.

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from time import monotonic

from terminal import ROOT, Terminal

sys.path[:0] = [ROOT, str(Path(ROOT) / "tests")]

from run_folders import alive, journal_bytes, tensor, whole_run, write_run  # noqa: E402

from aprtui.core.events import ComparisonFinished, ComparisonStarted, Heartbeat, RunStarted, TensorFinished  # noqa: E402
from aprtui.core.outcomes import Outcome  # noqa: E402
from aprtui.store.run_folder import RunFolder  # noqa: E402

SIZES = ((80, 24), (200, 50))
_STREAM_S = 6.0
_EVENTS_PER_S = 200
_TENSORS = 400


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as scratch:
        os.environ["XDG_STATE_HOME"] = str(Path(scratch) / "state")
        rows = [("what", "measured", "budget", "")]
        rows += list(_imports())
        for size in SIZES:
            rows += list(_bytes(Path(scratch) / f"{size[0]}", size))
        rows += list(_rows(Path(scratch) / "rows"))
        rows += list(_lateness(Path(scratch) / "late"))
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def _verdict(value: float, budget: float) -> str:
    return "ok" if value <= budget else "OVER"


def _imports() -> Iterator[tuple[str, str, str, str]]:
    code = (
        "import sys; from aprtui.cli import main; sys.argv = ['aprtui', '--help']\ntry: main()\nexcept SystemExit: pass"
    )
    code += "\nprint(*[name for name in ('textual', 'numpy') if name in sys.modules], file=sys.stderr)"
    best = 1e9
    for _ in range(3):
        began = monotonic()
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
        best = min(best, monotonic() - began)
    heavy = done.stderr.strip() or "neither"
    yield "aprtui --help, whole process", f"{best * 1000:.0f} ms", "(150 ms of imports)", ""
    yield "aprtui --help imports textual or numpy", heavy, "neither", "ok" if heavy == "neither" else "OVER"


def _live_run(folder: Path, events: list[object]) -> RunFolder:
    started = [RunStarted("host", 1), ComparisonStarted("S~S>G", 0)]
    run: RunFolder = write_run(folder, [*started, *events], engine=alive(), comparisons=("S>G", "S>A"))
    return run


def _bytes(scratch: Path, size: tuple[int, int]) -> Iterator[tuple[str, str, str, str]]:
    """First paint, idle, and streaming of 200 results a second."""
    name = f"{size[0]}x{size[1]}"
    small = size == SIZES[0]
    done = write_run(scratch / "done", whole_run())
    began = monotonic()
    with Terminal(["open", str(done.path)], size) as terminal:
        terminal.read(8, until=b"finished")
        first = monotonic() - began
        terminal.read(1.5)
        painted = len(terminal.output)
        idle = len(terminal.read(8)) / 8
    yield f"first paint {name}", f"{first:.2f} s", "0.6 s", _verdict(first, 0.6)
    limit = 60_000 if small else 150_000
    yield f"first paint {name}", f"{painted / 1000:.1f} kB", f"{limit // 1000} kB", _verdict(painted, limit)
    yield f"idle {name}", f"{idle:.0f} B/s", "150 B/s", _verdict(idle, 150)
    limit = 20_000 if small else 60_000
    for truecolor, words in ((True, "truecolor"), (False, "16 colours")):
        rate = _streaming(scratch / words.replace(" ", ""), size, truecolor=truecolor)
        yield f"streaming {name}, {words}", f"{rate / 1000:.1f} kB/s", f"{limit // 1000} kB/s", _verdict(rate, limit)


def _streaming(scratch: Path, size: tuple[int, int], *, truecolor: bool) -> float:
    """Each of many tensors gets its result, 200 a second, in rows that are there from the start."""
    names = _names(_EVENTS_PER_S * int(_STREAM_S + 1))
    before: list[object] = [TensorFinished("S~S>G", tensor(name)) for name in names]
    before.append(ComparisonFinished("S~S>G", Outcome.CORROBORATED, "identical", 1.0, 1))
    run = _live_run(scratch, [*before, ComparisonStarted("S~S>A", 0)])
    results = [
        TensorFinished("S~S>A", tensor(name, violations=n % 7 == 3, error=n / 1e4)) for n, name in enumerate(names)
    ]
    lines = journal_bytes(results, first=9).splitlines(keepends=True)
    environment = {"TERM": "xterm-256color" if truecolor else "screen"}
    with Terminal(["open", str(run.path), "--gate", "F-CONV-S-A"], size, environment, truecolor=truecolor) as terminal:
        terminal.read(6, until=b"wait")
        terminal.read(2)
        written, end, sent = len(terminal.output), monotonic() + _STREAM_S, 0
        with run.journal.open("ab") as journal:
            while monotonic() < end:
                journal.writelines(lines[sent : sent + _EVENTS_PER_S // 20])
                sent += _EVENTS_PER_S // 20
                journal.flush()
                terminal.read(0.05)
        return (len(terminal.output) - written) / _STREAM_S


def _names(count: int) -> list[str]:
    return [f"model.layers.{number // 9}.mlp.part{number % 9}.weight" for number in range(count)]


def _rows(scratch: Path) -> Iterator[tuple[str, str, str, str]]:
    from aprtui.tui.app import ConsoleApp  # noqa: PLC0415
    from aprtui.tui.options import ConsoleOptions, Opening  # noqa: PLC0415

    names = _names(100_000)
    run = _live_run(scratch, [Heartbeat(())])

    async def measured() -> tuple[float, float]:
        app = ConsoleApp(ConsoleOptions(), Opening(run.path))
        async with app.run_test(size=SIZES[0]) as pilot:
            await pilot.pause(1)
            view = app.current
            assert view is not None
            began = monotonic()
            view.take_inventory(names)
            view.columns.changed.clear()
            app.screen.show_run(view)  # type: ignore[attr-defined]  # the Diff view is in front
            opened = monotonic() - began
            await pilot.pause(0.5)
            worst = 0.0
            for key in ("G", "g", "ctrl+d", "f"):
                began = monotonic()
                await pilot.press(key)
                worst = max(worst, monotonic() - began)
            return opened, worst

    opened, pressed = asyncio.run(measured())
    yield "100 000 rows open", f"{opened:.2f} s", "0.3 s", _verdict(opened, 0.3)
    yield (
        "slowest key on them (with the pilot's own wait)",
        f"{pressed * 1000:.0f} ms",
        "100 ms",
        _verdict(pressed, 0.1),
    )


def _lateness(scratch: Path) -> Iterator[tuple[str, str, str, str]]:
    """How late a 20 ms heartbeat of the console's loop is while 200 results a second come."""
    from aprtui.tui.app import ConsoleApp  # noqa: PLC0415
    from aprtui.tui.options import ConsoleOptions, Opening  # noqa: PLC0415

    names = _names(_TENSORS)
    results = [TensorFinished("S~S>G", tensor(one, violations=number % 3)) for number, one in enumerate(names)]
    run = _live_run(scratch, list(results))
    writer = (
        "import sys, time\nlines = open(sys.argv[2], 'rb').readlines()\nend = time.time() + 6\n"
        "out = open(sys.argv[1], 'ab')\nn = 0\n"
        "while time.time() < end:\n    out.write(lines[n % len(lines)]); n += 1\n    out.flush(); time.sleep(0.005)\n"
    )
    lines = scratch / "lines"
    lines.write_bytes(journal_bytes(results, first=2))

    async def measured() -> list[float]:
        late: list[float] = []
        app = ConsoleApp(ConsoleOptions(), Opening(run.path))
        async with app.run_test(size=(80, 24)) as pilot:
            await pilot.pause(1.5)
            process = subprocess.Popen([sys.executable, "-c", writer, str(run.journal), str(lines)])
            end = monotonic() + 5
            while monotonic() < end:
                began = monotonic()
                await asyncio.sleep(0.02)
                late.append(monotonic() - began - 0.02)
            process.wait()
        return sorted(late)

    late = asyncio.run(measured())
    median, p99 = late[len(late) // 2] * 1000, late[int(len(late) * 0.99)] * 1000
    yield "loop lateness while results come, median", f"{median:.1f} ms", "", ""
    yield "loop lateness while results come, p99", f"{p99:.1f} ms", "20 ms", _verdict(p99, 20)


if __name__ == "__main__":
    main()
