"""The verdict on logits under a playbook's factor: from stored figures, in a comparison, and when a run is rejudged."""

from dataclasses import replace
from datetime import UTC, datetime
from math import isfinite, nan

import behaviours
import numpy as np
import pytest
import torch
from run_plans import empty_plan

from aprtui.core.behaviour_judgement import judge_logits
from aprtui.core.behaviour_level import judge_behaviour
from aprtui.core.events import BehaviourMeasured, ComparisonFinished, ComparisonStarted, JournalLine, LevelFinished
from aprtui.core.outcomes import Level, Outcome
from aprtui.core.tolerance import ToleranceSettings
from aprtui.engine.rejudge import judge_again
from aprtui.inference.logits import LogitRecord, standard_error
from aprtui.playbook import load_playbook
from aprtui.store.plan import PlannedComparison


def record_of(source, target):
    record = LogitRecord()
    record.add(source, target, torch.full((len(source),), -1))
    return record


@pytest.fixture(scope="module")
def records():
    """A product whose mean KLD is about twice its twin's."""
    generator = torch.Generator().manual_seed(5)
    source = torch.randn(400, 30, generator=generator)
    noise = torch.randn(400, 30, generator=generator)
    more = torch.randn(400, 30, generator=generator)
    return record_of(source, source + 0.1 * noise + 0.1 * more), record_of(source, source + 0.1 * noise)


@pytest.fixture(scope="module")
def behaviour(records):
    product, twin = records
    return behaviours.behaviour(target=product.statistics(), twin=twin.statistics(), excess=product.excess_over(twin))


@pytest.mark.parametrize("factor", [0.0, 0.5, 1.0, 1.25, 1.7, 2.0, 3.0])
def test_stored_figures_give_the_verdict_that_positions_give(records, behaviour, factor):
    found = judge_logits(behaviour, ToleranceSettings(kld_factor=factor)).outcome
    product, twin = records
    holds = True
    for one, other in ((product.kld, twin.kld), (product.same_top, twin.same_top)):
        ours, theirs = np.concatenate(one), np.concatenate(other)
        if one is product.same_top:
            ours, theirs = 1 - ours, 1 - theirs
        excess = ours - factor * theirs
        holds &= bool(excess.mean() <= 3 * standard_error(excess))
    assert found is (Outcome.CORROBORATED if holds else Outcome.FALSIFIED)


def test_the_needed_factor_is_the_smallest_that_holds(behaviour):
    judgement = judge_logits(behaviour)
    assert judgement.outcome is Outcome.FALSIFIED
    assert 1.25 < judgement.needed < 2.1
    assert f"a factor of {judgement.needed:.3g} would allow it" in judgement.measured
    for step, outcome in ((1.001, Outcome.CORROBORATED), (0.999, Outcome.FALSIFIED)):
        settings = ToleranceSettings(kld_factor=judgement.needed * step, origin="p.yaml, line 3")
        again = judge_logits(behaviour, settings)
        assert (again.outcome, again.needed) == (outcome, judgement.needed)
        assert "aprtui.tolerance.kld_factor" in again.rule and "p.yaml, line 3" in again.rule


def test_a_twin_that_never_errs_leaves_a_factor_to_name(behaviour):
    """A product within three standard errors of a perfect twin needs no factor for its top-1 agreement."""
    perfect = replace(behaviour.twin, top1_agreement=1.0, top1_agreement_se=0.0)
    close = replace(behaviour.target, top1_agreement=0.999, top1_agreement_se=0.001)
    excess = replace(behaviour.excess, top1=0.001, top1_se=0.001)
    judgement = judge_logits(replace(behaviour, twin=perfect, target=close, excess=excess))
    assert isfinite(judgement.needed)


def test_no_factor_forgives_what_is_not_finite_or_has_to_be_equal(behaviour):
    wide = ToleranceSettings(kld_factor=1e9)
    broken = replace(behaviour, target=replace(behaviour.target, mean_kld=float("inf"), mean_kld_se=float("inf")))
    judgement = judge_logits(broken, wide)
    assert (judgement.outcome, judgement.needed) == (Outcome.FALSIFIED, float("inf"))
    assert "no factor would allow it" in judgement.measured
    assert judge_logits(replace(behaviour, lossless=True, twin=None), wide).outcome is Outcome.FALSIFIED


def test_a_twin_that_is_not_finite_judges_nothing(behaviour):
    """Where F16 cannot hold the source; a product that is not finite either fails by that."""
    endless = replace(behaviour.twin, mean_kld=float("inf"), max_abs_delta=float("inf"))
    excess = replace(behaviour.excess, kld=float("-inf"), kld_se=float("inf"))
    open_, broken = (
        replace(behaviour, twin=endless, excess=excess),
        replace(behaviour.target, max_abs_delta=float("inf")),
    )
    level = judge_behaviour(open_)
    assert (level.outcome, level.failures) == (Outcome.SKIPPED, ())
    assert any("the expected-loss twin's logits are not finite" in part for part in level.not_checked)
    failed = judge_behaviour(replace(open_, target=broken))
    assert [finding.message for finding in failed.failures] == ["its logits are not finite"]


def test_a_playbooks_factor_judges_a_run_again(behaviour, tmp_path):
    path = tmp_path / "p.playbook.yaml"
    path.write_text("name: p\nmodel:\n  hf_repo: a/b\naprtui:\n  tolerance:\n    kld_factor: 2.5\n", encoding="utf-8")
    settings = load_playbook(path).tolerances
    assert settings.kld_factor == 2.5
    planned = PlannedComparison("S~S>G", "S", "S>G", levels=(Level.BEHAVIOUR,))
    events = [
        ComparisonStarted("S~S>G", 0),
        LevelFinished("S~S>G", judge_behaviour(behaviour)),
        BehaviourMeasured("S~S>G", behaviour),
        ComparisonFinished("S~S>G", Outcome.FALSIFIED, "NOT EQUIVALENT"),
    ]
    lines = [JournalLine("r", at, datetime(2026, 1, 1, tzinfo=UTC), event) for at, event in enumerate(events)]
    plan = empty_plan("r", comparisons=(planned,))
    assert judge_again(plan, lines, ToleranceSettings()) == {}
    again = judge_again(plan, lines, settings)["S~S>G"]
    (level,) = [event.level for event in again if isinstance(event, LevelFinished)]
    assert level.outcome is Outcome.CORROBORATED
    assert f"aprtui.tolerance.kld_factor 2.5 of {path}, line 6" in str(level.findings[0].expected)
    assert again[-1].outcome is Outcome.CORROBORATED


@pytest.mark.parametrize(("nmse", "words"), [(0.0, "agree on"), (1.0, "do not agree"), (nan, "do not agree")])
def test_engines_agree_where_their_logits_do(behaviour, nmse, words):
    both = replace(behaviour, llama_cpp=replace(behaviour.target, nmse=nmse))
    (note,) = [one for one in judge_behaviour(both).findings if one.subject == "llama.cpp"]
    assert note.message.startswith(f"llama.cpp and the reference {words}")
