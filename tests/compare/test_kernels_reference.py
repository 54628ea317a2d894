"""The reference kernel against plain Python, long double and torch, which know nothing of it."""

import math
from fractions import Fraction

import numpy as np
import pytest
import torch
from kernel_cases import float_chunk, measure

from aprtui.compare.kernels import AccumulatorKind
from aprtui.compare.kernels.ulp import ulp, ulp_format
from aprtui.core.dtypes import DType
from aprtui.formats.chunk import Chunk

REFERENCE = AccumulatorKind.REFERENCE
TORCH = {DType.F32: torch.float32, DType.F16: torch.float16, DType.BF16: torch.bfloat16}


@pytest.mark.parametrize("dtype", TORCH)
def test_ulp_is_the_distance_to_the_next_number_of_the_type(dtype):
    form, kind = ulp_format(dtype), TORCH[dtype]
    powers = torch.tensor([2.0**e for e in range(-20, 15)], dtype=kind)
    values = torch.cat(
        [powers, powers * 1.25, -powers, torch.tensor([0.0], dtype=kind), torch.tensor([1e-7], dtype=kind)]
    )
    magnitude = values.abs()
    bits = magnitude.view(torch.int32 if dtype == DType.F32 else torch.int16)
    distance = (bits + 1).view(kind).double() - magnitude.double()
    assert ulp(values.double().numpy(), form).tolist() == distance.tolist()


def test_sums_equal_exact_fractions():
    rng = np.random.default_rng(1)
    x = (rng.normal(0, 1, 300) * 10.0 ** rng.integers(-6, 6, 300)).astype(np.float32)
    y = (x * (1 + rng.normal(0, 0.01, 300))).astype(np.float32)
    record = measure(REFERENCE, float_chunk(DType.F32, x), float_chunk(DType.F32, y))
    a, b = [Fraction(float(v)) for v in x], [Fraction(float(v)) for v in y]
    e = [q - p for p, q in zip(a, b, strict=True)]
    expected = {
        "sum_error": sum(e),
        "sum_abs_error": sum(map(abs, e)),
        "sum_squared_error": sum(v * v for v in e),
        "sum_squared_a": sum(v * v for v in a),
        "sum_a_error": sum(p * v for p, v in zip(a, e, strict=True)),
    }
    for name, value in expected.items():
        assert getattr(record, name) == pytest.approx(float(value), rel=1e-13), name
    assert record.max_abs == float(max(map(abs, e)))
    assert record.max_abs_index == [abs(v) for v in e].index(max(map(abs, e)))
    assert (record.max_abs_a, record.max_abs_b) == (x[record.max_abs_index], y[record.max_abs_index])
    dot = sum(p * q for p, q in zip(a, b, strict=True))
    norms = math.sqrt(sum(v * v for v in a)) * math.sqrt(sum(v * v for v in b))
    assert record.cosine_distance == pytest.approx(1 - float(dot) / norms, rel=1e-7)


@pytest.mark.parametrize("dtype", [DType.F16, DType.BF16])
def test_torch_rounds_within_half_an_ulp(dtype):
    rng = np.random.default_rng(2)
    x = (rng.normal(0, 1, 5000) * 2.0 ** rng.integers(-30, 14, 5000)).astype(np.float32)
    rounded = torch.from_numpy(x).to(TORCH[dtype])
    y = Chunk(dtype, rounded.view(torch.uint8).numpy(), 1, x.size, 2 * x.size)
    record = measure(REFERENCE, float_chunk(DType.F32, x), y)
    assert 0.45 < record.max_ulp <= 0.5
    assert record.flushed == record.truncated == record.overflowed == 0
    assert record.differing == (rounded.double() != torch.from_numpy(x).double()).sum().item()


def test_truncation_is_counted_and_is_more_than_half_an_ulp():
    x = np.float32([1.0, 1.006, -1.006, 3.155, 1e-40, 1.3e-40])
    cut = (x.view(np.uint32) >> 16).astype(np.uint16)
    y = Chunk(DType.BF16, cut.view(np.uint8), 1, x.size, 2 * x.size)
    record = measure(REFERENCE, float_chunk(DType.F32, x), y)
    nearest = torch.from_numpy(x).bfloat16().double().numpy()
    stored = torch.from_numpy(cut.astype(np.int32) << 16).view(torch.float32).double().numpy()
    assert record.truncated == (stored != nearest).sum() > 0
    assert 0.5 < record.max_ulp < 1


def test_overflow_and_flush_are_counted_by_name():
    x = float_chunk(DType.F32, [70000.0, 1e-6, 2.9e-8, 1.0, np.inf])
    y = np.float16([np.inf, 0, 0, 1, np.inf])
    record = measure(REFERENCE, x, Chunk(DType.F16, y.view(np.uint8), 1, 5, 10))
    assert (record.overflowed, record.flushed, record.differing) == (1, 1, 3)  # 2.9e-8 does round to zero
    assert (record.max_abs, record.max_abs_index, record.max_abs_b) == (np.inf, 0, np.inf)
    assert (record.inf_a, record.inf_b, record.max_ulp) == (1, 2, np.inf)


def test_nan_equals_nan_and_zero_equals_minus_zero():
    x = float_chunk(DType.F32, [np.nan, np.nan, 0.0, np.inf, np.inf, 2.0])
    y = float_chunk(DType.F32, [np.nan, 1.0, -0.0, np.inf, np.nan, 2.5])
    record = measure(REFERENCE, x, y)
    assert (record.differing, record.nan_a, record.nan_b, record.inf_a, record.inf_b) == (3, 2, 2, 2, 1)
    assert (record.max_abs, record.max_abs_index, record.sum_error, record.sum_squared_a) == (0.5, 5, 0.5, 4.0)


def test_only_nan_differences_leave_no_largest_error():
    record = measure(REFERENCE, float_chunk(DType.F32, [1.0, 2.0]), float_chunk(DType.F32, [np.nan, 2.0]))
    assert (record.differing, record.max_abs, record.max_abs_index, record.sum_squared_a) == (1, 0.0, -1, 4.0)


@pytest.mark.parametrize(("dtype", "kind"), [(DType.I64, np.int64), (DType.U64, np.uint64)])
def test_integers_beyond_float64_are_told_apart(dtype, kind):
    x, y = np.array([2**53, 2**62, 7], kind), np.array([2**53 + 1, 2**62, 7], kind)
    record = measure(REFERENCE, *(Chunk(dtype, v.view(np.uint8), 1, 3, 24) for v in (x, y)))
    assert (record.differing, record.max_abs, record.max_abs_index, record.sum_error) == (1, 1.0, 0, 1.0)
    swapped = measure(REFERENCE, *(Chunk(dtype, v.view(np.uint8), 1, 3, 24) for v in (y, x)))
    assert (swapped.differing, swapped.sum_error) == (1, -1.0)


def test_float64_errors_are_in_ulp_of_float64():
    x = np.array([1.0, 3.0])
    y = np.nextafter(x, 4.0)
    record = measure(REFERENCE, *(Chunk(DType.F64, v.view(np.uint8), 1, 2, 16) for v in (x, y)))
    assert (record.differing, record.max_ulp) == (2, 1.0)
