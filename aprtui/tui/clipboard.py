"""Copying over SSH: what works depends on terminal and multiplexer, so the text is also left in a file that is named.

Inside tmux `tmux load-buffer -w -` fills the buffer in the default setting, where OSC 52 is dropped without a word.
"""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Callable
from pathlib import Path

from aprtui.paths import state_folder
from aprtui.settings import ClipboardWay

LONGEST_OSC52 = 74994
"""Bytes of encoded text that terminals take; k9s uses the same limit."""


async def copy(text: str, what: str, way: ClipboardWay, send: Callable[[str], None]) -> tuple[str, str]:
    """Copy a text the best way there is.

    Args:
        text: The text.
        what: What it is, for the sentence.
        way: The way that the settings ask for.
        send: Writes a text to the terminal as OSC 52.

    Returns:
        A sentence that says where the text is, and its severity.
    """
    kept = write_clipboard_file(text)
    place = f"also in {clipboard_file()}" if kept else "no file could be written"
    if way in (ClipboardWay.AUTO, ClipboardWay.TMUX) and await _copy_by_tmux(text):
        return f"{what} copied through tmux; {place}", "information"
    if way in (ClipboardWay.AUTO, ClipboardWay.OSC52) and _fits_osc52(text) and "TMUX" not in os.environ:
        send(text)
        return f"{what} sent to the terminal's clipboard; {place}", "information"
    return f"{what} is in {clipboard_file()}" if kept else "nothing could be copied", "warning"


def clipboard_file() -> Path:
    """Where the last copied text stands."""
    return state_folder() / "clipboard.txt"


def write_clipboard_file(text: str) -> bool:
    """Leave the text in a file of this user alone.

    Returns:
        Whether that worked.
    """
    path = clipboard_file()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8", errors="backslashreplace") as file:
            file.write(text)
    except OSError:
        return False
    return True


def _fits_osc52(text: str) -> bool:
    """Whether terminals take a text of this length."""
    return len(text.encode("utf-8", "backslashreplace")) * 4 / 3 < LONGEST_OSC52


async def _copy_by_tmux(text: str) -> bool:
    """Put a text into tmux's buffer and ask it to pass it on; whether there was a tmux that took it."""
    program = shutil.which("tmux")
    if "TMUX" not in os.environ or program is None:
        return False
    try:
        process = await asyncio.create_subprocess_exec(
            program,
            "load-buffer",
            "-w",
            "-",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        await process.communicate(text.encode("utf-8", "backslashreplace"))
    except OSError:
        return False
    return process.returncode == 0
