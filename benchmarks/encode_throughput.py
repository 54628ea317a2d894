"""Rates of the block encoders beside ggml's own, on one thread.

ggml's functions come from the xllamacpp package, which the development extra installs. Both encode the same values; the
tests hold their bytes against each other.

    python benchmarks/encode_throughput.py
"""

from __future__ import annotations

import sys
from pathlib import Path
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from ggml_oracle import ggml_encode

from aprtui.core.dtypes import DType
from aprtui.formats.codecs.encode import encode

_TYPES = ("Q8_0", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K")
_ROUNDS = 5


def main() -> None:
    """Print millions of elements per second of both, and their ratio."""
    values = (np.random.default_rng(0).standard_normal((512, 4096)) * 0.02).astype(np.float32)
    print(f"{'type':<6} {'aprtui':>10} {'ggml':>10}  aprtui / ggml   (M elements/s, best of {_ROUNDS}, one thread)")
    for name in _TYPES:
        dtype = DType(name)
        own, other = _best(dtype, values)
        print(f"{name:<6} {values.size / own / 1e6:10.0f} {values.size / other / 1e6:10.0f}  {other / own:.2f}")


def _best(dtype: DType, values: NDArray[np.float32]) -> tuple[float, float]:
    """Seconds of aprtui and of ggml, the best of several rounds in turn."""
    encode(dtype, values[:8])
    own, other = [], []
    for _ in range(_ROUNDS):
        begun = perf_counter()
        encode(dtype, values)
        between = perf_counter()
        ggml_encode(dtype, values)
        own.append(between - begun)
        other.append(perf_counter() - between)
    return min(own), min(other)


if __name__ == "__main__":
    main()
