"""Measures the comparison kernel against the machine's plain read bandwidth. Prints Markdown.

    python benchmarks/compare_throughput.py

Every repetition reads the same bytes plainly first, so that ratios hold on machines whose bandwidth wanders. A GB is
10^9 bytes of stored input, both sides. The last column is what an engineer would write instead: whole tensors to
float32 with numpy (blocks with the gguf package), then one pass per metric, seven metrics. Takes under two minutes.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from statistics import median

import gguf
import numpy as np
from numba import njit
from numpy.typing import NDArray

from aprtui.compare.kernels import State, merge, new_accumulator
from aprtui.core.dtypes import DType
from aprtui.formats.chunk import Chunk
from aprtui.formats.codecs import encode

TASK = 1 << 20
THREADS = (1, 2)
SAMPLE = 1 << 22
Bytes = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Side:
    """One tensor in memory."""

    dtype: DType
    data: Bytes

    def chunk(self, start: int, stop: int) -> Chunk:
        """Elements [start, stop) without a copy."""
        info = self.dtype.info
        data = self.data[start // info.block * info.nbytes : stop // info.block * info.nbytes]
        return Chunk(self.dtype, data, 1, stop - start, data.size)


@dataclass(frozen=True, slots=True)
class Pair:
    """Two tensors to compare."""

    name: str
    a: Side
    b: Side
    elements: int

    @property
    def nbytes(self) -> int:
        """Bytes stored on both sides."""
        return self.a.data.size + self.b.data.size


@njit(nogil=True, fastmath={"reassoc"})  # type: ignore[untyped-decorator]
def _fold(words: NDArray[np.int64]) -> np.int64:
    folded = np.int64(0)
    for word in words:
        folded ^= word
    return folded


def read_plainly(pair: Pair, pool: ThreadPoolExecutor) -> None:
    """Touch every byte of both sides once, in tasks as large as the kernel's."""
    words = [side.data.view(np.int64) for side in (pair.a, pair.b)]
    slices = [side[i : i + TASK // 2] for side in words for i in range(0, side.size, TASK // 2)]
    list(pool.map(_fold, slices))


def compare(pair: Pair, pool: ThreadPoolExecutor) -> int:
    """Fill the statistics record; the number of elements that differ."""

    def span(start: int) -> State:
        part = new_accumulator(pair.b.dtype)
        stop = min(start + TASK, pair.elements)
        part.update(pair.a.chunk(start, stop), pair.b.chunk(start, stop), start)
        return part.state

    total = new_accumulator(pair.b.dtype)
    total.state.add(merge(pool.map(span, range(0, pair.elements, TASK))))
    return total.record().differing


def _whole_float32(side: Side) -> NDArray[np.float32]:
    if side.dtype == DType.F32:
        return side.data.view(np.float32)
    if side.dtype == DType.BF16:
        return (side.data.view(np.uint16).astype(np.uint32) << np.uint32(16)).view(np.float32)
    rows = side.data.reshape(-1, side.dtype.info.nbytes)
    values: NDArray[np.float32] = gguf.quants.dequantize(rows, gguf.GGMLQuantizationType[side.dtype.value])
    return values.reshape(-1)


def compare_by_script(pair: Pair, _pool: ThreadPoolExecutor) -> None:
    """Seven metrics, one pass each, as a script would compute them."""
    a, b = _whole_float32(pair.a), _whole_float32(pair.b)
    error = b - a
    magnitude = np.abs(error)
    worst = int(magnitude.argmax())
    metrics = (magnitude[worst], magnitude.mean(), np.sqrt((error * error).mean()), np.isnan(b).sum())
    cosine = np.dot(a, b) / (np.linalg.norm(a) * np.linalg.norm(b))
    assert np.isfinite((*metrics, cosine, (a != b).sum(), np.isinf(b).sum())).all()


def make_pairs(elements: int) -> list[Pair]:
    """Pairs of normally distributed weights; a sample of 4 M elements is encoded and repeated."""
    sample = np.random.default_rng(0).normal(0, 0.02, SAMPLE).astype(np.float32)
    bf16 = encode(DType.BF16, sample.reshape(-1, 2048)).reshape(-1)
    exact = (bf16.view(np.uint16).astype(np.uint32) << 16).view(np.float32)

    def side(dtype: DType, values: NDArray[np.float32]) -> Side:
        return Side(dtype, np.tile(encode(dtype, values.reshape(-1, 2048)).reshape(-1), elements // SAMPLE))

    half = side(DType.BF16, exact)
    return [
        Pair("bf16 / bf16, equal", half, side(DType.BF16, exact), elements),
        Pair("f32 / f32, equal", side(DType.F32, exact), side(DType.F32, exact), elements),
        Pair("bf16 / f32, equal", half, side(DType.F32, exact), elements),
        Pair("f32 / bf16, rounded", side(DType.F32, sample), half, elements),
        Pair("f32 / f16, rounded", side(DType.F32, sample), side(DType.F16, sample), elements),
        *(Pair(f"bf16 / {t}", half, side(DType(t), exact), elements) for t in ("Q8_0", "Q4_0", "Q5_0", "Q4_K", "Q6_K")),
    ]


def seconds(action: Callable[[Pair, ThreadPoolExecutor], object], pair: Pair, pool: ThreadPoolExecutor) -> float:
    """Wall time of one call."""
    start = time.perf_counter()
    action(pair, pool)
    return time.perf_counter() - start


def measure(pair: Pair, threads: int, repetitions: int) -> tuple[float, float, float]:
    """Median GB/s of plain reading and of comparing, and the median of their ratio."""
    with ThreadPoolExecutor(threads) as pool:
        read_plainly(pair, pool)
        compare(pair, pool)
        timed = [(seconds(read_plainly, pair, pool), seconds(compare, pair, pool)) for _ in range(repetitions)]
    size = pair.nbytes / 1e9
    return (
        median(size / read for read, _ in timed),
        median(size / spent for _, spent in timed),
        median(read / spent for read, spent in timed),
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--elements", type=int, default=1 << 26, help="elements per tensor, a multiple of 4 Mi")
    parser.add_argument("--repetitions", type=int, default=9)
    options = parser.parse_args()
    print(f"{options.elements} elements, medians of {options.repetitions} repetitions; GB/s of stored input\n")
    heads = [
        "pair",
        *(f"{what}, {n} thread{'s' * (n > 1)}" for n in THREADS for what in ("read", "compare", "of read")),
    ]
    print("| " + " | ".join([*heads, "script", "kernel / script"]) + " |")
    print("| --- " * (len(heads) + 2) + "|")
    for pair in make_pairs(options.elements):
        cells, best = [pair.name], 0.0
        for threads in THREADS:
            read, compared, ratio = measure(pair, threads, options.repetitions)
            best = max(best, compared)
            cells += [f"{read:.1f}", f"{compared:.1f}", f"{ratio:.2f}"]
        with ThreadPoolExecutor(1) as pool:
            script = pair.nbytes / 1e9 / seconds(compare_by_script, pair, pool)
        print("| " + " | ".join([*cells, f"{script:.2f}", f"{best / script:.0f} x"]) + " |", flush=True)


if __name__ == "__main__":
    main()
