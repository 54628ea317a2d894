"""Sums of clause measures over the chunks of a tensor, in a few scalars."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import isnan

import numpy as np

from aprtui.compare.certificate.measures import ClauseMeasures, Flags, Float64s


@dataclass(slots=True)
class Count:
    """How many blocks had something, and the first of them.

    Attributes:
        blocks: How many.
        first: Index of the first within the tensor, -1 if none.
    """

    blocks: int = 0
    first: int = -1

    def add(self, flags: Flags, base: int) -> None:
        """Count flagged blocks of a chunk.

        Args:
            flags: bool [n].
            base: Blocks before the chunk.
        """
        found = int(np.count_nonzero(flags))
        if found and self.first < 0:
            self.first = base + int(np.argmax(flags))
        self.blocks += found

    def absorb(self, later: Count, base: int) -> None:
        """Count the blocks of a later span; `base` blocks stand before it."""
        if later.first >= 0 and self.first < 0:
            self.first = base + later.first
        self.blocks += later.blocks


def first_of(*counts: Count) -> int:
    """The first block that any of the counts saw, -1 if none."""
    return min((count.first for count in counts if count.first >= 0), default=-1)


def _largest(so_far: float, values: Float64s) -> float:
    """The larger of a maximum and the maximum of values; what is not a number counts as infinite."""
    if not len(values):
        return so_far
    largest = float(values.max())
    return float("inf") if isnan(largest) else max(so_far, largest)


_COUNTED = ("codes", "scales", "scales_cut", "excusable", "inexcusable", "zeros")


@dataclass(slots=True)
class ClauseTally:
    """One set of clauses over a tensor; the names are those of `ClauseMeasures`."""

    codes: Count = field(default_factory=Count)
    scales: Count = field(default_factory=Count)
    scales_cut: Count = field(default_factory=Count)
    excusable: Count = field(default_factory=Count)
    inexcusable: Count = field(default_factory=Count)
    zeros: Count = field(default_factory=Count)
    other_scale: int = 0
    code_steps: float = 0.0
    scale_ulp: float = 0.0
    error_ratio: float = 0.0
    step_ratio: float = 0.0

    def add(self, measures: ClauseMeasures, base: int) -> None:
        """Add the blocks of a chunk.

        Args:
            measures: Of the chunk.
            base: Blocks before the chunk.
        """
        for name in _COUNTED:
            getattr(self, name).add(getattr(measures, name), base)
        self.other_scale += int(np.count_nonzero(measures.other_scale))
        self.code_steps = _largest(self.code_steps, measures.code_steps)
        self.scale_ulp = _largest(self.scale_ulp, measures.scale_ulp)
        self.error_ratio = _largest(self.error_ratio, measures.error_ratio)
        self.step_ratio = _largest(self.step_ratio, measures.step_ratio)

    def absorb(self, later: ClauseTally, base: int) -> None:
        """Add the tally of a later span; `base` blocks stand before it."""
        for name in _COUNTED:
            getattr(self, name).absorb(getattr(later, name), base)
        self.other_scale += later.other_scale
        self.code_steps = max(self.code_steps, later.code_steps)
        self.scale_ulp = max(self.scale_ulp, later.scale_ulp)
        self.error_ratio = max(self.error_ratio, later.error_ratio)
        self.step_ratio = max(self.step_ratio, later.step_ratio)
