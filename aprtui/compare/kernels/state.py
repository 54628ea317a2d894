"""What a comparison accumulates: two flat arrays that the reference and the compiled kernel fill alike.

Plain arrays, so that compiled code writes them, workers send them, and partial results merge by one rule.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from aprtui.core.statistics import CertificateScalars, StatisticsRecord

# Places in `State.sums`; the five sums stand first.
ERROR, ABS_ERROR, SQUARED_ERROR, SQUARED_A, A_ERROR = range(5)
SUMS = 5
MAX_ABS, MAX_ABS_A, MAX_ABS_B, MAX_ULP = range(SUMS, 9)

# Places in `State.counts`.
ELEMENTS, DIFFERING, NAN_A, NAN_B, INF_A, INF_B, OVERFLOWED, FLUSHED, TRUNCATED = range(9)
COUNTS = 9
MAX_ABS_INDEX = 9


def _no_sums() -> NDArray[np.float64]:
    return np.zeros(9, np.float64)


def _no_counts() -> NDArray[np.int64]:
    counts = np.zeros(10, np.int64)
    counts[MAX_ABS_INDEX] = -1
    return counts


@dataclass(frozen=True, slots=True, eq=False)
class State:
    """Statistics of a span of elements; `StatisticsRecord` says what each means.

    Attributes:
        sums: float64 [9]; indexed by ERROR to MAX_ULP.
        counts: int64 [10]; indexed by ELEMENTS to MAX_ABS_INDEX.
    """

    sums: NDArray[np.float64] = field(default_factory=_no_sums)
    counts: NDArray[np.int64] = field(default_factory=_no_counts)

    def add(self, later: State) -> None:
        """Take in the statistics of further elements."""
        self.sums[:SUMS] += later.sums[:SUMS]
        self.counts[:COUNTS] += later.counts[:COUNTS]
        self.sums[MAX_ULP] = max(self.sums[MAX_ULP], later.sums[MAX_ULP])
        here = (-self.sums[MAX_ABS], self.counts[MAX_ABS_INDEX])
        there = (-later.sums[MAX_ABS], later.counts[MAX_ABS_INDEX])
        if later.counts[MAX_ABS_INDEX] >= 0 and there < here:
            self.sums[MAX_ABS : MAX_ABS_B + 1] = later.sums[MAX_ABS : MAX_ABS_B + 1]
            self.counts[MAX_ABS_INDEX] = later.counts[MAX_ABS_INDEX]


def merge(states: Iterable[State]) -> State:
    """Statistics of all spans together.

    Sums are rounded in the order given: hand in equal spans in the order of the tensor, whichever worker measured
    them, and the result has the same bits every time.
    """
    total = State()
    for state in states:
        total.add(state)
    return total


def finish(state: State, certificate: CertificateScalars | None = None) -> StatisticsRecord:
    """The record of a tensor whose elements were all accumulated."""
    sums, counts = state.sums.tolist(), state.counts.tolist()
    return StatisticsRecord(
        elements=counts[ELEMENTS],
        differing=counts[DIFFERING],
        max_abs=sums[MAX_ABS],
        max_abs_index=counts[MAX_ABS_INDEX],
        max_abs_a=sums[MAX_ABS_A],
        max_abs_b=sums[MAX_ABS_B],
        sum_error=sums[ERROR],
        sum_abs_error=sums[ABS_ERROR],
        sum_squared_error=sums[SQUARED_ERROR],
        sum_squared_a=sums[SQUARED_A],
        sum_a_error=sums[A_ERROR],
        max_ulp=sums[MAX_ULP],
        nan_a=counts[NAN_A],
        nan_b=counts[NAN_B],
        inf_a=counts[INF_A],
        inf_b=counts[INF_B],
        overflowed=counts[OVERFLOWED],
        flushed=counts[FLUSHED],
        truncated=counts[TRUNCATED],
        certificate=certificate,
    )
