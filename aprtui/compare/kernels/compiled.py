"""The compiled comparison of two chunks: tile by tile, through decoders of both sides, in one pass over memory.

Importing this module imports numba and compiles for some seconds, or loads what an earlier process compiled.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numba import int64, njit, types, void
from numba.core.typing import Signature

from aprtui.compare.kernels import state as at
from aprtui.compare.kernels.decoders_plain import Bytes, Floats
from aprtui.compare.kernels.differing_tiles import Counts, Sums, compare_tile
from aprtui.compare.kernels.dispatch import decode_tile, tile_bytes
from aprtui.compare.kernels.equal_tiles import equal_tile

TILE = 2048
"""Elements per tile: both decoded sides fit into the first-level cache; a multiple of every block."""

_STORED = types.Array(types.uint8, 1, "C", readonly=True)
_SIGNATURE = void(
    *(_STORED, _STORED),
    *(int64[::1], types.float32[::1]),
    *(int64, int64, int64),
    *(int64[::1], types.float64[::1], int64[::1]),
)


def sources_digest() -> int:
    """A number that changes with any source file of this package."""
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.read_bytes())
    return int.from_bytes(digest.digest()[:7], "big")


def compile_cached(function: Callable[..., None], signature: Signature) -> Callable[..., None]:
    """Compile a function now, keeping the machine code for later processes where there is a place to keep it.

    numba looks for a writable place itself (beside the source, then the user's cache folder) and raises where there
    is none, as in a read-only installation without a home; then each process compiles anew.
    """
    try:
        return njit(signature, nogil=True, cache=True)(function)  # type: ignore[no-any-return]
    except (RuntimeError, OSError):
        return njit(signature, nogil=True)(function)  # type: ignore[no-any-return]


def _define(digest: int) -> Callable[..., None]:
    """The kernel as a closure: numba's cache looks at this function and what it closes over, not at what it calls."""

    def compare_rows(  # noqa: PLR0917 - numba has no keyword-only parameters
        a: Bytes,
        b: Bytes,
        layout: Counts,
        scales: Floats,
        rows: int,
        columns: int,
        first: int,
        ulp: Counts,
        sums: Sums,
        counts: Counts,
    ) -> None:
        """Add the statistics of rows.

        Args:
            a: uint8; rows of the source.
            b: uint8; rows of the target.
            layout: int64 [4]; kind and bytes per row of a, kind and bytes per row of b.
            scales: float32 [2]; AprQ8's scale of either side.
            rows: Number of rows.
            columns: Elements per row.
            first: Flat index of the first element in the tensor.
            ulp: int64 [3]; see `compare_tile`.
            sums: float64 [9]; see `State`.
            counts: int64 [10]; see `State`.
        """
        x, y = np.empty(TILE, np.float32), np.empty(TILE, np.float32)
        kind_a, stride_a, kind_b, stride_b = layout
        expect_equal = digest != 0
        for row in range(rows):
            row_a, row_b = a[row * stride_a : (row + 1) * stride_a], b[row * stride_b : (row + 1) * stride_b]
            for start in range(0, columns, TILE):
                count = min(TILE, columns - start)
                tile_a = tile_bytes(kind_a, row_a, start, count)
                tile_b = tile_bytes(kind_b, row_b, start, count)
                if expect_equal:
                    total, same = equal_tile(kind_a, tile_a, kind_b, tile_b, scales, count, x)
                    if same:
                        sums[at.SQUARED_A] += total
                        continue
                decode_tile(kind_a, tile_a, count, scales[0], x)
                decode_tile(kind_b, tile_b, count, scales[1], y)
                expect_equal = compare_tile(x, y, count, first + row * columns + start, ulp, sums, counts)

    return compare_rows


compare_rows = compile_cached(_define(sources_digest()), _SIGNATURE)
