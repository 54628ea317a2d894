"""The errors of a tensor by order of magnitude, and how many of them the tolerance does not allow."""

from __future__ import annotations

from collections.abc import Sequence
from math import log10

from aprtui.core.results import TensorResult
from aprtui.core.tolerance import Rule
from aprtui.store.tensor_reading import Decade
from aprtui.tui.paint import Line, Span, bar
from aprtui.tui.widgets.lines import wrapped
from aprtui.tui.words import count, number

_BESIDE_THE_BAR = 38


def histogram_lines(histogram: Sequence[Decade], tensor: TensorResult, width: int) -> list[Line]:
    """Bars on a logarithmic scale, so that a few bad elements are seen beside a million good ones.

    Args:
        histogram: Decades, smallest first.
        tensor: Its result.
        width: Cells.
    """
    most = max(one.count for one in histogram)
    room = max(6, min(48, width - _BESIDE_THE_BAR))
    largest = tensor.record.max_abs
    lines: list[Line] = []
    for one in histogram:
        share = log10(one.count + 1) / log10(most + 1) if most else 0.0
        spans: list[Span] = [
            (f" 1e{one.power:<+4d}", "muted"),
            (bar(share, room), "bar-over" if one.outside else "bar"),
            (f" {count(one.count):>7}", "text"),
            (f"  ✗ {count(one.outside):<6} outside ε" if one.outside else "", "fail"),
        ]
        lines.append(spans)
    if 0 < largest < float("inf"):
        lines.append(((f" largest {number(largest)}", "muted"),))
    return [*lines, *wrapped(_allowed(tensor), width - 2, "muted", " ")]


def _allowed(tensor: TensorResult) -> str:
    """Where the tolerance lies among the errors, as its rule counts."""
    tolerance = tensor.tolerance
    if tolerance.rule is Rule.BIT_EXACT:
        return "ε allows no difference: every one of these is outside"
    if tolerance.rule is Rule.ROUNDING:
        return f"ε allows {tolerance.limit:g} ULP of {tolerance.dtype} at each value, so it grows with the value"
    if tolerance.rule is Rule.CERTIFICATE:
        return "ε is of each block: all elements of a block that violates a clause count as outside"
    return f"ε allows an NRMSE of {tolerance.limit:g} over the whole tensor: no element is outside by itself"
