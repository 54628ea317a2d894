from dataclasses import replace
from math import inf

import pytest

from aprtui.core.dtypes import DType
from aprtui.core.outcomes import ExitCode, Outcome, exit_code
from aprtui.core.statistics import CertificateScalars, StatisticsRecord
from aprtui.core.tolerance import ERROR_BANDS, Rule, Tolerance, judge, tolerance_for

EQUAL = StatisticsRecord(elements=100, sum_squared_a=4.0)


@pytest.mark.parametrize(
    ("source", "target", "rule"),
    [
        ("BF16", "BF16", Rule.BIT_EXACT),
        ("BF16", "F32", Rule.BIT_EXACT),
        ("BF16", "F16", Rule.ROUNDING),
        ("F32", "BF16", Rule.ROUNDING),
        ("F64", "F32", Rule.ROUNDING),
        ("F16", "BF16", Rule.ROUNDING),
        ("Q4_K", "F32", Rule.BIT_EXACT),
        ("Q4_K", "Q4_K", Rule.BIT_EXACT),
        ("Q4_K", "Q6_K", Rule.CERTIFICATE),
        ("F32", "AprQ8", Rule.CERTIFICATE),
        ("F32", "IQ2_XS", Rule.BAND),
        ("I32", "I64", Rule.BIT_EXACT),
    ],
)
def test_the_rule_follows_from_the_conversion(source, target, rule):
    assert tolerance_for(DType(source), DType(target)).rule is rule


def test_bit_exact_counts_differing_elements():
    tolerance = tolerance_for(DType.BF16, DType.F32)
    assert judge(EQUAL, tolerance).passed
    verdict = judge(replace(EQUAL, differing=3, max_ulp=2.0, sum_squared_error=1.0), tolerance)
    assert (verdict.outcome, verdict.margin, verdict.unit) == (Outcome.FALSIFIED, 3.0, "differing elements")
    assert "3 of 100 elements differ" in verdict.sentence


def test_rounding_allows_half_an_ulp_and_names_what_went_wrong():
    tolerance = tolerance_for(DType.F32, DType.F16)
    assert judge(replace(EQUAL, differing=50, max_ulp=0.5), tolerance).passed
    truncated = judge(replace(EQUAL, differing=50, max_ulp=0.99, truncated=20), tolerance)
    assert not truncated.passed
    assert "20 truncated" in truncated.sentence
    assert truncated.needed == 0.99
    overflowed = judge(replace(EQUAL, differing=1, max_ulp=inf, overflowed=1), tolerance)
    assert not overflowed.passed
    assert "1 overflowed" in overflowed.sentence


def test_a_new_tolerance_is_judged_from_the_record_alone():
    record = replace(EQUAL, differing=1, max_ulp=0.9)
    assert not judge(record, Tolerance(Rule.ROUNDING, DType.F16, 0.5, "the rule")).passed
    assert judge(record, Tolerance(Rule.ROUNDING, DType.F16, 1.0, "the user")).passed


def test_a_certificate_passes_without_violations_only():
    tolerance = tolerance_for(DType.BF16, DType.Q4_K)
    good = replace(EQUAL, differing=90, certificate=CertificateScalars(blocks=8))
    bad = replace(good, certificate=CertificateScalars(blocks=8, code_violations=2, first_violation=5))
    assert judge(good, tolerance).passed
    verdict = judge(bad, tolerance)
    assert not verdict.passed
    assert "2 with codes that are not nearest among 8 blocks, the first is block 5" in verdict.sentence
    assert judge(EQUAL, tolerance).outcome is Outcome.SKIPPED


def test_bands_catch_what_no_encoder_makes():
    for dtype, band in ERROR_BANDS.items():
        zeroed = replace(EQUAL, differing=100, sum_squared_error=4.0)
        assert not judge(zeroed, tolerance_for(DType.F32, dtype)).passed
        inside = replace(EQUAL, differing=100, sum_squared_error=4.0 * (0.9 * band) ** 2)
        assert judge(inside, tolerance_for(DType.F32, dtype)).passed


@pytest.mark.parametrize(
    ("outcomes", "code"),
    [
        ([], ExitCode.PASSED),
        (["Corroborated"], ExitCode.PASSED),
        (["Corroborated", "Skipped"], ExitCode.SKIPPED),
        (["Skipped", "Crashed"], ExitCode.ENVIRONMENT),
        (["Crashed", "Timeout"], ExitCode.TIMEOUT),
        (["Timeout", "Falsified", "Skipped"], ExitCode.FALSIFIED),
    ],
)
def test_the_worst_outcome_decides_the_exit_code(outcomes, code):
    assert exit_code(Outcome(outcome) for outcome in outcomes) == code


def test_cosine_distance_does_not_cancel():
    record = StatisticsRecord(elements=1, sum_squared_a=1.0, sum_squared_error=1e-20, sum_a_error=0.0, differing=1)
    assert record.cosine_distance == pytest.approx(5e-21)
    assert StatisticsRecord(elements=1).cosine_distance == 0.0
