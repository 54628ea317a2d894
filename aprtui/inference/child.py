"""Runs a module of aprtui in a process of its own, where what it does can neither crash nor stop the caller."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import aprtui
from aprtui.processes.run import CommandResult, Place, run_command

_ROOT = Path(aprtui.__file__).parents[1]


def run_module(module: str, folder: Path, request: Mapping[str, Any], *, time_limit: float) -> CommandResult:
    """Run the module's `main(folder)` with `request.json` in the folder.

    Args:
        module: Its `main` reads the request and leaves its answer in the folder.
        folder: An empty directory of the caller's.
        request: JSON values.
        time_limit: Seconds until the process is ended.
    """
    (folder / "request.json").write_text(json.dumps(request), encoding="utf-8", errors="surrogatepass")
    # The process finds the same aprtui, wherever it was imported from.
    code = f"import sys; sys.path.insert(0, {os.fspath(_ROOT)!r}); from {module} import main; "
    code += f"from pathlib import Path; main(Path({os.fspath(folder)!r}))"
    return run_command([sys.executable, "-c", code], Place(folder, folder, folder), time_limit=time_limit)


def tell(folder: Path, answers: Callable[[dict[str, Any]], Iterator[dict[str, Any]]]) -> None:
    """In the process: write each answer to the request as a line of `answers.jsonl` as soon as it is there.

    Args:
        folder: Holds `request.json`.
        answers: Takes the request.
    """
    request = json.loads((folder / "request.json").read_bytes())
    with (folder / "answers.jsonl").open("w", encoding="ascii") as file:
        for one in answers(request):
            file.write(json.dumps(one) + "\n")
            file.flush()
