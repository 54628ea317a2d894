"""What is looked up of one tensor while its detail is open: its files by a child process, earlier runs by a thread."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from aprtui.store.columns import RowKind
from aprtui.store.run_list import RunSummary
from aprtui.store.tensor_history import earlier_results
from aprtui.store.tensor_reading import read_tensor
from aprtui.tui.services.children import ask
from aprtui.tui.widgets.tensor_detail import TensorDetail

_MOST_RUNS = 5
_REST = 0.2


async def look_up(detail: TensorDetail, runs: Sequence[RunSummary]) -> None:
    """Fill in a detail; does nothing where the cursor moves on at once."""
    await asyncio.sleep(_REST)
    view, row = detail.view, detail.row
    if view is None or row is None or row.kind is not RowKind.TENSOR or row.offset < 0:
        return
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
        problem = answer.problem.removeprefix("aprtui: ").removeprefix("Error: ")
        detail.take_reading(None if problem else read_tensor(answer.value), problem)


async def look_at_elements(detail: TensorDetail) -> None:
    """Both values of the elements around the selected cell of the map."""
    await asyncio.sleep(_REST)
    view, row, region = detail.view, detail.row, detail.wanted_region
    if view is None or row is None or region is None:
        return
    comparison = view.plan.comparisons[row.comparison].comparison_id
    rows, columns = (f"{part.start}:{part.stop}" for part in region)
    place = ["--rows", rows, "--columns", columns]
    if (block := detail.wanted_block) is not None:
        place += ["--block", str(block)]
    answer = await ask(["tensor", str(view.folder.path), comparison, row.name, *place, "--format", "json"])
    reading = read_tensor(answer.value)
    found = reading.elements
    if found is not None and detail.row is not None and detail.row.number == row.number:
        detail.take_region(found, reading.block)
