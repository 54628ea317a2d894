"""The same tensor in earlier runs: found by looking for its name, without understanding the rest of their journals."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass

from aprtui.core.events import TensorFinished
from aprtui.core.results import TensorResult
from aprtui.store.run_folder import RunFolder


@dataclass(frozen=True, slots=True)
class EarlierResult:
    """A tensor in another run.

    Attributes:
        run_id: The run.
        result: What came out there.
    """

    run_id: str
    result: TensorResult


def earlier_results(folders: Iterable[RunFolder], comparison: str, name: str, most: int) -> list[EarlierResult]:
    """The tensor's result in these runs, in their order; reads whole journals, so not for an event loop."""
    found = []
    for folder in folders:
        result = _result_in(folder, comparison, name)
        if result is not None:
            found.append(EarlierResult(folder.path.name, result))
        if len(found) == most:
            break
    return found


def _result_in(folder: RunFolder, comparison: str, name: str) -> TensorResult | None:
    needle = f'"name":{json.dumps(name)}'.encode()
    reader = folder.reader()
    last = None
    for _, raw in reader.new_raw_lines():
        line = reader.parsed(raw) if needle in raw else None
        if line is None or not isinstance(line.event, TensorFinished):
            continue
        if (line.event.comparison, line.event.tensor.name) == (comparison, name):
            last = line.event.tensor
    return last
