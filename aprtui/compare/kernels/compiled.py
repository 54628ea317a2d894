"""The compiled comparison of two chunks: tile by tile, through decoders of both sides, in one pass over memory.

Importing this module imports numba and compiles for some seconds, or loads what an earlier process compiled.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numba import int64, types, void

from aprtui.compare.kernels import state as at
from aprtui.compare.kernels.decoders_plain import Bytes, Floats
from aprtui.compare.kernels.differing_tiles import Counts, Sums, compare_tile
from aprtui.compare.kernels.dispatch import decode_tile, tile_bytes
from aprtui.compare.kernels.equal_tiles import equal_tile
from aprtui.compare.kernels.machine_code import compile_cached, sources_digest

TILE = 2048
"""Elements per tile: both decoded sides fit into the first-level cache; a multiple of every block."""

_STORED = types.Array(types.uint8, 1, "C", readonly=True)
_SIGNATURE = void(
    *(_STORED, _STORED),
    *(int64[::1], types.float32[::1]),
    *(int64, int64, int64),
    *(int64[::1], types.float64[::1], int64[::1]),
)


def _define(digest: int) -> Callable[..., None]:
    """The kernel, closing over the digest of all sources (see `machine_code`)."""

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
        expect_equal = digest != 0  # true; mentioned so that the closure holds it
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
