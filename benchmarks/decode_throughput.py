"""Measures the compiled decoders against ggml's own `dequantize_row_*`, one thread. Prints Markdown.

    python benchmarks/decode_throughput.py

Both write float32 of the same random blocks into the same array; "into tile" is how the comparison kernel uses its
decoder, 2048 elements at a time into the first-level cache. Needs the `dev` extra (ggml inside xllamacpp). Ends with
exit code 1 if a decoded bit differs.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median

import numpy as np
from numba import njit
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from ggml_oracle import _decoder as ggml_decoder

from aprtui.compare.kernels.compiled import TILE
from aprtui.compare.kernels.dispatch import KIND, decode_tile, tile_bytes
from aprtui.core.dtypes import DType

ELEMENTS = 1 << 21
REPETITIONS = 15
SCALES_AT = {DType.Q2_K: (80, 82), DType.Q3_K: (108,), DType.Q6_K: (208,)}
"""Where the float16 scales are that do not stand first."""


@njit(nogil=True)  # type: ignore[untyped-decorator]
def _decode_into_tile(kind: int, raw: NDArray[np.uint8], count: int, tile: NDArray[np.float32]) -> None:
    for start in range(0, count, TILE):
        decode_tile(kind, tile_bytes(kind, raw, start, TILE), TILE, np.float32(1), tile)


def finite_blocks(dtype: DType, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Random blocks with ordinary scales: infinities would slow neither side, but no model has them."""
    info = dtype.info
    raw = rng.integers(0, 256, (ELEMENTS // info.block, info.nbytes), dtype=np.uint8)
    for at in SCALES_AT.get(dtype, (0, 2) if info.block > 1 else range(0, info.nbytes, 2)):
        raw[:, at : at + 2] = rng.normal(0, 0.01, (len(raw), 1)).astype(np.float16).view(np.uint8)
    return raw.reshape(-1)


def rate(action: Callable[[], object]) -> float:
    """Median Gelem/s."""
    action()
    spent = []
    for _ in range(REPETITIONS):
        start = time.perf_counter()
        action()
        spent.append(time.perf_counter() - start)
    return ELEMENTS / median(spent) / 1e9


def main() -> int:
    """Measure and print; 1 if decoders disagree."""
    rng = np.random.default_rng(0)
    ours, theirs = np.empty(ELEMENTS, np.float32), np.empty(ELEMENTS, np.float32)
    tile, one = np.empty(TILE, np.float32), np.float32(1)
    wrong = 0
    print(f"{ELEMENTS} elements, one thread, medians of {REPETITIONS} repetitions; Gelem/s\n")
    print("| type | ours, into tile | ours | ggml | ours / ggml | bits |\n| --- | --- | --- | --- | --- | --- |")
    for dtype, kind in KIND.items():
        if dtype in {DType.F32, DType.APR_Q4, DType.APR_Q8}:  # no decoding, or nothing of ggml's
            continue
        raw, decoder = finite_blocks(dtype, rng), ggml_decoder(dtype)
        into_tile = rate(partial(_decode_into_tile, kind, raw, ELEMENTS, tile))
        whole = rate(partial(decode_tile, kind, raw, ELEMENTS, one, ours))
        ggml = rate(partial(decoder, raw.ctypes.data, theirs.ctypes.data, ELEMENTS))
        same = np.array_equal(ours.view(np.uint32), theirs.view(np.uint32))
        wrong += not same
        verdict = "equal" if same else "DIFFER"
        print(f"| {dtype} | {into_tile:.2f} | {whole:.2f} | {ggml:.2f} | {whole / ggml:.2f} | {verdict} |", flush=True)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
