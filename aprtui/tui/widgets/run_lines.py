"""The two lines above the rows of a run: its state and progress, and its counts."""

from __future__ import annotations

from collections.abc import Mapping

from aprtui.core.outcomes import Outcome
from aprtui.store.progress import Progress
from aprtui.store.row_status import RowStatus
from aprtui.store.run_folder import RunState
from aprtui.store.run_view import RunView
from aprtui.tui.paint import Line, Span, bar, fit
from aprtui.tui.words import duration, size, state_span


def progress_line(view: RunView, progress: Progress, width: int) -> Line:
    """State of a run, what it does now, how far it is; of a finished one what it took."""
    if view.bundled is not None and view.is_evidence:
        lacks = ", ".join(view.bundled.left_out)
        return [(" evidence alone", "accent"), (f"  it lacks {lacks}", "warn")]
    state = view.state()
    spans: list[Span] = [(" ", "text"), state_span(state)]
    if state is RunState.RUNNING:
        spans.append((f" {fit(_doing(view), 26) if width < 100 else _doing(view)} ", "text"))
        # As wide as it gets: the bar does not jump.
        amount = f" {progress.share:4.0%} {size(progress.done):>7} of {size(progress.total)}"
        eta = f"  ETA {'--:--' if progress.left is None else duration(progress.left)}"
        used = sum(len(text) for text, _ in spans) + len(amount) + len(eta)
        length = max(4, min(60, width - used - 1))
        filled = bar(progress.share, length).rstrip()
        spans += [(filled, "bar"), ("░" * (length - len(filled)), "track"), (amount, "text"), (eta, "accent")]
        return spans
    if state in (RunState.DIED, RunState.INTERRUPTED):
        spans.append(("  r resumes it", "warn"))
    if view.passed_over:
        lines = "line" if view.passed_over == 1 else "lines"
        spans.append((f"  {view.passed_over} {lines} of the journal passed over", "warn"))
    spans.append((f"  {size(progress.done)} compared", "muted"))
    if progress.seconds is not None:
        spans.append((f" in {duration(progress.seconds)}", "muted"))
    if view.plan.converter is not None:
        spans.append((f"  {view.plan.converter.name} {view.plan.converter.version}", "muted"))
    return spans


def counts_line(view: RunView, counts: Mapping[RowStatus, int], width: int) -> Line:
    """How many rows failed, were skipped, passed; how many gates have a verdict. Zeros go where there is no room."""
    failed = sum(counts.get(status, 0) for status in RowStatus if status.is_failure)
    crashed, timed_out = counts.get(RowStatus.CRASHED, 0), counts.get(RowStatus.TIMEOUT, 0)
    skipped, passed = counts.get(RowStatus.SKIPPED, 0), counts.get(RowStatus.PASSED, 0)
    waiting = counts.get(RowStatus.WAITING, 0) + counts.get(RowStatus.RUNNING, 0)
    failed -= crashed + timed_out
    rare: list[Span] = [
        (f"  ! {crashed} CRSH", "crash" if crashed else "muted"),
        (f"  ~ {timed_out} TIME", "warn" if timed_out else "muted"),
    ]
    spans: list[Span] = [
        (f" ✗ {failed} FAIL", "fail" if failed else "muted"),
        *rare,
        (f"  - {skipped} SKIP", "skip"),
        (f"  ✓ {passed} pass", "pass" if passed else "muted"),
    ]
    if waiting:
        spans.append((f"  · {waiting} wait", "wait"))
    bad = sum(one.outcome not in (Outcome.CORROBORATED, Outcome.SKIPPED) for one in view.gates.values())
    spans.append((f"   gates {len(view.gates)}/{len(view.plan.gates)}", "muted"))
    if bad:
        spans.append((f" ✗ {bad}", "fail"))
    if sum(len(text) for text, _ in spans) > width:
        return [span for span in spans if span not in rare or span[1] != "muted"]
    return spans


def _doing(view: RunView) -> str:
    """What the workers do now."""
    running = sorted(view.running)
    if not running:
        return "next step" if view.gates else "starting"
    first = running[0].replace("~", " vs ").replace(">", "→")
    index = view.index(running[0])
    layer = None if index is None else view.comparisons[index].layer
    if layer is not None:
        first = f"{first} · {layer.unit}"
    return first if len(running) == 1 else f"{first} and {len(running) - 1} more"
