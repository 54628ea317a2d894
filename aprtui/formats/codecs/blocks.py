"""Values of quantised blocks, bit-identical to the gguf package (and through it to ggml).

The common types are decoded from their layouts. Q8_1 and Q8_K, which ggml uses for activations, are simple enough to
be read directly. The rare types need large codebooks, which the gguf package has.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from aprtui.core.dtypes import DType
from aprtui.core.errors import AprtuiError
from aprtui.formats.codecs.block_layout import (
    LAYOUTS,
    BlockLayout,
    get_codes,
    get_scale,
    get_stored_offset,
    get_sub_mins,
    get_sub_scales,
)

_ELEMENTS_AT_ONCE = 1 << 20  # bounds the temporaries to a few MB


def _from_layout(layout: BlockLayout, blocks: NDArray[np.uint8]) -> NDArray[np.float32]:
    """(scale * sub-scale) * level, then minus (offset * sub-min): the order decides the last bit."""
    step = get_scale(layout, blocks).astype(np.float32)[:, None]
    if layout.sub_scales:
        step = step * get_sub_scales(layout, blocks)
    values = np.take(layout.levels, get_codes(layout, blocks)).reshape(-1, layout.sub_blocks, layout.sub_block)
    np.multiply(step[:, :, None], values, out=values)
    if layout.offset_at is not None:
        offset = get_stored_offset(layout, blocks).astype(np.float32)[:, None]
        if layout.offset_added:
            values += offset[:, :, None]
        else:
            values -= (offset * get_sub_mins(layout, blocks))[:, :, None]
    return values.reshape(-1, layout.block)


def _from_q8_1(blocks: NDArray[np.uint8]) -> NDArray[np.float32]:
    """f16 scale, f16 sum of the block (not needed), 32 int8 codes (`block_q8_1` in ggml-common.h)."""
    scale = np.ascontiguousarray(blocks[:, :2]).view("<f2").astype(np.float32)
    return scale * blocks[:, 4:].view(np.int8).astype(np.float32)


def _from_q8_k(blocks: NDArray[np.uint8]) -> NDArray[np.float32]:
    """f32 scale, 256 int8 codes, sums of 16 (not needed) (`block_q8_K` in ggml-common.h)."""
    scale = np.ascontiguousarray(blocks[:, :4]).view("<f4")
    return scale * blocks[:, 4:260].view(np.int8).astype(np.float32)


def _from_gguf_package(dtype: DType, blocks: NDArray[np.uint8]) -> NDArray[np.float32]:
    import gguf  # noqa: PLC0415 - takes 0.2 s, which only files with such types pay

    try:
        # as one long row: the package loops in Python over groups of 16 rows
        values = gguf.quants.dequantize(blocks.reshape(1, -1), gguf.GGMLQuantizationType[dtype.value])
    except (AttributeError, KeyError, NotImplementedError) as missing:
        raise AprtuiError(
            f"the installed gguf package cannot decode {dtype}", todo="install a newer gguf package"
        ) from missing
    return np.asarray(values, np.float32).reshape(-1, dtype.info.block)


def _decode_some(dtype: DType, blocks: NDArray[np.uint8]) -> NDArray[np.float32]:
    if dtype in LAYOUTS:
        return _from_layout(LAYOUTS[dtype], blocks)
    if dtype == DType.Q8_1:
        return _from_q8_1(blocks)
    if dtype == DType.Q8_K:
        return _from_q8_k(blocks)
    return _from_gguf_package(dtype, blocks)


def decode_blocks(dtype: DType, blocks: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Decode whole blocks of a GGML type.

    Args:
        dtype: A block type of GGML.
        blocks: uint8 [n, nbytes].

    Returns:
        float32 [n, elements per block].

    Raises:
        AprtuiError: The type needs a newer gguf package.
    """
    step = _ELEMENTS_AT_ONCE // dtype.info.block
    if len(blocks) <= step:
        return _decode_some(dtype, blocks)
    values = np.empty((len(blocks), dtype.info.block), np.float32)
    for start in range(0, len(blocks), step):
        part = slice(start, start + step)
        values[part] = _decode_some(dtype, blocks[part])
    return values
