"""The compiled certificate reaches every decision of the numpy reference, on honest, damaged and random blocks."""

from dataclasses import fields

import numpy as np
import pytest
from certificate_samples import BLOCK_TYPES, F32, WEIGHTED_TYPES, certify, distributions, encode, importance

from aprtui.compare.certificate import reference
from aprtui.compare.certificate.fast.decode import decode_codes, decode_sub_scales
from aprtui.compare.certificate.fast.measure import _NUMBERS, measure_blocks
from aprtui.compare.certificate.measures import ClauseMeasures
from aprtui.compare.certificate.types import CERTIFICATE_TYPES
from aprtui.core.dtypes import DType
from aprtui.formats.codecs.block_layout import LAYOUTS, unpack

SOURCES = distributions(8, 1024)
WEIGHTS = importance(1024)["uniform"]


def agree(dtype, x, raw, *, weights):
    """Assert that both versions measure the same: flags equal, values within 1e-9."""
    x = np.ascontiguousarray(x, F32).reshape(-1, dtype.info.block)
    kind = CERTIFICATE_TYPES[dtype]
    expected = reference.measure_blocks(kind, x, raw, importance_matrix=weights)
    found = measure_blocks(kind, x, raw, importance_matrix=weights)
    np.testing.assert_array_equal(found.clipped, expected.clipped)
    np.testing.assert_array_equal(found.zero_scale, expected.zero_scale)
    np.testing.assert_array_equal(found.subnormal_scale, expected.subnormal_scale)
    assert (found.weighted is None) == (expected.weighted is None)
    for a, b in ((found.plain, expected.plain), (found.weighted, expected.weighted)):
        if a is None or b is None:
            continue
        for field in fields(ClauseMeasures):
            np.testing.assert_allclose(getattr(a, field.name), getattr(b, field.name), rtol=1e-9, err_msg=field.name)


def variants(dtype):
    return [False, True] if dtype in WEIGHTED_TYPES else [False]


@pytest.mark.parametrize("dtype", BLOCK_TYPES)
def test_codes_and_sub_scales_are_those_of_the_layout(dtype):
    layout = LAYOUTS[dtype]
    raw = np.random.default_rng(1).integers(0, 256, (50, layout.nbytes)).astype(np.uint8)
    parts = unpack(layout, raw)
    for i, block in enumerate(raw):
        code, scale, minimum = np.zeros(layout.block, np.uint8), np.ones(16, F32), np.ones(16, F32)
        decode_codes(_NUMBERS[dtype], block, code)
        decode_sub_scales(_NUMBERS[dtype], block, scale, minimum)
        np.testing.assert_array_equal(code, parts.codes[i])
        np.testing.assert_array_equal(scale[: layout.sub_blocks], parts.sub_scales[i])
        np.testing.assert_array_equal(minimum[: layout.sub_blocks], parts.sub_mins[i])


@pytest.mark.parametrize("dtype", BLOCK_TYPES)
@pytest.mark.parametrize("source", SOURCES)
def test_honest_and_damaged_blocks(dtype, source):
    x = SOURCES[source]
    r = np.random.default_rng(2)
    for weights in variants(dtype):
        raw = encode(dtype, x, WEIGHTS if weights else None)
        agree(dtype, x, raw, weights=weights)
        damaged, every = raw.copy(), np.arange(len(raw))
        damaged[every, r.integers(0, raw.shape[1], len(raw))] ^= (1 << r.integers(0, 8, len(raw))).astype(np.uint8)
        agree(dtype, x, damaged, weights=weights)


@pytest.mark.parametrize("dtype", BLOCK_TYPES)
def test_random_bytes(dtype):
    r = np.random.default_rng(4)
    x = SOURCES["t4"]
    raw = r.integers(0, 256, (x.size // dtype.info.block, dtype.info.nbytes)).astype(np.uint8)
    for weights in variants(dtype):
        agree(dtype, x, raw, weights=weights)


@pytest.mark.parametrize("dtype", BLOCK_TYPES)
def test_values_on_the_edges_of_cells_and_out_of_range(dtype):
    r = np.random.default_rng(6)
    edges = r.choice([1, 0.5, -0.5, 0.25, 0.75, -1, -0.75, 0.99999994, 7 / 8, 15 / 16], (8, 1024)).astype(F32)
    strange = SOURCES["gauss 1"].copy().reshape(-1)
    strange[::97], strange[::89], strange[::83] = F32(1e-45), F32(3e38), -F32(2.0**-126)
    for x in (edges, edges * F32(2.0**-24), strange.reshape(8, 1024)):
        for weights in variants(dtype):
            agree(dtype, x, encode(dtype, SOURCES["gauss 1"]), weights=weights)
            agree(dtype, x, encode(dtype, np.clip(x, -9, 9)), weights=weights)
    x = SOURCES["gauss 1"].copy()
    raw = encode(dtype, x)
    x.reshape(-1)[::301], x.reshape(-1)[::307], x.reshape(-1)[::311] = np.nan, np.inf, -np.inf
    agree(dtype, x, raw, weights=True)


@pytest.mark.parametrize("dtype", [DType.Q4_0, DType.Q6_K, DType.IQ4_NL])
def test_the_result_of_a_tensor_is_the_same(dtype):
    x = SOURCES["laplace"]
    raw = encode(dtype, x)
    raw[3, 5] ^= 0x41
    compiled, _ = certify(dtype, x, raw, compiled=True)
    plain, _ = certify(dtype, x, raw, compiled=False)
    for field in fields(plain):
        assert getattr(compiled, field.name) == pytest.approx(getattr(plain, field.name), rel=1e-6)
