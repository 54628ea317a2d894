"""Faults that one clause alone sees, and the decisions that belong to a whole tensor.

What the certificate cannot see is listed in docs/certificate.md and not asserted here.
"""

import numpy as np
import pytest
from certificate_samples import (
    BLOCK_TYPES,
    F32,
    as_chunk,
    certify,
    codes_chosen_anew,
    distributions,
    encode,
    importance,
    one_code_off,
    scales_times,
    through_bf16,
)

from aprtui.compare.certificate import Certifier, is_certified
from aprtui.compare.certificate.types import CERTIFICATE_TYPES
from aprtui.core.dtypes import DType
from aprtui.core.errors import UsageError
from aprtui.formats.codecs.block_layout import LAYOUTS, get_scale, put_scale, put_sub_scales, unpack

X = distributions(32, 1024)["gauss .02"]
FORMULA = [dtype for dtype, kind in CERTIFICATE_TYPES.items() if kind.formula]
SEARCHED = [dtype for dtype, kind in CERTIFICATE_TYPES.items() if not kind.formula]


@pytest.mark.parametrize("dtype", FORMULA)
def test_scales_times_200_with_codes_kept_are_seen_by_the_scale_clause_alone(dtype):
    result, flags = certify(dtype, X, scales_times(dtype, encode(dtype, X), 200))
    assert result.scale_violations == result.blocks
    assert result.code_violations == result.zero_violations == 0
    assert flags.scales.all()
    assert result.first_violation == 0


@pytest.mark.parametrize("dtype", SEARCHED)
@pytest.mark.parametrize("factor", [200, 2.9])
def test_coarse_scales_with_the_best_codes_are_seen_by_the_scale_clause_alone(dtype, factor):
    raw = scales_times(dtype, encode(dtype, X), factor * CERTIFICATE_TYPES[dtype].coarse, with_offset=False)
    result, _ = certify(dtype, X, codes_chosen_anew(dtype, raw, X))
    assert result.scale_violations == result.blocks
    assert result.code_violations == result.zero_violations == 0
    assert result.worst_step_ratio > 1


@pytest.mark.parametrize("dtype", BLOCK_TYPES)
def test_one_code_off_by_one_is_seen_by_the_code_clause_alone(dtype):
    result, _ = certify(dtype, X, one_code_off(dtype, encode(dtype, X), np.random.default_rng(3)))
    assert result.code_violations >= 0.98 * result.blocks
    assert result.scale_violations == result.zero_violations == 0
    assert result.worst_code_steps > 0.1


@pytest.mark.parametrize("dtype", BLOCK_TYPES)
def test_a_block_of_zero_bytes_is_seen_by_the_zero_clause(dtype):
    raw = encode(dtype, X)
    raw[5] = 0
    result, flags = certify(dtype, X, raw)
    assert result.zero_violations == 1
    assert flags.zeros[5]
    assert result.first_violation == 5
    assert result.zero_scales == 1


@pytest.mark.parametrize("dtype", [DType.IQ4_NL, DType.Q2_K, DType.Q3_K, DType.IQ4_XS])
def test_with_an_importance_matrix_the_zero_clause_alone_sees_a_zeroed_block(dtype):
    raw = encode(dtype, X, importance(1024)["uniform"])
    raw[5] = 0
    result, _ = certify(dtype, X, raw, weights=True)
    assert result.zero_violations == 1
    assert result.scale_violations == 0  # one block is within the quota of clause b
    assert result.unknown_weights


@pytest.mark.parametrize("dtype", BLOCK_TYPES)
def test_zero_scales_of_zero_blocks_are_honest(dtype):
    x = X.copy()
    x[4:9] = 0
    x[5, 7] = F32(1e-44)
    result, _ = certify(dtype, x, encode(dtype, x))
    assert result.violations == 0
    assert result.zero_scales > 0


