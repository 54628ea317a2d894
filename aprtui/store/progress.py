"""How far a run is, by bytes: an embedding counts for more than a norm."""

from __future__ import annotations

from dataclasses import dataclass

from aprtui.store.run_view import RunView

_SHARE_FOR_ESTIMATE = 0.03


@dataclass(frozen=True, slots=True)
class Progress:
    """Bytes and seconds.

    Attributes:
        done: Bytes that were compared.
        total: Bytes that the plan estimates, at least as many as were compared.
        seconds: Time that engines worked on it; None before the first began.
        left: Seconds that are left at this rate; None while too little is done.
    """

    done: int
    total: int
    seconds: float | None
    left: float | None

    @property
    def share(self) -> float:
        """Part that is done, between 0 and 1."""
        return min(1.0, self.done / self.total) if self.total else 0.0


def progress_of(view: RunView) -> Progress:
    """Progress of a run; a comparison that has ended counts whole, whatever it could read."""
    done = total = 0
    for comparison in view.comparisons:
        planned = 0 if comparison.finished is not None else comparison.plan.estimated_bytes
        total += max(planned, comparison.bytes_done)
        done += comparison.bytes_done
    seconds = None if view.started is None else view.worked.seconds
    share = done / total if total else 0.0
    left = None
    if view.end is None and seconds and share > _SHARE_FOR_ESTIMATE:
        left = seconds / share - seconds
    return Progress(done, total, seconds, left)
