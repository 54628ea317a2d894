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


async def copy(
    text: str, what: str, way: ClipboardWay, send: Callable[[str], None], *, keep: bool = True
) -> tuple[str, str]:
    """Copy a text the best way there is.

    Args:
        text: The text.
        what: What it is, for the sentence.
        way: The way that the settings ask for.
        send: Writes a text to the terminal as OSC 52.
        keep: Whether the text may be left in a file as well.

    Returns:
        A sentence that says where the text is, and its severity.
    """
    kept = keep and write_clipboard_file(text)
    place = f"; also in {clipboard_file()}" if kept else "; no file could be written" if keep else ""
    if way in (ClipboardWay.AUTO, ClipboardWay.TMUX) and await _copy_by_tmux(text):
        return f"{what} copied through tmux{place}", "information"
    is_inside_tmux = "TMUX" in os.environ
    asked_for = way is ClipboardWay.OSC52 or (way is ClipboardWay.AUTO and not is_inside_tmux)
    if asked_for and _fits_osc52(text):
        send(text)
        onward = "; tmux passes it on where its set-clipboard is on" if is_inside_tmux else ""
        return f"{what} sent to the terminal's clipboard{onward}{place}", "information"
    if kept:
        return f"{what} is in {clipboard_file()}", "warning"
    return f"{what} could not be copied{'' if keep else ': this console is read-only and writes no file'}", "warning"


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