@pytest.mark.parametrize("dtype", FORMULA)
@pytest.mark.parametrize("bit", range(14))
def test_any_flipped_bit_of_a_formula_scale_is_caught(dtype, bit):
    raw = encode(dtype, X)
    layout = LAYOUTS[dtype]
    raw[7, layout.scale_at + bit // 8] ^= np.uint8(1 << bit % 8)
    result, flags = certify(dtype, X, raw)
    assert flags.scales[7]
    assert result.scale_violations == 1


def test_scales_cut_towards_zero_are_honest_only_if_all_are():
    x, dtype = X, DType.APR_Q4
    scale = np.abs(x.reshape(-1, 32)).max(1) / F32(7)
    cut = (scale.view(np.uint32) & np.uint32(0xFFFFE000)).view(F32).astype(np.float16)
    raw = encode(dtype, x)
    rounded = get_scale(LAYOUTS[dtype], raw)
    put_scale(LAYOUTS[dtype], raw, cut)
    assert certify(dtype, x, raw)[0].violations == 0
    mixed = np.where(np.arange(len(cut)) % 3 == 0, rounded, cut)
    put_scale(LAYOUTS[dtype], raw, mixed)
    wrong = int((rounded != cut)[::3].sum())  # but where the two differ by less than the slack of 2^-10 ULP
    assert 0.98 * wrong <= certify(dtype, x, raw)[0].scale_violations <= wrong


@pytest.mark.parametrize("dtype", [d for d in BLOCK_TYPES if d is not DType.APR_Q4])
def test_a_detour_through_bf16_is_caught(dtype):
    result, _ = certify(dtype, X, encode(dtype, through_bf16(X)))
    assert result.violations > 0
    assert certify(dtype, through_bf16(X), encode(dtype, through_bf16(X)))[0].violations == 0


@pytest.mark.parametrize("dtype", BLOCK_TYPES)
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_source_that_is_not_finite_fails_codes_and_scale(dtype, value):
    x = X.copy()
    x[3, 5] = value
    result, _ = certify(dtype, x, encode(dtype, X))
    assert result.code_violations == result.scale_violations == 1
    x = X.copy()
    raw = encode(dtype, x)
    put_scale(LAYOUTS[dtype], raw, np.full(len(raw), value, np.float16))
    assert certify(dtype, x, raw)[0].code_violations == len(raw)


def test_more_wrong_blocks_than_the_quota_of_an_importance_matrix_fail():
    dtype, weights = DType.Q3_K, importance(1024)["uniform"]
    raw = encode(dtype, X, weights)
    layout = LAYOUTS[dtype]
    halved = unpack(layout, raw).sub_scales
    halved[:, 0] = np.round(halved[:, 0] * 0.45)
    worse = raw.copy()
    put_sub_scales(layout, worse, halved)
    worse = codes_chosen_anew(dtype, worse, X)
    few = raw.copy()
    few[:4] = worse[:4]
    excused, _ = certify(dtype, X, few, weights=True)
    failed, _ = certify(dtype, X, worse, weights=True)
    assert excused.worst_error_ratio > 1
    assert excused.scale_violations == 0
    assert failed.scale_violations > 0.05 * failed.blocks


def _apr_q8(x):
    scale = np.abs(x).max() / F32(127)
    return np.clip(np.round(x / scale), -127, 127).astype(np.int8), float(scale)


def _certify_apr_q8(x, codes, scale):
    return certify(DType.APR_Q8, x, codes.view(np.uint8), scale=scale)[0]


def test_apr_q8_is_judged_over_the_whole_tensor():
    codes, scale = _apr_q8(X)
    assert _certify_apr_q8(X, codes, scale).violations == 0
    for wrong in (scale * 200, scale * 1.01, scale * (1 + 2.0**-21), float("nan")):
        assert _certify_apr_q8(X, codes, wrong).scale_violations == len(X)
    zero = _certify_apr_q8(X, codes, 0.0)
    assert zero.zero_violations == len(X)
    off = codes.copy()
    off[9, 3] += 1
    result = _certify_apr_q8(X, off, scale)
    assert (result.code_violations, result.scale_violations, result.first_violation) == (1, 0, 9)
    detour = _certify_apr_q8(X, *_apr_q8(through_bf16(X)))
    assert detour.violations > 0


def test_apr_q8_scale_waits_for_the_largest_value_of_all_chunks():
    x = X.copy()
    x[20, 0] = 1.0
    codes, scale = _apr_q8(x)
    certifier = Certifier(DType.APR_Q8)
    certifier.update(x[:16], as_chunk(DType.APR_Q8, codes[:16].view(np.uint8), 16, 1024, scale))
    assert certifier.result().scale_violations == 16
    certifier.update(x[16:], as_chunk(DType.APR_Q8, codes[16:].view(np.uint8), 16, 1024, scale))
    assert certifier.result().violations == 0


def test_types_without_a_certificate_are_refused():
    assert not is_certified(DType.IQ2_XS)
    with pytest.raises(UsageError, match="no certificate"):
        Certifier(DType.IQ2_XS)


def test_a_chunk_of_another_size_is_refused():
    raw = encode(DType.Q8_0, X)
    with pytest.raises(ValueError, match="Q8_0"):
        Certifier(DType.Q8_0).update(X[:4], as_chunk(DType.Q8_0, raw, 32, 1024))
    with pytest.raises(ValueError, match="blocks stored"):
        Certifier(DType.Q8_0).update(X, as_chunk(DType.Q8_0, raw[:-32], 32, 1024))
