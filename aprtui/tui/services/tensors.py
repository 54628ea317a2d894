"""What is looked up of one tensor while its detail is open: its files by a child process, earlier runs by a thread."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from aprtui.core.tolerance import Tolerance
from aprtui.store.columns import Row, RowKind
from aprtui.store.run_list import RunSummary
from aprtui.store.run_view import RunView
from aprtui.store.tensor_history import EarlierResult, earlier_results
from aprtui.store.tensor_reading import TensorReading, read_tensor
from aprtui.tui.services.children import Answer, ask
from aprtui.tui.widgets.tensor_detail import TensorDetail

_MOST_RUNS = 5
_MOST_KEPT = 16
_REST = 0.2

Known = tuple[TensorReading, list[EarlierResult]]
"""What was found of one tensor."""

_Key = tuple[str, str, str, Tolerance | None]


class RecentReadings:
    """What was found of the tensors looked at last: going back to one reads no file again."""

    def __init__(self) -> None:
        self._known: dict[_Key, Known] = {}

    def find(self, view: RunView, row: Row) -> Known | None:
        """What is known of a row."""
        key = self._key(view, row)
        known = self._known.pop(key, None)
        if known is not None:
            self._known[key] = known
        return known

    def keep(self, view: RunView, row: Row, known: Known) -> None:
        """Keep what was found; of many rows what was looked at longest ago goes."""
        self._known[self._key(view, row)] = known
        if len(self._known) > _MOST_KEPT:
            del self._known[next(iter(self._known))]

    @staticmethod
    def _key(view: RunView, row: Row) -> _Key:
        # What is outside the tolerance is another once a run was judged again.
        tensor = view.tensor(row.number)
        comparison = view.plan.comparisons[row.comparison].comparison_id
        return str(view.folder.path), comparison, row.name, None if tensor is None else tensor.tolerance


async def look_up(detail: TensorDetail, runs: Sequence[RunSummary], recent: RecentReadings) -> None:
    """Fill in a detail, at once where the row was looked at before; does nothing where the cursor moves on at once."""
    view, row = detail.view, detail.row
    if view is None or row is None or row.kind is not RowKind.TENSOR or row.offset < 0:
        return
    if (known := recent.find(view, row)) is not None:
        detail.take_earlier(known[1])
        detail.take_reading(known[0], "")
        return
    await asyncio.sleep(_REST)
    if view.is_evidence:
        detail.take_reading(None, "evidence alone: no file to read; the run's folder or its bundle holds more")
        return
    comparison = view.plan.comparisons[row.comparison].comparison_id
    others = [
        run.folder
        for run in runs
        if run.plan is not None
        and run.plan.playbook.name == view.plan.playbook.name
        and run.folder.path != view.folder.path
    ][:_MOST_RUNS]
    earlier = await asyncio.to_thread(earlier_results, others, comparison, row.name, _MOST_RUNS)
    if detail.row is not None and detail.row.number == row.number:
        detail.take_earlier(earlier)
    answer = await ask(["tensor", str(view.folder.path), comparison, row.name, "--format", "json"])
    if detail.row is not None and detail.row.number == row.number:
        problem = _reason(answer)
        reading = None if problem else read_tensor(answer.value)
        if reading is not None:
            recent.keep(view, row, (reading, earlier))
        detail.take_reading(reading, problem)


async def look_at_selected(detail: TensorDetail) -> None:
    """The block of the selected element of the map and, looked at closely, both values of the elements around it."""
    await asyncio.sleep(_REST)
    view, row = detail.view, detail.row
    if view is None or row is None or detail.shows_what_is_selected:
        return
    comparison = view.plan.comparisons[row.comparison].comparison_id
    region, block = detail.wanted_region, detail.wanted_block
    place: list[str] = []
    if region is not None:
        rows, columns = (f"{part.start}:{part.stop}" for part in region)
        place += ["--rows", rows, "--columns", columns]
    if block is not None:
        place += ["--block", str(block)]
    answer = await ask(["tensor", str(view.folder.path), comparison, row.name, *place, "--format", "json"])
    problem = _reason(answer)
    reading = read_tensor(answer.value)
    if not problem and region is not None and reading.elements is None:
        problem = "the answer holds no elements"
    if detail.row is not None and detail.row.number == row.number:
        detail.take_selected(reading.elements, reading.block, problem)


def _reason(answer: Answer) -> str:
    """Why a child has no answer, without what stands before every such line."""
    return answer.problem.removeprefix("aprtui: ").removeprefix("Error: ")
