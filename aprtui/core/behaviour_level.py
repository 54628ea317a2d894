"""The behaviour level's verdict and findings, from what was measured alone: judged again without running a model."""

from __future__ import annotations

from math import isfinite

from aprtui.core.behaviour import Behaviour, LayerError, TextComparison, TextMode, band
from aprtui.core.behaviour_judgement import BehaviourJudgement, judge_logits
from aprtui.core.findings import LLAMA_CPP, Finding, LevelResult, judge_level
from aprtui.core.outcomes import Level, Outcome, Severity
from aprtui.core.tolerance import OWN_RULES, ToleranceSettings

_ENGINE_NMSE = 1e-2
"""Ten times what llama.cpp's rounding of activations costs (Q4_K and Q8_0 models: 30 to 33 dB)."""


def behaviour_skipped(reason: str) -> LevelResult:
    """The level where neither model ran, with the reason."""
    return judge_level(Level.BEHAVIOUR, (), checked=0, not_checked=(f"behaviour: {reason}",))


def judge_behaviour(behaviour: Behaviour, settings: ToleranceSettings = OWN_RULES) -> LevelResult:
    """The level's verdict and what every figure says; pure."""
    if behaviour.floor is not None and not isfinite(behaviour.floor.mean_kld):
        return behaviour_skipped("the source's logits are not finite")
    judgement = judge_logits(behaviour, settings)
    failed = judgement.outcome is Outcome.FALSIFIED
    findings = [_logits(behaviour, judgement)]
    if not isfinite(behaviour.target.max_abs_delta):
        message = "its logits are not finite"
        findings.append(Finding(Level.BEHAVIOUR, "model", message, expected="finite logits", found="NaN or infinity"))
    if behaviour.other_tokens:
        findings.append(Finding(Level.BEHAVIOUR, "vocabulary", behaviour.other_tokens))
    divergence = behaviour.first_divergence
    if divergence is not None:
        findings.append(_layer(divergence, Severity.FAILURE if failed else Severity.NOTE))
    elif failed and len(behaviour.layers) > 1:  # The head is measured with the logits, also where nothing else was.
        findings.append(_none_alone(max(behaviour.layers, key=_nearness)))
    findings += [_wrong(text) for text in behaviour.wrong_texts]
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
    return Finding(
        Level.BEHAVIOUR,
        error.name,
        "the first part that only one of the models has"
        if error.one_sided
        else "the first part that diverges when it is fed what the source's is fed",
        severity,
        expected=f"own NMSE at most {error.limit:.3g}",
        found=f"own NMSE {error.own.nmse:.3g}, in its own chain {error.inherited.nmse:.3g}",
    )


def _nearness(error: LayerError) -> float:
    """How near a part is to its limit."""
    return error.own.nmse / error.limit if error.limit else 0.0


def _none_alone(nearest: LayerError) -> Finding:
    return Finding(
        Level.BEHAVIOUR,
        "layers",
        f"no part by itself is off by more than its conversion explains, errors add up; nearest is {nearest.name}",
        Severity.NOTE,
        expected=f"own NMSE at most {nearest.limit:.3g}",
        found=f"own NMSE {nearest.own.nmse:.3g}, in its own chain {nearest.inherited.nmse:.3g}",
    )


def _wrong(text: TextComparison) -> Finding:
    forced = text.mode is TextMode.FORCED
    at = f"behind token {text.first_difference} of" if forced else f"token {text.first_difference} after"
    message = (
        f"{at} {text.prompt[:60]!r} another one comes, where the source is sure by {text.margin:.3g} "
        f"({text.limit:.3g} is explained)"
    )
    return Finding(Level.BEHAVIOUR, "text", message, expected=repr(text.source[:80]), found=repr(text.target[:80]))


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
    """The same file in another engine: far apart, one of them reads the file otherwise; its users run it there."""
    if behaviour.llama_refused:
        message = f"the engine that its users run refuses the file: {behaviour.llama_refused}"
        return [Finding(Level.BEHAVIOUR, LLAMA_CPP, message)]
    figures = behaviour.llama_cpp
    if figures is None:
        return []
    agree = "do not agree on this file, so it is not the file alone"
    if figures.nmse <= _ENGINE_NMSE:  # NaN is no agreement.
        agree = "agree on this file"
    message = (
        f"llama.cpp and the reference {agree}: mean KLD {figures.mean_kld:.3g}, "
        f"top-1 agreement {figures.top1_agreement:.2%} at {figures.positions} positions"
    )
    return [Finding(Level.BEHAVIOUR, LLAMA_CPP, message, Severity.NOTE)]
