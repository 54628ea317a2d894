"""One compiled decoder for tiles of any supported type, selected by a number.

One entry instead of one compiled kernel per pair of types: compiling takes seconds, and there are hundreds of pairs.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numba import int64, njit, types, void

from aprtui.compare.kernels import decoders_k as k_types
from aprtui.compare.kernels import decoders_legacy as legacy
from aprtui.compare.kernels import decoders_plain as plain
from aprtui.compare.kernels.decoders_plain import Bytes, Floats
from aprtui.compare.kernels.machine_code import compile_cached, sources_digest
from aprtui.core.dtypes import DType

_ORDER = (
    *(DType.F32, DType.F16, DType.BF16),
    *(DType.Q8_0, DType.Q4_0, DType.Q4_1, DType.Q5_0, DType.Q5_1, DType.IQ4_NL, DType.APR_Q4, DType.APR_Q8),
    *(DType.Q2_K, DType.Q3_K, DType.Q4_K, DType.Q5_K, DType.Q6_K, DType.IQ4_XS),
)
KIND: dict[DType, int] = {dtype: kind for kind, dtype in enumerate(_ORDER)}
"""The number of each type that has a compiled decoder."""

F32, F16, BF16 = range(3)
_Q8_0, _Q4_0, _Q4_1, _Q5_0, _Q5_1, _IQ4_NL, _APR_Q4, _APR_Q8 = range(3, 11)
_Q2_K, _Q3_K, _Q4_K, _Q5_K, _Q6_K, _IQ4_XS = range(11, 17)
_BLOCK = np.array([dtype.info.block for dtype in _ORDER])
_NBYTES = np.array([dtype.info.nbytes for dtype in _ORDER])


@njit(nogil=True)
def tile_bytes(kind: int, row: Bytes, start: int, count: int) -> Bytes:
    """The bytes of elements [start, start + count) of a row, up to the end of a block; start is a block's first."""
    block, nbytes = _BLOCK[kind], _NBYTES[kind]
    return row[start // block * nbytes : (start + count + block - 1) // block * nbytes]


def _define(digest: int) -> Callable[[int, Bytes, int, np.float32, Floats], None]:
    """The decoder, closing over the digest of all sources (see `machine_code`)."""

    def decode_tile(kind: int, raw: Bytes, count: int, scale: np.float32, out: Floats) -> None:
        """Decode the bytes of a tile.

        Args:
            kind: `KIND` of the type.
            raw: uint8; whole blocks.
            count: Elements wanted.
            scale: AprQ8's scale.
            out: float32; at least `count`, rounded up to whole blocks.
        """
        blocks = (count + _BLOCK[kind] - 1) // _BLOCK[kind]
        if kind == F32:
            plain.decode_f32(raw, out, count)
        elif kind == F16:
            plain.decode_f16(raw, out, count)
        elif kind == BF16:
            plain.decode_bf16(raw, out, count)
        elif kind == _Q8_0:
            legacy.decode_q8_0(raw, out, blocks)
        elif kind == _Q4_0:
            legacy.decode_q4_0(raw, out, blocks)
        elif kind == _Q4_1:
            legacy.decode_q4_1(raw, out, blocks)
        elif kind == _Q5_0:
            legacy.decode_q5_0(raw, out, blocks)
        elif kind == _Q5_1:
            legacy.decode_q5_1(raw, out, blocks)
        elif kind == _IQ4_NL:
            legacy.decode_iq4_nl(raw, out, blocks)
        elif kind == _APR_Q4:
            legacy.decode_apr_q4(raw, out, blocks)
        elif kind == _APR_Q8:
            legacy.decode_apr_q8(raw, out, count, scale)
        elif kind == _Q2_K:
            k_types.decode_q2_k(raw, out, blocks)
        elif kind == _Q3_K:
            k_types.decode_q3_k(raw, out, blocks)
        elif kind == _Q4_K:
            k_types.decode_q4_k(raw, out, blocks)
        elif kind == _Q5_K:
            k_types.decode_q5_k(raw, out, blocks)
        elif kind == _Q6_K:
            k_types.decode_q6_k(raw, out, blocks)
        elif kind == _IQ4_XS and digest:  # true; mentioned so that the closure holds it
            k_types.decode_iq4_xs(raw, out, blocks)

    return decode_tile


_SIGNATURE = void(int64, types.Array(types.uint8, 1, "C", readonly=True), int64, types.float32, types.float32[::1])
decode_tile = compile_cached(_define(sources_digest()), _SIGNATURE)
