"""What happens when the console itself fails: the terminal is restored, a report is written, the exit code says so.

The report holds the traceback without local variables: those may hold tokens and contents of model files.
"""

from __future__ import annotations

import platform
import re
import traceback
from datetime import datetime
from pathlib import Path

import textual

import aprtui
from aprtui.paths import state_folder

_SECRET = re.compile(
    r"(?i)(\b(?:hf|sk|ghp|gho|github_pat|xox[abp])[-_][\w-]{6,}|bearer\s+\S+|(?:token|password|secret|api[_-]?key)\s*[=:]\s*\S+)"
)


def redacted(text: str) -> str:
    """A text without what looks like a secret, and with "~" for the user's home."""
    home = str(Path.home())
    text = text.replace(home, "~") if len(home) > 1 else text
    return _SECRET.sub("[redacted]", text)


def write_report(error: BaseException) -> Path | None:
    """Write what is needed to find the defect; where it is, or None where it cannot be written."""
    lines = [
        f"aprtui {aprtui.__version__}, textual {textual.__version__}, Python {platform.python_version()}",
        f"{platform.system()} {platform.machine()}, {datetime.now().astimezone():%Y-%m-%d %H:%M:%S}",
        "",
        "".join(traceback.format_exception(error)),
    ]
    path = state_folder() / f"crash-{datetime.now():%Y%m%d-%H%M%S}.txt"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(redacted("\n".join(lines)), encoding="utf-8", errors="backslashreplace")
        path.chmod(0o600)
    except OSError:
        return None
    return path


def paragraph(error: BaseException, report: Path | None) -> str:
    """What the user reads after the terminal is restored."""
    where = f"A report without values of variables is in {report}." if report else "A report could not be written."
    return (
        f"aprtui: the console failed ({type(error).__name__}). {where} Engines that it started go on: "
        "`aprtui ps` lists them, `aprtui` and `aprtui attach RUN` show them again."
    )
