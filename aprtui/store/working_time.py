"""How long engines worked on a run: a pause before it was resumed, and what judged it again later, are no work."""

from __future__ import annotations

from datetime import datetime

from aprtui.core.events import JournalLine, RunFinished, RunInterrupted, RunStarted


class WorkingTime:
    """Sums the time from each start of an engine to its end, or to its last word where it died."""

    def __init__(self) -> None:
        self._before = 0.0
        self._began: datetime | None = None
        self._last: datetime | None = None

    def add(self, line: JournalLine) -> None:
        """Take the next line of the journal; those between two heartbeats may be left out."""
        if isinstance(line.event, RunStarted):
            self._close()
            self._began = line.time
        if self._began is not None:
            self._last = line.time
        if isinstance(line.event, RunFinished | RunInterrupted):
            self._close()

    @property
    def seconds(self) -> float:
        """So far."""
        if self._began is None or self._last is None:
            return self._before
        return self._before + (self._last - self._began).total_seconds()

    def _close(self) -> None:
        self._before, self._began = self.seconds, None
