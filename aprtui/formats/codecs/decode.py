"""Chunks of any stored type to numbers: the reference that faster kernels are tested against."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from aprtui.core.dtypes import DType, Family
from aprtui.core.errors import AprtuiError
from aprtui.formats.chunk import Chunk
from aprtui.formats.codecs.apr import decode_apr_q4, decode_apr_q8
from aprtui.formats.codecs.blocks import decode_blocks
from aprtui.formats.codecs.plain import Numbers, decode_plain

_PACKED_FLOATS = (DType.F4, DType.F6_E2M3, DType.F6_E3M2)


def decode_chunk(chunk: Chunk) -> Numbers:
    """Decode a chunk.

    Args:
        chunk: Rows in any encoding but C64. Rows of block types may be padded; flat types run on across rows.

    Returns:
        Numbers [rows, columns]: float64 for F64, I32, U32, I64 and U64 (integers beyond 2^53 are rounded), float32 for
        all others. They may share memory with the chunk: do not write into them.

    Raises:
        AprtuiError: C64 has no real values; a rare GGML type needs a newer gguf package.
    """
    dtype = chunk.dtype
    if dtype == DType.C64:
        raise AprtuiError("C64 elements are complex numbers and have no real values")
    with np.errstate(all="ignore"):  # infinite and NaN scales are data, not accidents
        if dtype == DType.APR_Q8:
            values: Numbers = decode_apr_q8(chunk.data.view(np.int8), np.float32(chunk.scale))
        elif dtype == DType.APR_Q4:
            values = decode_apr_q4(chunk.data.reshape(-1, dtype.info.nbytes))
        elif dtype.info.family != Family.BLOCK or dtype in _PACKED_FLOATS:
            values = decode_plain(dtype, chunk.data)
        else:
            values = decode_blocks(dtype, chunk.data.reshape(-1, dtype.info.nbytes))
            values = _without_padding(values, chunk) if chunk.row_bytes else values
    return values.ravel()[: chunk.elements].reshape(chunk.rows, chunk.columns)


def _without_padding(values: NDArray[np.float32], chunk: Chunk) -> NDArray[np.float32]:
    padded = chunk.row_bytes // chunk.dtype.info.nbytes * chunk.dtype.info.block
    return values.reshape(chunk.rows, padded)[:, : chunk.columns]
