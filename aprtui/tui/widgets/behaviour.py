"""What running both models showed, beside the row that is about it: logits, layers, texts."""

from __future__ import annotations

from collections.abc import Sequence

from aprtui.core.behaviour import Behaviour, LayerError, LogitStatistics, TextVerdict, band
from aprtui.core.outcomes import Level
from aprtui.store.columns import NO_COMPARISON, Row, RowKind
from aprtui.store.run_view import RunView
from aprtui.tui.paint import Line, fit
from aprtui.tui.widgets.block import rule_line
from aprtui.tui.widgets.lines import wrapped
from aprtui.tui.words import number

_TEXTS = 3
_FIGURES = (
    ("mean KLD", "mean_kld"),
    ("± s.e.", "mean_kld_se"),
    ("median", "median_kld"),
    ("99 %", "kld_99"),
    ("99.9 %", "kld_999"),
    ("max", "max_kld"),
    ("top-1", "top1_agreement"),
    ("top-10", "top10_overlap"),
    ("RMS Δp", "rms_delta_p"),
    ("PPL ratio", "ppl_ratio"),
    ("max|Δlogit|", "max_abs_delta"),
)
_SHARES = frozenset({"top1_agreement", "top10_overlap", "rms_delta_p"})


def behaviour_lines_of(view: RunView, row: Row, width: int) -> list[Line]:
    """What a row's detail says of behaviour: of a tensor its layer, of a finding of that level everything."""
    state = view.comparisons[row.comparison] if row.comparison != NO_COMPARISON else None
    if state is None or state.behaviour is None:
        return []
    if row.kind is RowKind.TENSOR:
        own = [layer for layer in state.behaviour.layers if _holds(layer, row.name)]
        return [*rule_line("behaviour of its layer", width), *_layers(own, width)] if own else []
    found = (finding for level in state.levels if level.level is Level.BEHAVIOUR for finding in level.findings)
    return _whole(state.behaviour, width) if any(one.subject == row.name for one in found) else []


def _holds(layer: LayerError, tensor: str) -> bool:
    return tensor.startswith(f"{layer.name}.")


def _whole(behaviour: Behaviour, width: int) -> list[Line]:
    lines = [*rule_line(f"logits at {behaviour.target.positions} positions", width), *_logits(behaviour)]
    lines += wrapped(behaviour.runtime, width - 2, "muted", " ")
    if behaviour.layers:
        lines += rule_line("error by part (NMSE)", width)
        lines += _layers([layer for layer in behaviour.layers if not layer.block or layer.diverges], width)
    if behaviour.texts:
        lines += rule_line("text", width)
        worst_first = sorted(behaviour.texts, key=lambda text: list(TextVerdict).index(text.verdict), reverse=True)
        for text in worst_first[:_TEXTS]:
            paint = "fail" if text.verdict is TextVerdict.WRONG else "text"
            lines.append(((f" {text.word:<6} ", paint), (fit(repr(text.prompt), width - 9).rstrip(), "muted")))
            lines.append((("   source ", "muted"), (fit(repr(text.source), width - 11).rstrip(), "text")))
            lines.append((("   target ", "muted"), (fit(repr(text.target), width - 11).rstrip(), "text")))
    return lines


def _logits(behaviour: Behaviour) -> list[Line]:
    sides = {"TARGET": behaviour.target, "TWIN": behaviour.twin, "NOISE": behaviour.floor}
    shown = {name: figures for name, figures in sides.items() if figures is not None}
    lines: list[Line] = [((f" {'':<12}" + "".join(f"{name:>12}" for name in shown), "muted"),)]
    for label, key in _FIGURES:
        values = "".join(f"{_figure(figures, key):>12}" for figures in shown.values())
        lines.append(((f" {label:<12}", "muted"), (values, "text")))
    return [*lines, ((f" {'band':<12}", "muted"), (f"{band(behaviour.target.mean_kld):>12}", "text"))]


def _figure(figures: LogitStatistics, key: str) -> str:
    value = getattr(figures, key)
    return f"{value:.2%}" if key in _SHARES else number(value)


def _layers(layers: Sequence[LayerError], width: int) -> list[Line]:
    """One line a part: its own error, that of its chain, the twin's."""
    names = max(8, min(max(len(layer.name) for layer in layers), width - 42))
    lines: list[Line] = [((f" {'':<{names}} {'OWN':>10} {'CHAIN':>10} {'TWIN':>10}", "muted"),)]
    for layer in layers:
        values = (layer.own.nmse, layer.inherited.nmse, layer.twin_own)
        figures = " ".join(f"{'—' if value is None else number(value):>10}" for value in values)
        mark = ("  ✗ diverges" if names + 46 <= width else " ✗", "fail") if layer.diverges else ("", "text")
        lines.append(((f" {fit(layer.name, names, keep_end=True)} ", "text"), (figures, "text"), mark))
    return lines
