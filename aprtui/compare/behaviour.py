"""The behaviour level: do both models give the same logits and the same text on the same token ids?"""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite

from aprtui.compare.weights import Progress
from aprtui.core.behaviour import Behaviour, BehaviourJudgement, LayerError, band, judge_logits
from aprtui.core.findings import Finding, LevelResult, judge_level
from aprtui.core.outcomes import Level, Outcome, Severity
from aprtui.formats.layout.plan import LayoutPlan
from aprtui.formats.model import Model
from aprtui.inference.errors import CannotRunError, NotAModelError, missing_runtime

_ENGINE_NMSE = 1e-2
"""Ten times what llama.cpp's rounding of activations costs (Q4_K and Q8_0 models: 30 to 33 dB)."""


@dataclass(frozen=True, slots=True)
class BehaviourSettings:
    """How models are run.

    Attributes:
        device: "cpu", "cuda" or "cuda:N".
        tokens: Tokens to generate from each prompt; 0 for no text.
    """

    device: str = "cpu"
    tokens: int = 16


def behaviour_level(
    plan: LayoutPlan,
    models: tuple[Model, Model, Model],
    settings: BehaviourSettings,
    prompts: tuple[str, ...] = (),
    progress: Progress | None = None,
) -> tuple[LevelResult, Behaviour | None]:
    """Run both models and judge what they do.

    Args:
        plan: How they correspond, whole.
        models: Source, target, and the reference for layout rules.
        settings: How they are run.
        prompts: Texts beside the probe texts.
        progress: Told while weights are read.

    Returns:
        The level, Skipped with the reason where the source or this machine cannot run it; and what was measured.
    """
    source, target, reference = models
    absent = missing_runtime()
    if absent is not None:
        return _skipped(absent), None
    from aprtui.inference.measure import Pair, Request, measure_behaviour  # noqa: PLC0415

    request = Request(prompts, settings.device, settings.tokens)
    try:
        behaviour = measure_behaviour(Pair(source, target, plan, reference), request, progress)
    except NotAModelError as error:
        if error.file == source.path:
            return _skipped(f"the source cannot be run: {error.problem}"), None
        finding = Finding(Level.BEHAVIOUR, "model", error.problem, expected="a model that runs", found="none")
        return judge_level(Level.BEHAVIOUR, [finding], checked=1), None
    except CannotRunError as error:
        return _skipped(error.message), None
    return _judged(behaviour), behaviour


def _skipped(reason: str) -> LevelResult:
    return judge_level(Level.BEHAVIOUR, (), checked=0, not_checked=(f"behaviour: {reason}",))


def _judged(behaviour: Behaviour) -> LevelResult:
    if behaviour.floor is not None and not isfinite(behaviour.floor.mean_kld):
        return _skipped("the source's logits are not finite")
    judgement = judge_logits(behaviour)
    failed = judgement.outcome is Outcome.FALSIFIED
    findings = [_logits(behaviour, judgement)]
    if not isfinite(behaviour.target.max_abs_delta):
        message = "its logits are not finite"
        findings.append(Finding(Level.BEHAVIOUR, "model", message, expected="finite logits", found="NaN or infinity"))
    divergence = behaviour.first_divergence
    if divergence is not None:
        findings.append(_layer(divergence, Severity.FAILURE if failed else Severity.NOTE))
    findings += [
        Finding(
            Level.BEHAVIOUR,
            "text",
            f"after {text.prompt[:60]!r} token {text.first_difference} is another one, where the source is sure by "
            f"{text.margin:.3g} ({text.limit:.3g} is explained)",
            expected=repr(text.source[:80]),
            found=repr(text.target[:80]),
        )
        for text in behaviour.wrong_texts
    ]
    findings += [*_swap(behaviour), *_llama_cpp(behaviour)]
    judged = judgement.outcome is not Outcome.SKIPPED
    not_checked = behaviour.not_checked if judged else (*behaviour.not_checked, f"logits: {judgement.measured}")
    checked = behaviour.target.positions if judged else 0
    return judge_level(Level.BEHAVIOUR, findings, checked=checked, not_checked=tuple(dict.fromkeys(not_checked)))


def _logits(behaviour: Behaviour, judgement: BehaviourJudgement) -> Finding:
    severity = Severity.FAILURE if judgement.outcome is Outcome.FALSIFIED else Severity.NOTE
    target = behaviour.target
    message = (
        f"mean KLD {target.mean_kld:.3g} ({band(target.mean_kld)}), top-1 agreement {target.top1_agreement:.2%}, "
        f"RMS delta-p {target.rms_delta_p:.2%}, PPL ratio {target.ppl_ratio:.4f}, "
        f"largest logit difference {target.max_abs_delta:.3g}"
    )
    if behaviour.floor is not None:
        message += f"; noise floor: mean KLD {behaviour.floor.mean_kld:.1g}"
    return Finding(
        Level.BEHAVIOUR, "logits", message, severity, judgement.rule, judgement.measured, place=behaviour.runtime
    )


def _layer(error: LayerError, severity: Severity) -> Finding:
    where = f"{error.unit}.{error.block}" if error.block else error.unit
    return Finding(
        Level.BEHAVIOUR,
        where,
        "the first part that diverges when it is fed what the source's is fed",
        severity,
        expected=f"own NMSE at most {error.limit:.3g}",
        found=f"own NMSE {error.own.nmse:.3g}, in its own chain {error.inherited.nmse:.3g}",
    )


def _swap(behaviour: Behaviour) -> list[Finding]:
    swap = behaviour.swap
    if swap is None:
        return []
    message = (
        f"bits per byte with the source's tokens: {swap.source_tokens_source_weights:.3f} (source's weights), "
        f"{swap.source_tokens_target_weights:.3f} (target's weights); with the target's tokens: "
        f"{swap.target_tokens_source_weights:.3f}, {swap.target_tokens_target_weights:.3f}"
    )
    return [Finding(Level.BEHAVIOUR, "tokens", message, Severity.NOTE)]


def _llama_cpp(behaviour: Behaviour) -> list[Finding]:
    """The same file in another engine: far apart, one of them reads the file otherwise."""
    figures = behaviour.llama_cpp
    if figures is None:
        return []
    agree = "agree on this file"
    if figures.nmse > _ENGINE_NMSE:
        agree = "do not agree on this file, so it is not the file alone"
    message = (
        f"llama.cpp and the reference {agree}: mean KLD {figures.mean_kld:.3g}, "
        f"top-1 agreement {figures.top1_agreement:.2%} at {figures.positions} positions"
    )
    return [Finding(Level.BEHAVIOUR, "llama.cpp", message, Severity.NOTE)]
