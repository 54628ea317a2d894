"""Shows a run while it goes on: a progress bar for one gate at a time, a line for each verdict."""

from __future__ import annotations

from contextlib import ExitStack
from types import TracebackType

from aprtui.cli.comparison_text import outcome_word
from aprtui.cli.output import show
from aprtui.cli.progress import progress_reporter
from aprtui.compare.weights import Progress
from aprtui.core.outcomes import Outcome
from aprtui.core.safe_text import safe_text
from aprtui.report.evidence import EvidenceEntry

_FAILED = (Outcome.FALSIFIED, Outcome.CRASHED, Outcome.TIMEOUT)


class ShowingListener:
    """Prints verdicts as they come.

    Attributes:
        entries: Those that came.
    """

    def __init__(self) -> None:
        self.entries: list[EvidenceEntry] = []
        self._bars = ExitStack()
        self._shown: str | None = None
        self._report: Progress | None = None

    def __enter__(self) -> ShowingListener:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._hide()

    def started(self, step: str) -> None:
        """A comparison is being measured; it has the bar until a gate has its verdict, unless another one has it."""
        if self._shown is None:
            self._shown, self._report = step, self._bars.enter_context(progress_reporter(step))

    def progress(self, step: str, done: int, total: int) -> None:
        """Bytes of a comparison so far, and in all."""
        if self._shown is None:
            self.started(step)
        if step == self._shown and self._report is not None:
            self._report(done, total, step)

    def finished(self, entry: EvidenceEntry) -> None:
        """A gate has its verdict."""
        self._hide()
        self.entries.append(entry)
        show(entry_line(entry))
        if entry.outcome in _FAILED:
            show(f"      again: {safe_text(entry.details.get('command', ''), 1000)}")

    def _hide(self) -> None:
        self._bars.close()
        self._shown = self._report = None


def entry_line(entry: EvidenceEntry) -> str:
    """One gate as a line."""
    seconds = entry.duration_ms / 1000
    return f"{outcome_word(entry.outcome)}  {entry.gate_id:<22} {seconds:6.1f} s  {safe_text(entry.reason, 300)}"
