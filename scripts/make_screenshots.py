"""Makes the pictures of docs/console.md: the demo's failing run, and one over what apr 0.72.3 wrote of a small llama.

    python scripts/make_screenshots.py

Needs `rsvg-convert` (Debian: librsvg2-bin) and the fixtures of the tests.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from svg_to_png import to_png

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from fixture_files import FIXTURES  # noqa: E402
from stand_in_apr import install_apr  # noqa: E402

from aprtui.cli.broken_converter import BrokenConverter  # noqa: E402
from aprtui.cli.demo import BROKEN_TOGETHER  # noqa: E402
from aprtui.cli.running import RunOptions, planned_run, run_planned  # noqa: E402
from aprtui.convert.converter import Converter  # noqa: E402
from aprtui.demo import MODEL  # noqa: E402
from aprtui.engine.selection import select  # noqa: E402
from aprtui.paths import playbooks_folder  # noqa: E402
from aprtui.playbook import load_playbook  # noqa: E402
from aprtui.settings import ConsoleSettings  # noqa: E402
from aprtui.store.plan import Limits  # noqa: E402
from aprtui.store.run_folder import RunFolder  # noqa: E402
from aprtui.tui.app import ConsoleApp  # noqa: E402
from aprtui.tui.options import ConsoleOptions, Opening  # noqa: E402

FOLDER = ROOT / "docs" / "screens"
SMALL, LARGE = (80, 24), (200, 50)
_PIXELS = {SMALL: 1000, LARGE: 2000}


@dataclass(frozen=True, slots=True)
class Picture:
    """One picture.

    Attributes:
        name: Of the file.
        size: Columns and rows.
        keys: What is pressed before; a number waits so many seconds.
        theme: Colours.
    """

    name: str
    size: tuple[int, int]
    keys: tuple[str | float, ...] = ()
    theme: str = "aprtui-dark"


DEMO = (
    Picture("demo-80x24", SMALL),
    Picture("demo-200x50", LARGE, ("f", 1.0)),
    Picture("demo-causes-80x24", SMALL, ("i", 0.5)),
)
_Q_PROJ = ("slash", *"q_proj", "enter", "enter", 8.0)
LLAMA = (
    Picture("llama-80x24", SMALL, ("slash", *"_proj", "enter", 0.5)),
    Picture("llama-200x50", LARGE, ("slash", *"_proj", "enter", "n", "n", 1.0)),
    Picture("llama-detail-80x24", SMALL, _Q_PROJ),
    Picture("llama-map-200x50", LARGE, (*_Q_PROJ, *["plus"] * 7, 6.0)),
    Picture("llama-histogram-80x24", SMALL, (*_Q_PROJ, *["pagedown"] * 2, *["j"] * 10, 0.5)),
    Picture("llama-gates-80x24", SMALL, ("t", *["j"] * 15, 0.5)),
    Picture("llama-launch-80x24", SMALL, ("r", 8.0)),
    Picture("llama-light-80x24", SMALL, ("f",), "aprtui-light"),
    Picture("llama-cvd-80x24", SMALL, ("f",), "aprtui-cvd"),
    Picture("help-80x24", SMALL, ("question_mark", 0.5)),
)


def main() -> None:
    """Run both playbooks, take the pictures."""
    socket.gethostname = lambda: "gpu-07"
    FOLDER.mkdir(exist_ok=True)
    with fresh_folder() as scratch:
        os.environ |= {"XDG_STATE_HOME": str(scratch / "state"), "PATH": f"{scratch / 'bin'}:{os.environ['PATH']}"}
        install_apr(scratch / "bin", "0.72.3")
        broken = BrokenConverter(BROKEN_TOGETHER)
        demo = run(playbooks_folder() / "demo.playbook.yaml", MODEL, scratch, broken, pairs=("S-G",))
        playbook = scratch / "llama-tiny256.playbook.yaml"
        playbook.write_text('name: llama-tiny256\nversion: "1.0.0"\nmodel:\n  hf_repo: org/llama-tiny256\n')
        model = shutil.copytree(FIXTURES / "llama-tiny256" / "hf", scratch / "llama-tiny256")
        llama = run(playbook, model, scratch, None)
        for folder, pictures in ((demo, DEMO), (llama, LLAMA)):
            for picture in pictures:
                asyncio.run(take(folder, picture, scratch))
                print(FOLDER / f"{picture.name}.png")


@contextmanager
def fresh_folder() -> Iterator[Path]:
    """A folder that is called the same on every machine, because its name is in the pictures."""
    folder = Path(tempfile.gettempdir()) / "aprtui"
    folder.mkdir(mode=0o700)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


def run(
    playbook: Path, model: Path, scratch: Path, converter: Converter | None, *, pairs: tuple[str, ...] = ()
) -> RunFolder:
    """A run whose products stay."""
    selection = select((), pairs, (), ())
    request = RunOptions(model=model, selection=selection, output=scratch / "out", scratch=scratch / "products")
    planned = planned_run(load_playbook(playbook), request, Limits(2), converter)
    run_planned(planned)
    return planned.folder


async def take(folder: RunFolder, picture: Picture, scratch: Path) -> None:
    """Open the console on a run, press keys, save what is seen."""
    options = ConsoleOptions(settings=ConsoleSettings(theme=picture.theme))
    app = ConsoleApp(options, Opening(folder.path))
    async with app.run_test(size=picture.size) as pilot:
        await pilot.pause(1.5)
        for key in picture.keys:
            await (pilot.press(key) if isinstance(key, str) else pilot.pause(key))
        await pilot.pause(0.5)
        svg = scratch / f"{picture.name}.svg"
        svg.write_text(app.export_screenshot(title="aprtui"), encoding="utf-8")
    to_png(svg, FOLDER / f"{picture.name}.png", _PIXELS[picture.size])


if __name__ == "__main__":
    main()
