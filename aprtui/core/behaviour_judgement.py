"""The verdict on logits: a pure function of what was measured, so that another tolerance needs no model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import inf, isfinite, sqrt

from aprtui.core.behaviour import KLD_FACTOR, Behaviour
from aprtui.core.outcomes import Outcome
from aprtui.core.tolerance import OWN_RULES, ToleranceSettings, set_by

STANDARD_ERRORS = 3.0

ROUNDING_KLD = 1e-9
"""Largest KLD of one position that other float32 arithmetic explains; llama.cpp and torch differ by 1e-12."""

_HALVINGS = 50


@dataclass(frozen=True, slots=True)
class BehaviourJudgement:
    """The verdict on logits.

    Attributes:
        outcome: Corroborated, Falsified, or Skipped where there is nothing to judge by.
        rule: What was demanded, and by whom where a playbook did.
        measured: What was measured against it.
        needed: Smallest factor over the twin that would have passed; 0 for a bit-exact one.
    """

    outcome: Outcome
    rule: str
    measured: str
    needed: float


@dataclass(frozen=True, slots=True)
class _Excess:
    """One figure of a product and its twin, position by position, under any factor.

    The stored excess holds for `KLD_FACTOR`. With the standard errors of both sides it tells their covariance, and so
    the excess under another factor.

    Attributes:
        product: Mean over positions and its standard error.
        twin: The same of the twin.
        stored: Mean and standard error of product less `KLD_FACTOR` times twin.
        noise: What is allowed besides.
    """

    product: tuple[float, float]
    twin: tuple[float, float]
    stored: tuple[float, float]
    noise: float = 0.0

    def holds(self, factor: float) -> bool:
        """Whether the product is at most so many times the twin, plus standard errors and noise."""
        mean = self.stored[0] + (KLD_FACTOR - factor) * self.twin[0]
        return mean <= STANDARD_ERRORS * self._standard_error(factor) + self.noise

    def _standard_error(self, factor: float) -> float:
        if factor == KLD_FACTOR:
            return self.stored[1]
        product, twin, stored = (error * error for _, error in (self.product, self.twin, self.stored))
        covariance = (product + KLD_FACTOR**2 * twin - stored) / (2 * KLD_FACTOR)
        return sqrt(max(0.0, product + factor**2 * twin - 2 * factor * covariance))

    @property
    def ratio(self) -> float:
        """A factor that certainly holds; 0 where no factor is needed, infinite where the twin shows nothing."""
        if self.holds(0.0):
            return 0.0
        return self.product[0] / self.twin[0] if self.twin[0] else inf


def judge_logits(behaviour: Behaviour, settings: ToleranceSettings = OWN_RULES) -> BehaviourJudgement:
    """Judge logits; pure.

    Lossless: every logit equals that of the twin (which is the source, unless a layout rule computes). Lossy: mean KLD
    and top-1 disagreement at most a factor times the twin's, plus three standard errors and the noise floor. The factor
    is `KLD_FACTOR` where the settings have none.
    """
    if behaviour.lossless:
        return _judge_lossless(behaviour)
    factor = KLD_FACTOR if settings.kld_factor is None else settings.kld_factor
    rule = f"mean KLD and top-1 disagreement at most {factor:g} x the expected-loss twin's plus 3 standard errors"
    if settings.kld_factor is not None:
        rule += f"; {set_by('kld_factor', settings)}"
    target, twin, excess = behaviour.target, behaviour.twin, behaviour.excess
    if twin is None or excess is None:
        return BehaviourJudgement(Outcome.SKIPPED, rule, "there is no expected-loss twin to judge by", 0.0)
    if not isfinite(twin.mean_kld):
        why = "the expected-loss twin's logits are not finite: these types cannot hold the source"
        return BehaviourJudgement(Outcome.SKIPPED, rule, why, 0.0)
    noise = behaviour.floor.mean_kld if behaviour.floor is not None else 0.0
    kld, top1 = (
        _Excess(
            (target.mean_kld, target.mean_kld_se),
            (twin.mean_kld, twin.mean_kld_se),
            (excess.kld, excess.kld_se),
            noise,
        ),
        _Excess(
            (1 - target.top1_agreement, target.top1_agreement_se),
            (1 - twin.top1_agreement, twin.top1_agreement_se),
            (excess.top1, excess.top1_se),
        ),
    )

    def holds(allowed: float) -> bool:
        return isfinite(target.mean_kld) and kld.holds(allowed) and top1.holds(allowed)

    measured = (
        f"mean KLD {target.mean_kld:.3g} ± {target.mean_kld_se:.1g} against the twin's {twin.mean_kld:.3g}, "
        f"top-1 agreement {target.top1_agreement:.1%} against {twin.top1_agreement:.1%}"
    )
    if behaviour.equals_twin:
        measured += ": equal to it bit for bit"
    needed = _smallest(holds, max(kld.ratio, top1.ratio) * (1 + 1e-9))
    if holds(factor):
        return BehaviourJudgement(Outcome.CORROBORATED, rule, measured, needed)
    measured += f"; a factor of {needed:.3g} would allow it" if isfinite(needed) else "; no factor would allow it"
    return BehaviourJudgement(Outcome.FALSIFIED, rule, measured, needed)


def _smallest(holds: Callable[[float], bool], certain: float) -> float:
    """The smallest factor that holds, to about 1e-15 of one that certainly does."""
    if holds(0.0):
        return 0.0
    if not isfinite(certain) or not holds(certain):
        return inf
    low, high = 0.0, certain
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (low, middle) if holds(middle) else (middle, high)
    return high


def _judge_lossless(behaviour: Behaviour) -> BehaviourJudgement:
    target, total = behaviour.target, behaviour.target.positions * behaviour.target.tokens
    rule = "every stored value is exact, so every logit must equal the source's bit for bit"
    if behaviour.twin is not None:
        rule = "every stored value is exact but for the layout rule's arithmetic, so every logit must equal the twin's"
    if behaviour.equals_twin:
        measured = f"all {total} logits at {target.positions} positions equal"
        return BehaviourJudgement(Outcome.CORROBORATED, rule, measured, 0.0)
    if not behaviour.same_arithmetic and target.max_kld <= ROUNDING_KLD:
        measured = f"largest KLD {target.max_kld:.1g}: equal but for the rounding of another machine or version"
        return BehaviourJudgement(Outcome.CORROBORATED, rule, measured, 0.0)
    measured = (
        f"{target.differing} of {total} logits differ from the source's, by up to {target.max_abs_delta:.3g}; "
        f"mean KLD {target.mean_kld:.3g}, top-1 agreement {target.top1_agreement:.1%}"
    )
    return BehaviourJudgement(Outcome.FALSIFIED, rule, measured, 0.0)
