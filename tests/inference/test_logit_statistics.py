"""Metrics of logits against their definitions, computed another way."""

from math import exp, log, sqrt

import numpy as np
import pytest
import torch

from aprtui.inference.logits import LogitRecord, standard_error


def softmax(row):
    powers = [exp(value - max(row)) for value in row]
    return [power / sum(powers) for power in powers]


def statistics(source, target, following):
    record = LogitRecord()
    # In two pieces: what is measured must not depend on how positions are cut.
    cut = len(source) // 2
    for span in (slice(0, cut), slice(cut, None)):
        record.add(source[span], target[span], following[span])
    return record, record.statistics()


@pytest.fixture
def sample():
    generator = torch.Generator().manual_seed(3)
    source = torch.randn(40, 25, generator=generator)
    target = source + 0.3 * torch.randn(40, 25, generator=generator)
    following = torch.randint(0, 25, (40,), generator=generator)
    following[[9, 39]] = -1
    return source, target, following


def test_definitions(sample):
    source, target, following = sample
    _, found = statistics(*sample)
    kld, deltas, ln_source, ln_target, same = [], [], [], [], []
    for r, t, y in zip(source.tolist(), target.tolist(), following.tolist(), strict=True):
        p, q = softmax(r), softmax(t)
        kld.append(sum(a * log(a / b) for a, b in zip(p, q, strict=True)))
        same.append(p.index(max(p)) == q.index(max(q)))
        if y >= 0:
            deltas.append(q[y] - p[y])
            ln_source.append(log(p[y]))
            ln_target.append(log(q[y]))
    assert found.positions == 40 and found.tokens == 25
    assert found.mean_kld == pytest.approx(sum(kld) / 40, rel=1e-6)
    assert found.mean_kld_se == pytest.approx(np.std(kld, ddof=1) / sqrt(40), rel=1e-6)
    assert found.median_kld == pytest.approx(np.median(kld), rel=1e-6)
    assert found.kld_99 == pytest.approx(np.percentile(kld, 99), rel=1e-6)
    assert found.max_kld == pytest.approx(max(kld), rel=1e-6)
    assert found.top1_agreement == pytest.approx(sum(same) / 40)
    assert found.rms_delta_p == pytest.approx(sqrt(sum(d * d for d in deltas) / len(deltas)), rel=1e-6)
    assert found.source_ppl == pytest.approx(exp(-sum(ln_source) / 38), rel=1e-6)
    assert found.ppl_ratio == pytest.approx(exp((sum(ln_source) - sum(ln_target)) / 38), rel=1e-6)
    assert found.max_abs_delta == pytest.approx(float((target - source).abs().max()), rel=1e-6)
    assert found.nmse == pytest.approx(float(((target - source) ** 2).sum() / (source**2).sum()), rel=1e-5)
    assert found.differing == 1000


def test_equal_logits_differ_nowhere(sample):
    source, _, following = sample
    _, found = statistics(source, source.clone(), following)
    assert (found.differing, found.mean_kld, found.max_abs_delta, found.nmse) == (0, 0.0, 0.0, 0.0)
    assert (found.top1_agreement, found.top10_overlap, found.ppl_ratio) == (1.0, 1.0, 1.0)


def test_values_that_are_not_numbers_are_infinitely_far(sample):
    source, target, following = sample
    broken = target.clone()
    broken[5, 3] = float("nan")
    _, found = statistics(source, broken, following)
    assert found.mean_kld == found.max_kld == found.max_abs_delta == found.nmse == float("inf")


def test_rows_that_only_one_side_has_are_left_out(sample):
    source, target, following = sample
    _, cut = statistics(source, target[:, :20], following.clamp(max=19))
    _, whole = statistics(source[:, :20], target[:, :20], following.clamp(max=19))
    assert cut == whole


def test_excess_is_a_paired_mean(sample):
    source, target, following = sample
    record, found = statistics(source, target, following)
    same, _ = statistics(source, target, following)
    excess = record.excess_over(same)
    assert excess.kld == pytest.approx(-0.25 * found.mean_kld)
    assert excess.kld_se == pytest.approx(0.25 * found.mean_kld_se)
    assert excess.top1 == pytest.approx(-0.25 * (1 - found.top1_agreement))
    assert standard_error(np.array([1.0])) == 0.0


def test_prompts_come_worst_first(sample):
    source, target, following = sample
    target = source.clone()
    target[15] += torch.arange(25.0)
    record, _ = statistics(source, target, following)
    first, *rest = record.prompts(["a", "b", "c"], [range(10), range(12), range(18)])
    assert (first.text, first.worst, first.ids) == ("b", 5, tuple(range(12)))
    assert [prompt.max_kld for prompt in rest] == [0.0, 0.0]
