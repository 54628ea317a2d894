"""Where the errors of a tensor sit, against plain numpy on decoded arrays and the gguf package's decoders."""

from math import floor, isinf, isnan, log10

import gguf
import numpy as np
import pytest
from ggml_oracle import ggml_encode

from aprtui.compare import tensor_errors, weights
from aprtui.compare.tensor_block import BlockGrid
from aprtui.compare.tensor_detail import Asked, tensor_detail
from aprtui.compare.weights import measure_pair
from aprtui.core.dtypes import DType
from aprtui.core.errors import UsageError
from aprtui.core.outcomes import Outcome
from aprtui.core.tolerance import ToleranceSettings
from aprtui.formats.codecs.apr import apr_q8_codes, apr_q8_scale, encode_apr_q4
from aprtui.formats.codecs.block_layout import LAYOUTS, put_codes, put_scale, unpack
from aprtui.formats.codecs.encode import bf16_bits
from aprtui.formats.container import StoredTensor
from aprtui.formats.layout.plan import TensorPair
from aprtui.formats.views import RowsPermuted, Stored, Transposed

BLOCK_TYPES = [DType(name) for name in ("Q8_0", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q3_K", "Q4_K", "Q6_K", "IQ4_NL")]


@pytest.fixture
def stored(tmp_path):
    """Writes bytes into a file of their own, behind 64 others."""
    count = 0

    def write(dtype, shape, raw):
        nonlocal count
        count += 1
        path = tmp_path / f"{count}.bin"
        data = np.ascontiguousarray(raw).reshape(-1).view(np.uint8)
        path.write_bytes(bytes(64) + data.tobytes())
        return StoredTensor(f"stored{count}", dtype, shape, path, 64, data.size)

    return write


def pair_of(source, target):
    view = source if not isinstance(source, StoredTensor) else Stored(source)
    return TensorPair("t", view, target, ("t",))


def random(shape, seed=1):
    return np.random.default_rng(seed).normal(0, 0.05, shape).astype(np.float32)


def as_float(bits):
    return (bits.astype(np.uint32) << 16).view(np.float32)


def expected_heat(error, outside, rows, columns):
    """Cells by slicing, one after the other."""
    steps = [-(-size // 64) for size in (rows, columns)]
    cells = [
        [(slice(r, r + steps[0]), slice(c, c + steps[1])) for c in range(0, columns, steps[1])]
        for r in range(0, rows, steps[0])
    ]
    return [[error[c].max() for c in row] for row in cells], [[int(outside[c].sum()) for c in row] for row in cells]


def by_decade(error):
    """Counts from the text of each number, whose exponent is exact."""
    decades = [int(f"{value:.17e}".split("e")[1]) for value in error[error > 0].tolist()]
    return {decade: decades.count(decade) for decade in decades}


def test_exact_conversion_with_changed_elements(stored):
    x = random((130, 300))
    y = x.copy()
    y[5, 7] += 1.0
    y[129, 299] = -3.0
    y[64, 128] = np.nextafter(x[64, 128], np.float32(9))
    detail = tensor_detail(pair_of(stored(DType.F32, x.shape, x), stored(DType.F32, y.shape, y)), Asked())
    a, b = x.astype(np.float64), y.astype(np.float64)
    error = np.abs(b - a)
    largest, outside = expected_heat(error, error > 0, *x.shape)
    assert [list(row) for row in detail.heat.max_error] == largest
    assert [list(row) for row in detail.heat.violations] == outside
    assert (detail.heat.rows, detail.heat.columns, detail.heat.row_step, detail.heat.column_step) == (44, 60, 3, 5)
    assert {k: v for k, v in detail.histogram.items() if v} == by_decade(error)
    assert detail.outside == detail.histogram
    assert [one.index for one in detail.worst] == [(129, 299), (5, 7), (64, 128)]
    first, last = detail.worst[0], detail.worst[2]
    assert (first.source, first.target, first.difference) == (a[129, 299], -3.0, -3.0 - a[129, 299])
    assert last.ulp == 1.0
    assert detail.result.judgement.sentence.startswith("3 of 39000 elements differ")
    assert detail.block is None and detail.elements is None


def test_statistics_of_both_sides(stored):
    x = random((33, 70)) + 7
    y = x.copy()
    y[0, :3] = np.nan, np.inf, -np.inf
    y[1, :4] = 0
    detail = tensor_detail(pair_of(stored(DType.F32, x.shape, x), stored(DType.F32, y.shape, y)), Asked())
    source, target = detail.source.statistics, detail.target.statistics
    assert (source.nan, source.inf, source.zeros) == (0, 0, 0) and (target.nan, target.inf, target.zeros) == (1, 2, 4)
    for found, values in ((source, x), (target, y)):
        finite = values[np.isfinite(values)].astype(np.float64)
        assert (found.min, found.max) == (finite.min(), finite.max())
        assert found.mean == pytest.approx(finite.mean(), rel=1e-14)
        assert found.std == pytest.approx(finite.std(), rel=1e-12)
    (facts,) = detail.target.stored
    assert (facts.name, facts.offset, facts.nbytes, facts.dtype) == ("stored2", 64, y.nbytes, "F32")
    assert {one.index for one in detail.worst[:3]} == {(0, 0), (0, 1), (0, 2)}
    assert isnan(detail.worst[0].difference) and isinf(detail.worst[0].ulp)
    assert detail.heat.max_error[0][0] == np.inf and sum(detail.histogram.values()) == 4


def test_rounding_marks_what_is_beyond_half_an_ulp(stored):
    x = random((100, 256))
    bits = bf16_bits(x)
    bits[3, 4] += 1
    bits[70, 200] -= 2
    y = as_float(bits)
    detail = tensor_detail(pair_of(stored(DType.F32, x.shape, x), stored(DType.BF16, x.shape, bits)), Asked())
    error = np.abs(y.astype(np.float64) - x)
    spacing = 2.0 ** (np.floor(np.log2(np.abs(x.astype(np.float64)))) - 7)
    outside = error / spacing > 0.5
    assert outside.sum() == 2
    assert detail.heat.violations == tuple(map(tuple, expected_heat(error, outside, *x.shape)[1]))
    assert detail.heat.max_error == tuple(map(tuple, expected_heat(error, outside, *x.shape)[0]))
    # Elements outside go before those that are merely large.
    assert {one.index for one in detail.worst[:2]} == {(3, 4), (70, 200)} and len(detail.worst) == 20
    assert detail.worst[0].ulp == pytest.approx((error / spacing)[detail.worst[0].index])
    inside = sorted(error[~outside].ravel().tolist(), reverse=True)[:18]
    assert [abs(one.difference) for one in detail.worst[2:]] == inside
    assert {k: v for k, v in detail.histogram.items() if v} == by_decade(error)
    assert {k: v for k, v in detail.outside.items() if v} == by_decade(error[outside])
    relaxed = tensor_detail(
        pair_of(stored(DType.F32, x.shape, x), stored(DType.BF16, x.shape, bits)),
        Asked(),
        settings=ToleranceSettings(ulp=3.0),
    )
    assert relaxed.result.judgement.passed and sum(map(sum, relaxed.heat.violations)) == 0 and relaxed.outside == {}


@pytest.mark.parametrize("dtype", BLOCK_TYPES)
def test_an_honest_block_type(stored, dtype):
    x = random((6, 512))
    raw = ggml_encode(dtype, x)
    y = gguf.quants.dequantize(raw.reshape(6, -1), gguf.GGMLQuantizationType[dtype.value])
    detail = tensor_detail(pair_of(stored(DType.F32, x.shape, x), stored(dtype, x.shape, raw)), Asked(block=1))
    error = np.abs(y.astype(np.float64) - x)
    assert detail.result.judgement.passed and sum(map(sum, detail.heat.violations)) == 0
    assert detail.heat.max_error == tuple(map(tuple, expected_heat(error, error < 0, *x.shape)[0]))
    assert detail.worst[0].index == np.unravel_index(error.argmax(), error.shape)
    block, size = detail.block, dtype.info.block
    assert (block.index, block.row, block.column) == (1, 0, size)
    assert block.source == tuple(x[0, size : 2 * size].tolist())
    assert block.decoded == tuple(y[0, size : 2 * size].tolist())
    assert [(clause.clause, clause.holds) for clause in block.clauses] == [
        ("codes", True),
        ("scale", True),
        ("zero", True),
    ]
    parts = block.parts
    # The parts are what the values are made of.
    sub_scales, sub_mins = np.array(parts.sub_scales or (1,)), np.array(parts.sub_mins or (1,))
    step = np.repeat(parts.scale * sub_scales, size // len(sub_scales))
    offset = np.repeat((parts.min or 0) * sub_mins, size // len(sub_mins))
    assert np.allclose(step * np.array(parts.levels)[list(parts.codes)] - offset, block.decoded, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("dtype", BLOCK_TYPES)
def test_the_worst_block_is_the_damaged_one(stored, dtype):
    """Codes of one block, scale of another; the one with codes that are off is worse."""
    x = random((8, 512))
    layout = LAYOUTS[dtype]
    raw = ggml_encode(dtype, x).reshape(-1, layout.nbytes).copy()
    bad = len(raw) - 3
    codes = unpack(layout, raw[bad : bad + 1]).codes
    put_codes(layout, raw[bad : bad + 1], codes[:, ::-1].copy())
    pair = pair_of(stored(DType.F32, x.shape, x), stored(dtype, x.shape, raw))
    detail = tensor_detail(pair, Asked())
    assert detail.result.judgement.outcome is Outcome.FALSIFIED
    assert detail.result.record.certificate.first_violation == bad == detail.block.index
    codes_clause, _, zero = detail.block.clauses
    assert not codes_clause.holds and zero.holds
    assert codes_clause.measured["code_steps"] == detail.result.record.certificate.worst_code_steps > 0
    start = bad * layout.block
    outside = np.zeros(x.size, bool)
    outside[start : start + layout.block] = True
    y = gguf.quants.dequantize(raw.reshape(8, -1), gguf.GGMLQuantizationType[dtype.value])
    error = np.abs(y.astype(np.float64) - x)
    assert detail.heat.violations == tuple(map(tuple, expected_heat(error, outside.reshape(x.shape), *x.shape)[1]))
    assert all(one.index[0] == start // 512 for one in detail.worst[:5])


def test_a_scale_that_is_off(stored):
    x = random((4, 128))
    layout = LAYOUTS[DType.Q8_0]
    raw = ggml_encode(DType.Q8_0, x).reshape(-1, 34).copy()
    put_scale(layout, raw[9:10], np.array([unpack(layout, raw[9:10]).scale[0] * np.float16(1.01)], np.float16))
    detail = tensor_detail(pair_of(stored(DType.F32, x.shape, x), stored(DType.Q8_0, x.shape, raw)), Asked())
    scale = detail.block.clauses[1]
    assert detail.block.index == 9 and not scale.holds and scale.measured["scale_ulp"] > 0.5
    relaxed = tensor_detail(
        pair_of(stored(DType.F32, x.shape, x), stored(DType.Q8_0, x.shape, raw)),
        Asked(block=9),
        settings=ToleranceSettings(scale_ulp=50.0),
    )
    assert relaxed.result.judgement.passed and relaxed.block.clauses[1].holds
    assert sum(map(sum, detail.heat.violations)) == 32 and sum(map(sum, relaxed.heat.violations)) == 0


def test_apr_types(stored):
    x = random((4, 40))
    raw = encode_apr_q4(x)
    detail = tensor_detail(pair_of(stored(DType.F32, x.shape, x), stored(DType.APR_Q4, x.shape, raw)), Asked(block=3))
    assert detail.result.judgement.passed
    # Blocks run on across rows.
    assert (detail.block.row, detail.block.column) == (2, 16)
    assert detail.block.source == tuple(x.ravel()[96:128].tolist()) and all(one.holds for one in detail.block.clauses)
    scale = apr_q8_scale(np.abs(x).max())
    codes = apr_q8_codes(x, scale)
    codes[2, 3] += 9
    raw = np.concatenate([np.array([scale], "<f4").view(np.uint8), codes.view(np.uint8).ravel()])
    detail = tensor_detail(pair_of(stored(DType.F32, x.shape, x), stored(DType.APR_Q8, x.shape, raw)), Asked())
    assert detail.block is None and detail.result.judgement.outcome is Outcome.FALSIFIED
    assert sum(map(sum, detail.heat.violations)) == 1 == detail.heat.violations[2][3]
    assert detail.worst[0].index == (2, 3)


def test_padded_rows_of_k_types(stored):
    """apr pads each row to whole super-blocks."""
    x = random((4, 300))
    padded = np.zeros((4, 512), np.float32)
    padded[:, :300] = x
    raw = ggml_encode(DType.Q4_K, padded)
    target = stored(DType.Q4_K, x.shape, raw)
    assert target.padded_rows and BlockGrid(target).blocks == 8 and BlockGrid(target).block_of(2 * 300 + 299) == 5
    detail = tensor_detail(pair_of(stored(DType.F32, x.shape, x), target), Asked(block=5))
    y = gguf.quants.dequantize(raw.reshape(4, -1), gguf.GGMLQuantizationType.Q4_K)[:, :300]
    assert (detail.block.row, detail.block.column, len(detail.block.source)) == (2, 256, 44)
    assert detail.block.decoded == tuple(y[2, 256:].tolist())
    assert detail.result.judgement.passed and all(one.holds for one in detail.block.clauses)


def test_the_layout_rule_lies_between(stored):
    x = random((8, 64))
    order = np.array([3, 1, 2, 0, 7, 5, 6, 4])
    raw = ggml_encode(DType.Q8_0, x[order])
    source = stored(DType.F32, x.shape, x)
    target = stored(DType.Q8_0, x.shape, raw)
    detail = tensor_detail(pair_of(RowsPermuted(Stored(source), order, "rows moved"), target), Asked(block=1))
    assert detail.result.judgement.passed and detail.result.layout == "rows moved"
    assert detail.block.source == tuple(x[3, 32:].tolist())
    assert detail.source.stored[0].name == source.name
    wrong = tensor_detail(pair_of(source, target), Asked(rows=(1, 5), columns=(10, 12)))
    assert not wrong.result.judgement.passed
    y = gguf.quants.dequantize(raw.reshape(8, -1), gguf.GGMLQuantizationType.Q8_0)
    assert wrong.elements.source == tuple(map(tuple, x[1:5, 10:12].tolist()))
    assert wrong.elements.target == tuple(map(tuple, y[1:5, 10:12].tolist()))
    assert (wrong.elements.rows, wrong.elements.columns) == ((1, 5), (10, 12))


def test_a_transposed_source(stored):
    x = random((40, 96))
    source = Transposed(Stored(stored(DType.F32, x.shape, x)))
    detail = tensor_detail(
        pair_of(source, stored(DType.F32, (96, 40), x.T.copy())), Asked(rows=(90, 96), columns=(0, 40))
    )
    assert detail.result.judgement.passed and detail.worst == () and detail.histogram == {}
    assert detail.elements.source == tuple(map(tuple, x.T[90:].tolist())) == detail.elements.target


def test_vectors_scalars_and_more_dimensions(stored):
    for shape, heat in (((200,), (1, 50)), ((), (1, 1)), ((3, 5, 7), (15, 7))):
        x = random(shape or (1,))
        y = x.copy()
        y.flat[-1] += 1
        detail = tensor_detail(pair_of(stored(DType.F32, shape, x), stored(DType.F32, shape, y)), Asked())
        assert (detail.heat.rows, detail.heat.columns) == heat
        assert detail.worst[0].index == tuple(size - 1 for size in shape or (1,))
        assert detail.heat.violations[-1][-1] == 1


def test_blocks_that_should_be_equal(stored):
    """Not certified: block bytes of both sides are compared; the block of the worst element is shown."""
    x = random((2, 64))
    raw = ggml_encode(DType.Q8_0, x).reshape(-1, 34)
    other = raw.copy()
    other[2, 10] += 3
    detail = tensor_detail(pair_of(stored(DType.Q8_0, x.shape, raw), stored(DType.Q8_0, x.shape, other)), Asked())
    assert detail.block.index == 2 and detail.block.clauses == ()
    assert detail.worst[0].index == (1, 8) and len(detail.worst) == 1
    same = tensor_detail(pair_of(stored(DType.Q8_0, x.shape, raw), stored(DType.Q8_0, x.shape, raw)), Asked())
    assert same.block is None and same.result.judgement.passed


def test_a_type_of_which_only_values_are_known(stored):
    x = random((2, 256))
    raw = np.zeros((2, 66), np.uint8)
    detail = tensor_detail(pair_of(stored(DType.F32, x.shape, x), stored(DType.IQ2_XXS, x.shape, raw)), Asked())
    assert detail.block.parts is None and len(detail.block.decoded) == 256 and detail.block.clauses == ()


def test_decades_at_their_edges(stored):
    errors = np.array([1e-3, np.nextafter(1e-3, 0), 9.999999e-4, 1.0, 10.0, np.nextafter(10.0, 0), 5e-324, 1e300])
    x = np.zeros(len(errors))
    detail = tensor_detail(pair_of(stored(DType.F64, (8,), x), stored(DType.F64, (8,), errors)), Asked())
    assert {k: v for k, v in detail.histogram.items() if v} == {-324: 1, -4: 2, -3: 1, 0: 2, 1: 1, 300: 1}
    assert floor(log10(1e-3)) == -3 and list(detail.histogram) == list(range(-324, 301))


def test_many_spans_are_as_one(stored, monkeypatch):
    x = random((64, 512))
    raw = ggml_encode(DType.Q4_K, x).reshape(-1, 144).copy()
    put_codes(LAYOUTS[DType.Q4_K], raw[77:78], unpack(LAYOUTS[DType.Q4_K], raw[77:78]).codes[:, ::-1].copy())
    pair = pair_of(stored(DType.F32, x.shape, x), stored(DType.Q4_K, x.shape, raw))
    whole = tensor_detail(pair, Asked())
    monkeypatch.setattr(weights, "CHUNK_ELEMENTS", 1024)
    monkeypatch.setattr(weights, "SEGMENT_ELEMENTS", 4096)
    spans = tensor_detail(pair, Asked())
    assert spans.block == whole.block and spans.heat == whole.heat and spans.worst == whole.worst
    assert spans.histogram == whole.histogram and whole.block.index == 77
    assert spans.source.statistics.std == pytest.approx(whole.source.statistics.std, rel=1e-12)


def test_the_record_is_the_comparison_s(stored):
    x = random((64, 512))
    pair = pair_of(stored(DType.F32, x.shape, x), stored(DType.Q4_K, x.shape, ggml_encode(DType.Q4_K, x)))
    assert tensor_detail(pair, Asked()).result.record == measure_pair(pair)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (Asked(block=16), "has no block 16; its blocks are numbered 0 to 15"),
        (Asked(rows=(0, 9)), "has no rows 0:9; it has 8 rows"),
        (Asked(rows=(3, 3)), "has no rows 3:3"),
        (Asked(columns=(60, 65)), "has no columns 60:65; it has 64 columns"),
    ],
)
def test_what_is_not_there(stored, asked, message):
    x = random((8, 64))
    pair = pair_of(stored(DType.F32, x.shape, x), stored(DType.Q8_0, x.shape, ggml_encode(DType.Q8_0, x)))
    with pytest.raises(UsageError, match=message):
        tensor_detail(pair, asked)


def test_pairs_that_cannot_be_compared(stored):
    x = random((8, 64))
    pair = pair_of(stored(DType.F32, (8, 64), x), stored(DType.F32, (64, 8), x))
    with pytest.raises(UsageError, match="t was not compared: shapes differ"):
        tensor_detail(pair, Asked())
    with pytest.raises(UsageError, match="stored as F32, which has no blocks to show"):
        tensor_detail(pair_of(stored(DType.F32, (8, 64), x), stored(DType.F32, (8, 64), x)), Asked(block=0))


def test_a_large_region_has_a_heat_map_and_no_elements(stored):
    x = random((100, 100))
    pair = pair_of(stored(DType.F32, x.shape, x), stored(DType.F32, x.shape, x + 1))
    detail = tensor_detail(pair, Asked(rows=(10, 100)))
    assert detail.elements is None and (detail.heat.row, detail.heat.rows, detail.heat.row_step) == (10, 45, 2)


def test_memory_does_not_grow_with_the_tensor(stored, monkeypatch):
    """Spans are what is held: none is larger than its share."""
    largest = 0
    of_span = tensor_errors._of_span

    def measured(a, *rest):
        nonlocal largest
        largest = max(largest, a.elements)
        return of_span(a, *rest)

    monkeypatch.setattr(tensor_errors, "_of_span", measured)
    monkeypatch.setattr(weights, "CHUNK_ELEMENTS", 4096)
    x = random((256, 256))
    tensor_detail(pair_of(stored(DType.F32, x.shape, x), stored(DType.F32, x.shape, x + 1)), Asked())
    assert largest == 4096
