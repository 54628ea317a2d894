"""Two models and what to measure of them: what everything that runs them is told."""

from __future__ import annotations

from dataclasses import dataclass

from aprtui.formats.layout.plan import LayoutPlan
from aprtui.formats.model import Model


@dataclass(frozen=True, slots=True)
class Request:
    """What to measure.

    Attributes:
        prompts: Texts to run the models on, beside the probe texts; they are generated from too.
        device: "cpu", "cuda" or "cuda:N".
        tokens: Tokens to generate from each prompt; 0 for no text.
    """

    prompts: tuple[str, ...] = ()
    device: str = "cpu"
    tokens: int = 16


@dataclass(frozen=True, slots=True)
class Pair:
    """Two models and how they correspond.

    Attributes:
        source: A.
        target: B.
        plan: Their layout plan.
        reference: Where the layout rules take architecture and head counts from.
    """

    source: Model
    target: Model
    plan: LayoutPlan
    reference: Model
