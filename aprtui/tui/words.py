"""Values as the screens write them: states with their glyphs, margins in the unit of their rule, sizes, times."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from math import isfinite, isnan

from aprtui.core.outcomes import Outcome
from aprtui.core.tolerance import Rule
from aprtui.store.columns import Row, RowKind
from aprtui.store.plan import PlannedComparison
from aprtui.store.row_status import RowStatus
from aprtui.store.run_folder import RunState
from aprtui.store.run_list import RunSummary
from aprtui.tui.paint import Span

_GLYPHS = {
    RowStatus.CRASHED: ("!", "crash"),
    RowStatus.NOT_FINITE: ("✗", "nan"),
    RowStatus.TIMEOUT: ("~", "warn"),
    RowStatus.SKIPPED: ("-", "skip"),
    RowStatus.RUNNING: ("▶", "run"),
    RowStatus.WAITING: ("·", "wait"),
    RowStatus.PASSED: ("✓", "pass"),
    RowStatus.HIDDEN: (" ", "muted"),
}
_OUTCOMES = {
    Outcome.CORROBORATED: ("✓ pass", "pass"),
    Outcome.FALSIFIED: ("✗ FAIL", "fail"),
    Outcome.SKIPPED: ("- SKIP", "skip"),
    Outcome.TIMEOUT: ("~ TIME", "warn"),
    Outcome.CRASHED: ("! CRSH", "crash"),
}
_UNITS = {
    "differing elements": "elem",
    "blocks": "blocks",
    "ULP": "ULP",
    "scale ULP": "sULP",
    "RMSE ratio": "×rmse",
    "NRMSE": "nrmse",
}
_STATES = {
    RunState.RUNNING: ("▶ running", "run"),
    RunState.ELSEWHERE: ("▶ elsewhere", "muted"),
    RunState.FINISHED: ("✓ finished", "pass"),
    RunState.INTERRUPTED: ("- interrupted", "warn"),
    RunState.DIED: ("! died", "crash"),
    RunState.BUNDLED: ("- bundled early", "muted"),
}


def status_span(status: RowStatus) -> Span:
    """Glyph and word of a row."""
    glyph, paint = _GLYPHS.get(status, ("✗", "fail"))
    return f"{glyph} {status.word}", paint


def outcome_span(outcome: Outcome | None) -> Span:
    """Glyph and word of a gate or a level; None has no verdict yet."""
    return ("· wait", "wait") if outcome is None else _OUTCOMES[outcome]


def state_span(state: RunState) -> Span:
    """Glyph and word of a run."""
    return _STATES[state]


def result_span(run: RunSummary) -> Span:
    """What a run has come to, in one cell of a list."""
    if run.problem:
        return "! unreadable", "crash"
    total = len(run.plan.gates) if run.plan is not None else 0
    if run.state is RunState.RUNNING:
        return f"▶ {run.verdicts}/{total} gates", "run"
    if run.state is not RunState.FINISHED:
        return _STATES[run.state]
    for outcome in (Outcome.FALSIFIED, Outcome.CRASHED, Outcome.TIMEOUT, Outcome.SKIPPED):
        if count := run.outcomes.get(outcome, 0):
            word, paint = _OUTCOMES[outcome]
            return f"{word[0]} {count} {word[2:]} of {total}", paint
    return f"✓ {run.verdicts}/{total}", "pass"


def number(value: float) -> str:
    """A number in at most eight cells: plain where it is short, else with an exponent."""
    if isnan(value):
        return "nan"
    if not isfinite(value):
        return "inf" if value > 0 else "-inf"
    if value == 0:
        return "0"
    if value == int(value) and abs(value) < 1e5:
        return str(int(value))
    return f"{value:.3g}" if 1e-3 <= abs(value) < 1e5 else f"{value:.2e}"


def count(value: float) -> str:
    """A count in at most six cells: 31718, 1.25M."""
    if value < 1e5:
        return str(int(value))
    for size, letter in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:.3g}{letter}"
    return str(int(value))


def plural(amount: int, word: str) -> str:
    """An amount with its word: "1 gate", "3 gates"."""
    return f"{amount} {word}" if amount == 1 else f"{amount} {word}s"


def margin_text(row: Row) -> str:
    """How far a tensor is over its limit, in the unit of its rule; below the limit it is negative."""
    if row.kind is not RowKind.TENSOR or row.status.is_open:
        return ""
    return margin_words(row.margin, row.unit)


def margin_words(margin: float, long_unit: str) -> str:
    """A margin in at most twelve cells, its unit shortened."""
    unit = _UNITS.get(long_unit, long_unit)
    if unit in ("elem", "blocks"):
        return f"{count(margin)} {unit}"
    if unit == "nrmse":
        return f"{margin:+.2g} {unit}"
    if 0 < abs(margin) < 1e-3 or margin >= 1e15:
        return f"{margin:+.1g} {unit}"
    amount = count(margin) if margin >= 1e5 else number(margin)
    return f"{amount} {unit}" if margin <= 0 else f"+{amount} {unit}"


def tolerance_text(row: Row) -> str:
    """The tolerance of a tensor in few cells, and where it comes from: the rule, or a line of the playbook."""
    if row.kind is not RowKind.TENSOR or not row.rule:
        return ""
    line = re.search(r"line (\d+)", row.set_by)
    where = "rule" if not row.set_by else f"L{line[1]}" if line else "playbook"
    if row.rule == Rule.ROUNDING:
        return f"{row.limit:g}ULP {where}"
    if row.rule == Rule.BAND:
        return f"≤{row.limit:g} {where}"
    if row.rule == Rule.CERTIFICATE:
        return f"{row.limit:g} {where}" if row.set_by else f"cert {where}"
    return f"exact {where}"


def tolerance_sentence(row: Row) -> str:
    """The tolerance in words, with its whole origin."""
    if not row.rule:
        return ""
    limit = f" {row.limit:g}" if row.limit else ""
    set_by = f", set by {row.set_by}" if row.set_by else ""
    return f"ε {row.rule}{limit}: {row.origin}{set_by}"


def comparison_title(comparison: PlannedComparison) -> str:
    """What is compared, as short as its ids allow: the product, and its source where that is no model."""
    if comparison.source == comparison.target:
        return "model alone"
    target, source = comparison.target.replace(">", "→"), comparison.source.replace(">", "→")
    return f"{target} vs {source}"


def size(nbytes: float) -> str:
    """Bytes in decimal units, four or five cells."""
    for unit, letters in ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if nbytes >= unit:
            return f"{nbytes / unit:.3g} {letters}"
    return f"{int(nbytes)} B"


def duration(seconds: float) -> str:
    """Minutes and seconds, or hours and minutes."""
    whole = max(0, round(seconds))
    if whole >= 3600:
        return f"{whole // 3600} h {whole % 3600 // 60:02} m"
    return f"{whole // 60:02}:{whole % 60:02}"


def ago(then: datetime | None, now: datetime | None = None) -> str:
    """How long ago something was."""
    if then is None:
        return "—"
    seconds = ((now or datetime.now(UTC)) - then).total_seconds()
    for unit, letter in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= unit:
            return f"{int(seconds // unit)} {letter} ago"
    return "just now"


def local_time(then: datetime | None) -> str:
    """Date and time here."""
    return "—" if then is None else f"{then.astimezone():%Y-%m-%d %H:%M}"
