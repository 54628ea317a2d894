"""Draws Textual's screenshots as PNG with `rsvg-convert` (Debian: librsvg2-bin), which trims blanks that SVG keeps.

Every run of text is moved to its first visible character first, so that nothing stands where it does not belong.
"""

from __future__ import annotations

import html
import re
import shutil
import subprocess
import sys
from pathlib import Path

_TEXT = re.compile(
    r'<text(?P<head>[^>]*?) x="(?P<x>[\d.]+)"(?P<middle>[^>]*?) textLength="(?P<length>[\d.]+)"(?P<tail>[^>]*)>'
    r"(?P<text>[^<]*)</text>"
)
_BLANKS = " \xa0"


def without_outer_blanks(svg: str) -> str:
    """The same picture with text elements that begin and end with a visible character."""
    return _TEXT.sub(_moved, svg)


def _moved(match: re.Match[str]) -> str:
    text = html.unescape(match["text"])
    visible = text.strip(_BLANKS)
    if not visible:
        return ""
    cell = float(match["length"]) / len(text)
    left = len(text) - len(text.lstrip(_BLANKS))
    x, length = float(match["x"]) + left * cell, len(visible) * cell
    shown = html.escape(visible.replace(" ", "\xa0"))
    return f'<text{match["head"]} x="{x:.2f}"{match["middle"]} textLength="{length:.2f}"{match["tail"]}>{shown}</text>'


def to_png(svg: Path, png: Path, width: int) -> None:
    """Draw a screenshot.

    Raises:
        SystemExit: There is no rsvg-convert.
    """
    program = shutil.which("rsvg-convert")
    if program is None:
        sys.exit("rsvg-convert is missing: apt-get install librsvg2-bin")
    text = without_outer_blanks(svg.read_text(encoding="utf-8"))
    # The renderer passes over textLength: letters have to be as wide as the cells that Textual counts with.
    text = text.replace("Fira Code", "DejaVu Sans Mono").replace("font-size: 20px", "font-size: 20.26px")
    command = [program, "--width", str(width), "--output", str(png)]
    subprocess.run(command, input=text.encode(), check=True)  # noqa: S603 - found on PATH by its name
