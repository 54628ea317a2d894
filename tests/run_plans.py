"""The plan of a run that does nothing, to begin from."""

from dataclasses import replace

from aprtui.core.tolerance import OWN_RULES
from aprtui.store.plan import Limits, ModelFacts, PlaybookFacts, RunPlan

_EMPTY = RunPlan(
    run_id="r",
    playbook=PlaybookFacts("p.yaml", "p", "1", "a/b", 1, digest="xxh3:p"),
    model=ModelFacts("m", "named", None),
    sources=(),
    converter=None,
    gates=(),
    comparisons=(),
    conversions=(),
    not_planned=(),
    tolerances=OWN_RULES,
    selection=(),
    limits=Limits(),
    evidence="evidence.json",
    scratch="scratch",
    keeps_products=False,
    ignores_kept=False,
    aprtui_version="0",
    rules_version="1",
)


def empty_plan(run_id, **other):
    """A plan without gates; keywords replace its fields."""
    return replace(_EMPTY, run_id=run_id, **other)
