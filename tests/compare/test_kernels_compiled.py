"""The compiled kernel against the reference: every pair of types, and values chosen to trip it."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kernel_cases import (
    BLOCKS,
    FLOATS,
    assert_kernels_agree,
    assert_same,
    block_chunk,
    float_chunk,
    measure,
    random_chunk,
)

from aprtui.compare.kernels import AccumulatorKind, merge, new_accumulator
from aprtui.compare.kernels.state import finish
from aprtui.core.dtypes import DType
from aprtui.core.errors import AprtuiError
from aprtui.core.tolerance import judge, tolerance_for
from aprtui.formats.chunk import Chunk

SPECIAL = np.float32([0.0, -0.0, np.nan, np.inf, -np.inf, 1e-45, -1e-40, 6e-8, 2.9e-8, 65519.0, 65520.0, 3.4e38, 1.0])


@pytest.mark.parametrize("target", (*FLOATS, *BLOCKS))
@pytest.mark.parametrize("source", FLOATS)
def test_floats_to_every_type(source, target):
    rng = np.random.default_rng(3)
    for wild in (False, True):
        record = assert_kernels_agree(
            random_chunk(source, 6144, rng, wild=wild), random_chunk(target, 6144, rng, wild=wild)
        )
        assert record.differing > 6000
        assert wild or record.nan_a == record.nan_b == 0


@pytest.mark.parametrize("target", BLOCKS)
@pytest.mark.parametrize("source", BLOCKS)
def test_blocks_to_blocks(source, target):
    rng = np.random.default_rng(4)
    assert_kernels_agree(random_chunk(source, 5120, rng), random_chunk(target, 5120, rng, wild=True))


@pytest.mark.parametrize("dtype", (*FLOATS, *BLOCKS))
def test_equal_chunks(dtype):
    rng = np.random.default_rng(5)
    for wild in (False, True):
        a = random_chunk(dtype, 8192, rng, wild=wild)
        record = assert_kernels_agree(a, Chunk(a.dtype, a.data.copy(), 1, 8192, a.row_bytes, a.scale))
        assert (record.differing, record.max_abs, record.max_abs_index, record.max_ulp) == (0, 0.0, -1, 0.0)
        assert record.sum_squared_a > 0
        assert record.nan_a == record.nan_b


@pytest.mark.parametrize("dtype", (*FLOATS, *BLOCKS))
def test_one_flipped_bit_is_found_where_it_is(dtype):
    rng = np.random.default_rng(6)
    a = random_chunk(dtype, 8192, rng)
    changed = a.data.copy()
    element = 5000
    code_of_5000 = {DType.APR_Q4: 2 + element % 32 // 2, DType.Q8_0: 2 + element % 32}.get(dtype)
    block = element // dtype.info.block * dtype.info.nbytes
    changed[block + (dtype.info.nbytes // 2 if code_of_5000 is None else code_of_5000)] ^= 1
    record = assert_kernels_agree(a, Chunk(dtype, changed, 1, 8192, a.row_bytes, a.scale), first=1 << 40)
    assert 1 <= record.differing <= 4
    found = record.max_abs_index - (1 << 40)
    assert found // dtype.info.block == element // dtype.info.block
    if code_of_5000 is not None or dtype.info.block == 1:
        assert found == element


@pytest.mark.parametrize("pair", [(s, t) for s in FLOATS for t in FLOATS])
def test_special_values_meet_each_other(pair):
    a, b = (grid.ravel() for grid in np.meshgrid(SPECIAL, SPECIAL))
    record = assert_kernels_agree(float_chunk(pair[0], a), float_chunk(pair[1], b))
    assert record.max_abs == np.inf
    assert record.nan_a == record.nan_b == len(SPECIAL)


@pytest.mark.parametrize("target", [DType.F16, DType.BF16])
@pytest.mark.parametrize("mode", ["round", "cut", "up one", "ties"])
def test_rounding_modes(target, mode):
    rng = np.random.default_rng(7)
    x = (rng.normal(0, 1, 10_000) * 2.0 ** rng.integers(-28, 12, 10_000)).astype(np.float32)
    if mode == "ties":
        x = (rng.integers(-4095, 4096, 10_000) * 2.0 ** rng.integers(-30, 3, 10_000)).astype(np.float32)
    y = float_chunk(target, x)
    bits = y.data.view(np.uint16).copy()
    if mode == "cut" and target == DType.BF16:
        bits = (x.view(np.uint32) >> 16).astype(np.uint16)
    elif mode == "cut":
        too_large = np.abs(bits.view(np.float16).astype(np.float32)) > np.abs(x)
        bits = (bits - too_large).astype(np.uint16)
    elif mode == "up one":
        bits += np.uint16(1)
    record = assert_kernels_agree(float_chunk(DType.F32, x), Chunk(target, bits.view(np.uint8), 1, x.size, 2 * x.size))
    assert (record.truncated > 3000) == (mode == "cut")
    assert (record.max_ulp <= 0.5) == (mode in {"round", "ties"})
    if mode == "ties":
        assert record.max_ulp == 0.5


def test_first_index_wins_ties_across_tiles_and_spans():
    x = np.zeros(3 * 2048 + 5, np.float32)
    y = x.copy()
    y[[2500, 2600, 6000]] = -1.0, 1.0, 1.0
    record = assert_kernels_agree(float_chunk(DType.F32, x), float_chunk(DType.F32, y), first=7)
    assert (record.max_abs_index, record.max_abs_b) == (2507, -1.0)


@pytest.mark.parametrize("elements", [1, 2, 31, 63, 2047, 2048, 2049, 6143])
@pytest.mark.parametrize("target", [*FLOATS, DType.APR_Q4, DType.APR_Q8])
def test_odd_lengths(elements, target):
    rng = np.random.default_rng(elements)
    assert_kernels_agree(random_chunk(DType.BF16, elements, rng), random_chunk(target, elements, rng))


@pytest.mark.parametrize("target", [d for d in BLOCKS if not d.info.flat])
@pytest.mark.parametrize("source", [*FLOATS, DType.Q5_0, DType.APR_Q4])
@pytest.mark.parametrize("columns", [1, 100, 896, 2176])
def test_padded_rows(source, target, columns):
    rng = np.random.default_rng(columns)
    b = block_chunk(target, 3 * columns, rng, rows=3, padded=True)
    padded_source = source.info.block > 1 and not source.info.flat
    if padded_source:
        a = block_chunk(source, 3 * columns, rng, rows=3, padded=True)
    else:
        a = random_chunk(source, 3 * columns, rng)
    assert_kernels_agree(a, b, first=11)
    assert_kernels_agree(b, a, first=11)


def test_types_without_a_compiled_decoder_are_decoded_first():
    rng = np.random.default_rng(8)
    iq3 = Chunk(DType.IQ3_S, rng.integers(0, 64, 110 * 9, dtype=np.uint8), 1, 256 * 9, 110 * 9)
    assert_kernels_agree(random_chunk(DType.BF16, 256 * 9, rng), iq3)
    eight_bits = Chunk(DType.F8_E4M3, rng.integers(0, 255, 500, dtype=np.uint8), 1, 500, 500)
    assert_kernels_agree(random_chunk(DType.F32, 500, rng), eight_bits)


def test_ulp_of_the_stored_type_where_chunks_are_decoded():
    a = float_chunk(DType.F32, [1.003])
    b = float_chunk(DType.F32, [1.0])
    assert assert_kernels_agree(a, b, target=DType.BF16).truncated == 0
    assert assert_kernels_agree(float_chunk(DType.F32, [1.005]), b, target=DType.BF16).truncated == 1


@settings(max_examples=60, deadline=None)
@given(
    values=st.lists(
        st.tuples(*2 * [st.one_of(st.sampled_from(SPECIAL.tolist()), st.floats(width=32))]), min_size=1, max_size=70
    ),
    source=st.sampled_from(FLOATS),
    target=st.sampled_from(FLOATS),
)
def test_any_values(values, source, target):
    a, b = zip(*values, strict=True)
    assert_kernels_agree(float_chunk(source, a), float_chunk(target, b))


def test_spans_merge_to_the_same_bits_in_any_order_of_work():
    rng = np.random.default_rng(9)
    x = rng.normal(0, 1, 50_000).astype(np.float32)
    y = x + rng.normal(0, 1e-3, x.size).astype(np.float32)
    cuts = [(i, min(i + 7001, x.size)) for i in range(0, x.size, 7001)]

    def span(cut):
        part = new_accumulator(DType.F32)
        part.update(float_chunk(DType.F32, x[slice(*cut)]), float_chunk(DType.F32, y[slice(*cut)]), cut[0])
        return part.state

    backwards = {cut: span(cut) for cut in reversed(cuts)}
    merged = finish(merge(backwards[cut] for cut in cuts))
    serial = new_accumulator(DType.F32)
    for cut in cuts:
        serial.update(float_chunk(DType.F32, x[slice(*cut)]), float_chunk(DType.F32, y[slice(*cut)]), cut[0])
    assert serial.record() == merged
    assert_same(merged, measure(AccumulatorKind.REFERENCE, float_chunk(DType.F32, x), float_chunk(DType.F32, y)))


@pytest.mark.parametrize("values", [(np.nan, 1.0), (1.0, np.nan), (np.inf, 1.0), (np.inf, np.nan), (np.inf, -np.inf)])
def test_a_nan_or_infinity_that_moved_is_no_rounding(values):
    # The same numbers of NaN and infinities on both sides: only their places tell.
    source, target = float_chunk(DType.F32, values), float_chunk(DType.F16, values[::-1])
    record = assert_kernels_agree(source, target)
    assert record.max_ulp == np.inf
    assert not judge(record, tolerance_for(DType.F32, DType.F16)).passed
    assert judge(
        assert_kernels_agree(source, float_chunk(DType.F16, values)), tolerance_for(DType.F32, DType.F16)
    ).passed


def test_long_sums_keep_float64_accuracy():
    rng = np.random.default_rng(10)
    x = rng.normal(0, 1, 1 << 20).astype(np.float32)
    y = (x * np.float32(1.001)).astype(np.float32)
    record = measure(AccumulatorKind.COMPILED, float_chunk(DType.F32, x), float_chunk(DType.F32, y))
    a, e = x.astype(np.longdouble), y.astype(np.longdouble) - x.astype(np.longdouble)
    assert record.sum_squared_a == pytest.approx(float((a * a).sum()), rel=1e-13)
    assert record.sum_squared_error == pytest.approx(float((e * e).sum()), rel=1e-13)
    assert record.sum_a_error == pytest.approx(float((a * e).sum()), rel=1e-13)


def test_weights_at_odd_addresses_and_read_only():
    buffer = np.zeros(4 * 3000 + 1, np.uint8)
    buffer[1:] = float_chunk(DType.F32, np.arange(3000)).data
    buffer.flags.writeable = False
    odd = Chunk(DType.F32, buffer[1:], 1, 3000, 12_000)
    assert assert_kernels_agree(odd, float_chunk(DType.F32, np.arange(3000))).differing == 0


def test_chunks_that_do_not_match_are_refused():
    one, two = float_chunk(DType.F32, [1.0]), float_chunk(DType.F32, [1.0, 2.0])
    with pytest.raises(AprtuiError, match="1 elements compared with 2"):
        new_accumulator(DType.F32).update(one, two, 0)
    short = Chunk(DType.F32, one.data, 1, 2, 8)
    with pytest.raises(AprtuiError, match="holds 4 bytes, not 8"):
        new_accumulator(DType.F32).update(short, two, 0)
