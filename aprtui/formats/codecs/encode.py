"""Numbers to stored bytes, for the built-in converter and for tests that need honest files.

F16 and BF16 round to nearest even. Block types are byte-identical to ggml's reference quantisers (see `encoders`).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from aprtui.core.dtypes import DType
from aprtui.core.errors import AprtuiError
from aprtui.formats.codecs.apr import encode_apr_q4

BlockEncoder = Callable[[NDArray[np.float32], NDArray[np.uint8]], None]

ENCODABLE = frozenset(
    {
        *(DType.F32, DType.F16, DType.BF16, DType.APR_Q4),
        *(DType.Q8_0, DType.Q4_0, DType.Q4_1, DType.Q5_0, DType.Q5_1),
        *(DType.Q2_K, DType.Q3_K, DType.Q4_K, DType.Q5_K, DType.Q6_K),
    }
)
"""The types that `encode` can write."""


def bf16_bits(values: NDArray[np.float32]) -> NDArray[np.uint16]:
    """The nearest BF16 of each value, ties to even, sub-normals kept.

    A NaN keeps its sign and payload and becomes quiet, as in ggml (`ggml_compute_fp32_to_bf16`) and the gguf package;
    torch makes it 0x7FC0.
    """
    bits = np.ascontiguousarray(values, np.float32).view(np.uint32)
    rounded = (bits + (np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1)))) >> np.uint32(16)
    quiet = (bits >> np.uint32(16)) | np.uint32(64)
    return np.where(np.isnan(values), quiet, rounded).astype(np.uint16)


@lru_cache
def _block_encoders() -> dict[DType, BlockEncoder]:
    try:
        from aprtui.formats.codecs.encoders import k_quants_affine, k_quants_symmetric, legacy  # noqa: PLC0415
    except ImportError as missing:
        raise AprtuiError(
            "block types can be read but not written without numba", todo="install numba, or write F32, F16 or BF16"
        ) from missing
    return {
        DType.Q8_0: legacy.encode_q8_0,
        DType.Q4_0: legacy.encode_q4_0,
        DType.Q4_1: legacy.encode_q4_1,
        DType.Q5_0: legacy.encode_q5_0,
        DType.Q5_1: legacy.encode_q5_1,
        DType.Q2_K: k_quants_affine.encode_q2_k,
        DType.Q3_K: k_quants_symmetric.encode_q3_k,
        DType.Q4_K: k_quants_affine.encode_q4_k,
        DType.Q5_K: k_quants_affine.encode_q5_k,
        DType.Q6_K: k_quants_symmetric.encode_q6_k,
    }


def encode(dtype: DType, values: NDArray[np.float32], *, padded_rows: bool = False) -> NDArray[np.uint8]:
    """Encode rows of numbers.

    Args:
        dtype: One of `ENCODABLE`. AprQ8 is missing: its scale belongs to a whole tensor (see `apr`).
        values: float32 [rows, columns].
        padded_rows: Fill each row with zeros up to whole blocks (apr's K-quants). Without it such rows are refused.
            AprQ4 runs on across rows; its last block may be incomplete in any case.

    Returns:
        uint8, flat.

    Raises:
        AprtuiError: No encoder; numba is missing; rows do not fill whole blocks; a block type would have to hold
            infinities or NaN (llama-quantize refuses them too).
    """
    values = np.ascontiguousarray(values, np.float32)
    if dtype == DType.F32:
        return values.astype("<f4").view(np.uint8).ravel()
    if dtype == DType.F16:
        with np.errstate(over="ignore"):
            return values.astype("<f2").view(np.uint8).ravel()
    if dtype == DType.BF16:
        return bf16_bits(values).astype("<u2").view(np.uint8).ravel()
    if dtype not in ENCODABLE:
        raise AprtuiError(f"aprtui has no encoder for {dtype}")
    if not np.isfinite(values).all():
        raise AprtuiError(f"{dtype} cannot hold infinities or NaN, and the values contain some")
    if dtype == DType.APR_Q4:
        return encode_apr_q4(values).ravel()
    return _encode_blocks(dtype, _whole_blocks(dtype, values, padded_rows))


def _whole_blocks(dtype: DType, values: NDArray[np.float32], padded_rows: bool) -> NDArray[np.float32]:
    columns = values.shape[1]
    missing = -columns % dtype.info.block
    if not missing:
        return values
    if not padded_rows:
        raise AprtuiError(
            f"rows of {columns} elements do not fill {dtype} blocks of {dtype.info.block}",
            todo="choose a type with smaller blocks",
        )
    return np.pad(values, ((0, 0), (0, missing)))


def _encode_blocks(dtype: DType, values: NDArray[np.float32]) -> NDArray[np.uint8]:
    blocks = values.reshape(-1, dtype.info.block)
    out = np.zeros((len(blocks), dtype.info.nbytes), np.uint8)
    _block_encoders()[dtype](blocks, out)
    return out.ravel()
