"""Chunks for tests of the kernels, and records measured by the reference and the compiled kernel side by side."""

import math

import numpy as np

from aprtui.compare.kernels import AccumulatorKind, new_accumulator
from aprtui.core.dtypes import DType, Family
from aprtui.core.statistics import StatisticsRecord
from aprtui.formats.chunk import Chunk

FLOATS = (DType.F32, DType.F16, DType.BF16)
BLOCKS = tuple(
    DType(name)
    for name in (
        *("Q8_0", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "IQ4_NL", "AprQ4", "AprQ8"),
        *("Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K", "IQ4_XS"),
    )
)
HALVES_AT = {
    **dict.fromkeys((DType.Q8_0, DType.Q4_0, DType.Q5_0, DType.IQ4_NL, DType.APR_Q4, DType.IQ4_XS), (0,)),
    **dict.fromkeys((DType.Q4_1, DType.Q5_1, DType.Q4_K, DType.Q5_K), (0, 2)),
    **{DType.Q2_K: (80, 82), DType.Q3_K: (108,), DType.Q6_K: (208,)},
}
"""Where the float16 scales of each block type are (ggml-common.h)."""


def to_bf16(values):
    """BF16 bits, to nearest even, of finite values and infinities; NaN stays NaN."""
    bits = np.asarray(values, np.float32).view(np.uint32)
    rounded = (bits + 0x7FFF + ((bits >> 16) & 1)) >> 16
    return np.where(np.isnan(values), 0x7FC0, rounded).astype(np.uint16)


def float_chunk(dtype, values, rows=1):
    """Values [n] rounded to nearest in a float type."""
    values = np.asarray(values, np.float32)
    with np.errstate(over="ignore"):
        stored = {
            DType.F32: lambda: values,
            DType.F16: lambda: values.astype(np.float16),
            DType.BF16: lambda: to_bf16(values),
        }[dtype]()
    data = np.ascontiguousarray(stored).reshape(-1).view(np.uint8)
    columns = values.size // rows
    return Chunk(dtype, data, rows, columns, columns * dtype.info.nbytes)


def block_chunk(dtype, elements, rng, *, wild=False, rows=1, padded=False):
    """Random blocks: every code is possible; scales are small numbers, or any 16 bits if wild."""
    info = dtype.info
    columns = elements // rows
    blocks = rows * -(-columns // info.block) if padded else -(-elements // info.block)
    raw = rng.integers(0, 256, (blocks, info.nbytes), dtype=np.uint8)
    for at in () if wild else HALVES_AT.get(dtype, ()):
        raw[:, at : at + 2] = rng.normal(0, 0.01, (blocks, 1)).astype(np.float16).view(np.uint8)
    row_bytes = raw.size // rows if padded else 0
    return Chunk(dtype, raw.reshape(-1), rows, columns, row_bytes, 0.0123 if dtype == DType.APR_Q8 else 1.0)


def random_chunk(dtype, elements, rng, *, wild=False):
    """Random values of any type."""
    if dtype.info.family == Family.BLOCK:
        return block_chunk(dtype, elements, rng, wild=wild)
    if wild:
        raw = rng.integers(0, 256, elements * dtype.info.nbytes, dtype=np.uint8)
        return Chunk(dtype, raw, 1, elements, raw.size)
    return float_chunk(dtype, rng.normal(0, 0.02, elements))


def measure(kind, a, b, first=0, target=None) -> StatisticsRecord:
    """The record of one pair of chunks."""
    accumulator = new_accumulator(target or b.dtype, kind)
    accumulator.update(a, b, first)
    return accumulator.record()


EXACT = (
    *("elements", "differing", "max_abs", "max_abs_index", "max_abs_a", "max_abs_b", "max_ulp"),
    *("nan_a", "nan_b", "inf_a", "inf_b", "overflowed", "flushed", "truncated"),
)


def assert_same(fast: StatisticsRecord, reference: StatisticsRecord) -> None:
    """Counts and maxima identical, sums within 1e-12 of what was summed."""
    for name in EXACT:
        assert getattr(fast, name) == getattr(reference, name), name
    scale = {
        "sum_error": reference.sum_abs_error,
        "sum_abs_error": reference.sum_abs_error,
        "sum_squared_error": reference.sum_squared_error,
        "sum_squared_a": reference.sum_squared_a,
        "sum_a_error": math.sqrt(reference.sum_squared_a) * math.sqrt(reference.sum_squared_error),
    }
    for name, summed in scale.items():
        assert abs(getattr(fast, name) - getattr(reference, name)) <= 1e-12 * summed, name


def assert_kernels_agree(a, b, first=0, target=None) -> StatisticsRecord:
    """The reference's record, after the compiled kernel gave the same."""
    reference = measure(AccumulatorKind.REFERENCE, a, b, first, target)
    assert_same(measure(AccumulatorKind.COMPILED, a, b, first, target), reference)
    return reference
