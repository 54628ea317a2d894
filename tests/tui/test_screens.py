"""Whole screens as SVG, against ones that somebody looked at; UPDATE_SCREENS=1 writes them anew."""

import os
from datetime import datetime
from pathlib import Path

import pytest
import textual
from console import LARGE, SMALL, drive
from run_folders import whole_run, write_run

SCREENS = Path(__file__).parents[1] / "data" / "screens"
MADE_WITH = "8.2.8"


class Clock(datetime):
    """Five past two."""

    @classmethod
    def now(cls, tz=None):
        return cls(2026, 1, 2, 14, 5, tzinfo=tz)


@pytest.mark.skipif(textual.__version__ != MADE_WITH, reason=f"the screens were made with textual {MADE_WITH}")
@pytest.mark.parametrize(
    "screen",
    [
        ("rows-80x24", SMALL, (), "aprtui-dark"),
        ("failures-200x50", LARGE, ("f",), "aprtui-dark"),
        ("detail-80x24", SMALL, ("n", "enter"), "aprtui-light"),
        ("help-80x24", SMALL, ("question_mark",), "aprtui-cvd"),
    ],
)
def test_a_screen_looks_as_it_did(screen, tmp_path, monkeypatch):
    name, size, keys, theme = screen
    monkeypatch.setattr("aprtui.tui.screens.view.datetime", Clock)
    monkeypatch.setattr("aprtui.tui.screens.view.socket.gethostname", lambda: "gpu-07")
    folder = write_run(tmp_path, whole_run(), entered=False)

    async def body(app, pilot):
        await pilot.press(*keys)
        await pilot.pause(0.5)
        svg = app.export_screenshot(title=name)
        path = SCREENS / f"{name}.svg"
        if os.environ.get("UPDATE_SCREENS"):
            path.parent.mkdir(exist_ok=True)
            path.write_text(svg, encoding="utf-8")
        assert svg == path.read_text(encoding="utf-8")

    drive(body, size=size, run=folder.path, theme=theme)
