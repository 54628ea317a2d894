"""The behaviour level: do both models give the same logits and the same text on the same token ids?"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from aprtui.compare.weights import Progress
from aprtui.core.behaviour import Behaviour, LayerError
from aprtui.core.behaviour_level import behaviour_skipped, judge_behaviour
from aprtui.core.findings import Finding, LevelResult, judge_level
from aprtui.core.outcomes import Level
from aprtui.core.tolerance import OWN_RULES, ToleranceSettings
from aprtui.formats.layout.plan import LayoutPlan
from aprtui.formats.model import Model
from aprtui.inference.errors import CannotRunError, NotAModelError, missing_runtime


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
    *,
    told: Callable[[LayerError], None],
    tolerances: ToleranceSettings = OWN_RULES,
) -> tuple[LevelResult, Behaviour | None]:
    """Run both models and judge what they do.

    Args:
        plan: How they correspond, whole.
        models: Source, target, and the reference for layout rules.
        settings: How they are run.
        prompts: Texts beside the probe texts.
        progress: Told while weights are read.
        told: Told of each part of the target that was held to the source's.
        tolerances: The playbook's, in place of the rules' own.

    Returns:
        The level, Skipped with the reason where the source or this machine cannot run it; and what was measured.
    """
    source, target, reference = models
    absent = missing_runtime()
    if absent is not None:
        return behaviour_skipped(absent), None
    from aprtui.inference.measure import measure_behaviour  # noqa: PLC0415
    from aprtui.inference.request import Pair, Request  # noqa: PLC0415

    request = Request(prompts, settings.device, settings.tokens)
    try:
        behaviour = measure_behaviour(Pair(source, target, plan, reference), request, progress, told)
    except NotAModelError as error:
        if error.file == source.path:
            return behaviour_skipped(f"the source cannot be run: {error.problem}"), None
        finding = Finding(Level.BEHAVIOUR, "model", error.problem, expected="a model that runs", found="none")
        return judge_level(Level.BEHAVIOUR, [finding], checked=1), None
    except CannotRunError as error:
        return behaviour_skipped(error.message), None
    return judge_behaviour(behaviour, tolerances), behaviour
