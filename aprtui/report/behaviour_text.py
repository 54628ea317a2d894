"""What running two models showed, as lines of text: figures, layers, generated texts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from aprtui.core.behaviour import Behaviour, LayerError, LogitStatistics, TextMode, band
from aprtui.core.safe_text import safe_text

_UNITS = 12
_TEXT = 48
_TEXTS = 3


def behaviour_lines(behaviour: Behaviour) -> Iterator[str]:
    """Lines of the report."""
    yield f"logits at {behaviour.target.positions} positions; {safe_text(behaviour.runtime, 300)}"
    rows = {"target": behaviour.target, "expected-loss twin": behaviour.twin, "noise floor": behaviour.floor}
    yield from _figures({name: figures for name, figures in rows.items() if figures is not None})
    for prompt in behaviour.prompts[:_TEXTS]:
        if prompt.max_kld:
            at = f"KLD {prompt.max_kld:.3g} at token {prompt.worst}, mean {prompt.mean_kld:.3g}"
            yield f"  furthest: {at}, in {safe_text(repr(prompt.text), _TEXT)}"
    if behaviour.layers:
        yield ""
        yield "error by part (NMSE): fed what the source's part is fed, and in its own chain"
        yield from _layers([error for error in behaviour.layers if not error.block])
    if behaviour.texts:
        yield ""
        forced = any(text.mode is TextMode.FORCED for text in behaviour.texts)
        yield "greedy text" if not forced else "what both say behind each token of a text (a whole model does not fit)"
        for text in behaviour.texts:
            says = f"token {text.first_difference}" if text.first_difference is not None else f"{len(text.source_ids)}"
            yield (
                f"  {text.word:<5}  {says:<9}  {safe_text(repr(text.prompt), _TEXT)}: "
                f"{safe_text(repr(text.source), _TEXT)} | {safe_text(repr(text.target), _TEXT)}"
            )
    yield ""
    yield f"behaviour took {behaviour.seconds:.1f} s, peak memory of the process {behaviour.peak_bytes / 2**30:.2f} GiB"


def layer_text(error: LayerError, width: int = 0) -> str:
    """The errors of one part (NMSE), own and in its own chain, beside the twin's.

    Args:
        error: The part.
        width: Cells for its name.
    """
    twin = "" if error.twin_own is None else f"  twin {error.twin_own:.2e}"
    mark = "  <- diverges" if error.diverges else ""
    name = safe_text(error.name, 60)
    return f"{name:<{width}}  own {error.own.nmse:.2e}  chain {error.inherited.nmse:.2e}{twin}{mark}"


def _figures(rows: dict[str, LogitStatistics]) -> Iterator[str]:
    names = (
        "mean KLD",
        "± s.e.",
        "median",
        "99 %",
        "99.9 %",
        "max",
        "top-1",
        "top-10",
        "RMS dp",
        "PPL ratio",
        "max dlogit",
    )
    yield f"  {'':<19}" + "".join(f"{name:>11}" for name in names)
    for name, each in rows.items():
        small = (each.mean_kld, each.mean_kld_se, each.median_kld, each.kld_99, each.kld_999, each.max_kld)
        shares = (each.top1_agreement, each.top10_overlap, each.rms_delta_p)
        line = "".join(f"{value:>11.3g}" for value in small) + "".join(f"{value:>11.2%}" for value in shares)
        yield f"  {name:<19}{line}{each.ppl_ratio:>11.5f}{each.max_abs_delta:>11.3g}  {band(each.mean_kld)}"


def _layers(units: Sequence[LayerError]) -> Iterator[str]:
    """The first and the last parts, and the first that diverges."""
    shown = list(units)
    if len(units) > _UNITS:
        first = next((at for at, error in enumerate(units) if error.diverges), 0)
        kept = sorted(
            {*range(4), *range(max(0, first - 1), min(len(units), first + 3)), *range(len(units) - 4, len(units))}
        )
        shown = [units[at] for at in kept]
    width = max(len(safe_text(error.unit, 60)) for error in shown)
    for error in shown:
        yield f"  {layer_text(error, width)}"
    if len(shown) < len(units):
        yield f"  … {len(units) - len(shown)} more (--format json lists all)"
