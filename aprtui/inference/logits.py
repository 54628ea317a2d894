"""Logits of several models against the source's, position by position, a few positions in memory at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import exp, inf, isnan, sqrt

import numpy as np
import torch
from numpy.typing import NDArray

from aprtui.core.behaviour import KLD_FACTOR, Excess, LogitStatistics, PromptLogits

_TOP = 10
Floats = NDArray[np.float64]


@dataclass(slots=True)
class LogitRecord:
    """What is kept of each position.

    Attributes:
        kld: KL divergence from the source, nats.
        same_top: Whether the most probable token is the source's.
        overlap: Share of the ten most probable tokens that both have.
        source_ln_p: ln p of the token that follows under the source; NaN behind the last token of a text.
        target_ln_p: The same under the other model.
    """

    kld: list[Floats] = field(default_factory=list)
    same_top: list[Floats] = field(default_factory=list)
    overlap: list[Floats] = field(default_factory=list)
    source_ln_p: list[Floats] = field(default_factory=list)
    target_ln_p: list[Floats] = field(default_factory=list)
    tokens: int = 0
    differing: int = 0
    max_abs_delta: float = 0.0
    squared_delta: float = 0.0
    squared_source: float = 0.0

    def add(self, source: torch.Tensor, target: torch.Tensor, following: torch.Tensor) -> None:
        """Add positions.

        Args:
            source: float32 [positions, tokens].
            target: The same positions; where it has other tokens at the end (rows that a converter cut or added),
                the tokens that both have are compared.
            following: int64 [positions]: the token that follows; -1 behind the last.
        """
        self.tokens = min(source.shape[1], target.shape[1])
        r, t = source[:, : self.tokens], target[:, : self.tokens]
        self.differing += int((r.view(torch.int32) != t.view(torch.int32)).sum())
        r, t = r.double(), t.double()
        delta = (t - r).abs()
        largest = float(delta.max()) if delta.numel() else 0.0
        self.max_abs_delta = max(self.max_abs_delta, inf if isnan(largest) else largest)
        self.squared_delta += float((delta * delta).sum())
        self.squared_source += float((r * r).sum())
        ln_r, ln_t = torch.log_softmax(r, 1), torch.log_softmax(t, 1)
        kld = (ln_r.exp() * (ln_r - ln_t)).sum(1)
        self.kld.append(_array(torch.nan_to_num(kld.clamp(min=0), nan=inf, posinf=inf)))
        top_r, top_t = (torch.topk(values, min(_TOP, self.tokens), dim=1).indices for values in (r, t))
        self.same_top.append(_array((top_r[:, :1] == top_t[:, :1]).double()[:, 0]))
        shared = (top_r[:, :, None] == top_t[:, None, :]).any(2).double()
        self.overlap.append(_array(shared.mean(1)))
        index = following.clamp(min=0, max=self.tokens - 1)[:, None].to(ln_r.device)
        for kept, ln_p in ((self.source_ln_p, ln_r), (self.target_ln_p, ln_t)):
            chosen = _array(ln_p.gather(1, index)[:, 0])
            chosen[following.numpy() < 0] = np.nan
            kept.append(chosen)

    def statistics(self) -> LogitStatistics:
        """Everything over all positions."""
        kld, same = np.concatenate(self.kld), np.concatenate(self.same_top)
        source, target = np.concatenate(self.source_ln_p), np.concatenate(self.target_ln_p)
        known = ~np.isnan(source)
        source, target = source[known], target[known]
        delta_p = np.exp(target) - np.exp(source)
        squares = delta_p**2
        rms = sqrt(float(squares.mean())) if squares.size else 0.0
        agreement = float(same.mean())
        return LogitStatistics(
            positions=kld.size,
            tokens=self.tokens,
            differing=self.differing,
            mean_kld=float(kld.mean()),
            mean_kld_se=standard_error(kld),
            median_kld=float(np.median(kld)),
            kld_99=_percentile(kld, 99),
            kld_999=_percentile(kld, 99.9),
            max_kld=float(kld.max()),
            top1_agreement=agreement,
            top1_agreement_se=sqrt(agreement * (1 - agreement) / max(1, kld.size - 1)),
            top10_overlap=float(np.concatenate(self.overlap).mean()),
            rms_delta_p=rms,
            rms_delta_p_se=standard_error(squares) / (2 * rms) if rms else 0.0,
            source_ppl=_perplexity(source),
            target_ppl=_perplexity(target),
            ln_ppl_ratio_se=standard_error(source - target),
            max_abs_delta=self.max_abs_delta,
            nmse=_ratio(self.squared_delta, self.squared_source),
        )

    def excess_over(self, twin: LogitRecord) -> Excess:
        """How far this model is beyond the twin, as means of paired differences."""
        with np.errstate(invalid="ignore"):  # Logits that are not finite are a finding.
            kld = np.concatenate(self.kld) - KLD_FACTOR * np.concatenate(twin.kld)
        ours, theirs = (1 - np.concatenate(record.same_top) for record in (self, twin))
        top1 = ours - KLD_FACTOR * theirs
        return Excess(float(kld.mean()), standard_error(kld), float(top1.mean()), standard_error(top1))

    def prompts(self, texts: Sequence[str], ids: Sequence[Sequence[int]]) -> tuple[PromptLogits, ...]:
        """Each text, worst first; positions come in the order of the texts."""
        kld, same = np.concatenate(self.kld), np.concatenate(self.same_top)
        found, at = [], 0
        for text, tokens in zip(texts, ids, strict=True):
            span = slice(at, at + len(tokens))
            at += len(tokens)
            worst = int(kld[span].argmax())
            mean, largest = float(kld[span].mean()), float(kld[span][worst])
            found.append(PromptLogits(text, tuple(tokens), mean, largest, worst, int((1 - same[span]).sum())))
        return tuple(sorted(found, key=lambda prompt: -prompt.max_kld))


def standard_error(values: Floats) -> float:
    """Standard error of a mean, positions taken as independent."""
    if values.size < 2:
        return 0.0
    with np.errstate(all="ignore"):
        error = float(values.std(ddof=1) / sqrt(values.size))
    return inf if isnan(error) else error


def _array(values: torch.Tensor) -> Floats:
    return np.array(values.cpu().numpy(), np.float64)


def _percentile(values: Floats, percent: float) -> float:
    if not np.isfinite(values).all():
        return float(np.sort(values)[min(values.size - 1, int(values.size * percent / 100))])
    return float(np.percentile(values, percent))


def _perplexity(ln_p: Floats) -> float:
    mean = -float(ln_p.mean()) if ln_p.size else 0.0
    return exp(mean) if mean < 700 else inf


def _ratio(part: float, whole: float) -> float:
    if isnan(part):
        return inf
    return part / whole if whole else (inf if part else 0.0)
