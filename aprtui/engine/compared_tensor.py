"""One tensor of a comparison that a run has made: its files found again and opened under the same layout plan."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from difflib import get_close_matches
from pathlib import Path

from aprtui.compare.several_hops import plan_several_hops
from aprtui.core.errors import AprtuiError, UsageError
from aprtui.core.events import ComparisonStarted, TensorFinished
from aprtui.core.results import TensorResult
from aprtui.core.tolerance import ToleranceSettings
from aprtui.engine.product_store import ProductStore
from aprtui.formats.layout.plan import LayoutPlan, TensorPair
from aprtui.formats.model import Model, open_model
from aprtui.store.plan import PlannedComparison, RunPlan
from aprtui.store.run_folder import RunFolder
from aprtui.store.summary import RunRecord

_GONE = "products end with a run; one that is made with --scratch DIR keeps them"
_GONE_ANEW = "what is converted anew for a gate that converts twice is never kept"


@dataclass(frozen=True, slots=True)
class ComparedTensor:
    """A tensor as a comparison saw it.

    Attributes:
        pair: Source view and stored target.
        settings: The run's own tolerances.
        importance_matrix: Whether the target's file says that one was used.
        measured: What the journal says of it; None where it says nothing.
        notes: Files that were written after the run.
    """

    pair: TensorPair
    settings: ToleranceSettings
    importance_matrix: bool
    measured: TensorResult | None
    notes: tuple[str, ...]


def open_compared_tensor(folder: RunFolder, comparison: str, name: str) -> ComparedTensor:
    """Find a comparison's files and the pair of a tensor.

    Args:
        folder: The run.
        comparison: Id of a comparison in its plan.
        name: Canonical name of a tensor.

    Raises:
        UsageError: The run has no such comparison, or the comparison no such pair.
        AprtuiError: A file is gone or cannot be read.
    """
    plan = folder.plan()
    planned = _comparison(plan, comparison)
    record, measured = _read_journal(folder, comparison, name)
    paths = _paths(plan, record, planned)
    reference = _opened(Path(plan.model.path), "the run's model")
    models = [_opened(path, file) for file, path in paths.items()]
    source, *via, target = (model.named_as(reference.architecture) for model in models)
    layout = plan_several_hops(source, via, target, reference)
    return ComparedTensor(
        pair=_pair(layout, name, comparison),
        settings=record.tolerances or plan.tolerances,
        importance_matrix=layout.conversion.importance_matrix,
        measured=measured,
        notes=tuple(_changed_since(models, record)),
    )


def _comparison(plan: RunPlan, comparison: str) -> PlannedComparison:
    found = next((one for one in plan.comparisons if one.comparison_id == comparison), None)
    pairs = [one.comparison_id for one in plan.comparisons if one.source != one.target]
    if found is None:
        todo = f"its comparisons are {', '.join(pairs)}" if pairs else "it compares no files"
        raise UsageError(f"run {plan.run_id} has no comparison {comparison!r}", todo=todo)
    if found.source == found.target:
        raise UsageError(f"{comparison} looks at the model alone", todo=f"name one of {', '.join(pairs)}")
    return found


def _read_journal(folder: RunFolder, comparison: str, name: str) -> tuple[RunRecord, TensorResult | None]:
    """What the journal holds of the run, and of one tensor."""
    record, measured = RunRecord(), None
    for line in folder.reader().new_lines():
        record.add(line)
        event = line.event
        if isinstance(event, TensorFinished) and event.comparison == comparison and event.tensor.name == name:
            measured = event.tensor
        elif isinstance(event, ComparisonStarted) and event.comparison == comparison:
            measured = None
    return record, measured


def _paths(plan: RunPlan, record: RunRecord, planned: PlannedComparison) -> dict[str, Path]:
    """What to open for each file of a comparison, in the order of its hops.

    Raises:
        AprtuiError: A conversion left no product, or the product is gone.
    """
    given = {plan.model.letter: plan.model.path} | {one.letter: one.path for one in plan.sources}
    products = ProductStore(plan)
    if record.opened is not None:
        products.model_files({plan.model.letter: record.opened.files, **record.opened.sources})
    paths: dict[str, Path] = {}
    for file in planned.files:
        if file in given:
            paths[file] = Path(given[file])
            continue
        made = record.products.get(file)
        if made is None:
            raise AprtuiError(f"the run has no product of {file}", todo=f"`aprtui show {plan.run_id}` says why")
        path = Path(made.product)
        kept = path if path.exists() else products.kept_product(file, made.files.values())
        if kept is None or not kept.exists():
            anew = any(one.fresh for one in plan.conversions if one.conversion_id == file)
            raise AprtuiError(f"the product of {file} is gone", file=path, todo=_GONE_ANEW if anew else _GONE)
        paths[file] = kept
    return paths


def _opened(path: Path, what: str) -> Model:
    if not path.exists():
        raise AprtuiError(f"{what} is gone", file=path, todo="put it back, or run it again")
    return open_model(path)


def _pair(layout: LayoutPlan, name: str, comparison: str) -> TensorPair:
    """The pair of a tensor.

    Raises:
        UsageError: There is none; says why.
    """
    pairs = {pair.name: pair for pair in layout.pairs}
    if name in pairs:
        return pairs[name]
    reasons = {
        **dict.fromkeys(layout.missing, "the target lacks it"),
        **dict.fromkeys(layout.unexpected, "the target alone has it"),
        **layout.impossible,
        **layout.explained,
    }
    if name in reasons:
        raise UsageError(f"{name} was not compared in {comparison}: {reasons[name]}")
    close = get_close_matches(name, [*pairs, *reasons], n=3)
    todo = (
        f"like it are {', '.join(close)}" if close else f"it has {len(pairs)} pairs, {next(iter(pairs), 'none')} first"
    )
    raise UsageError(f"{comparison} has no tensor {name}", todo=todo)


def _changed_since(models: list[Model], record: RunRecord) -> Iterator[str]:
    """Files that were written after the run's last event: what is read now may be something else."""
    if record.last is None:
        return
    for file in dict.fromkeys(file for model in models for file in model.container.files):
        written = datetime.fromtimestamp(file.stat().st_mtime, UTC)
        if written > record.last.time:
            yield f"{file} was written after the run"
