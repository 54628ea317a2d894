"""Measures how much error the types without a certificate make: the NRMSE of ggml's own encoder.

    python benchmarks/error_bands.py

Types whose encoder needs an importance matrix get a uniform one. The bands of `core.tolerance.ERROR_BANDS` must lie
above every figure here, and are printed beside the largest.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from ggml_oracle import ggml_decode, ggml_encode

from aprtui.core.dtypes import DType
from aprtui.core.tolerance import ERROR_BANDS

ROWS, COLUMNS, SEED = 256, 1024, 0


def sources() -> dict[str, np.ndarray]:
    """Weights of several distributions, float32 [ROWS, COLUMNS]."""
    rng = np.random.default_rng(SEED)
    shape = (ROWS, COLUMNS)
    outliers = rng.standard_normal(shape) * 0.02
    outliers[np.arange(ROWS), rng.integers(0, COLUMNS, ROWS)] *= 100
    drawn = {
        "Gauss": rng.standard_normal(shape) * 0.02,
        "Laplace": rng.laplace(size=shape) * 0.02,
        "t4": rng.standard_t(4, shape) * 0.02,
        "uniform": rng.uniform(-0.05, 0.05, shape),
        "outliers": outliers,
    }
    return {name: values.astype(np.float32) for name, values in drawn.items()}


def nrmse(dtype: DType, values: np.ndarray) -> float:
    """Square root of NMSE of ggml's encoding of these values."""
    weights = np.ones(values.shape[1], np.float32)
    decoded = ggml_decode(dtype, ggml_encode(dtype, values, weights), values.shape[1])
    error = decoded.astype(np.float64).reshape(values.shape) - values
    return float(np.sqrt((error**2).sum() / (values.astype(np.float64) ** 2).sum()))


def main() -> None:
    """Print a Markdown table."""
    drawn = sources()
    print(f"NRMSE of ggml's encoder with uniform importance, {ROWS} x {COLUMNS}, seed {SEED}\n")
    print(f"| type | {' | '.join(drawn)} | band |")
    print(f"| --- {'| --- ' * (len(drawn) + 1)}|")
    for dtype, band in ERROR_BANDS.items():
        figures = [nrmse(dtype, values) for values in drawn.values()]
        print(f"| {dtype} | {' | '.join(f'{figure:.3f}' for figure in figures)} | {band} |", flush=True)


if __name__ == "__main__":
    main()
