"""Block layouts: the parts rebuild ggml's values, and what is written is read back."""

import numpy as np
import pytest
from ggml_oracle import ggml_decode, ggml_encode

from aprtui.core.dtypes import DType
from aprtui.formats.codecs.block_layout import (
    LAYOUTS,
    BlockParts,
    put_codes,
    put_offset,
    put_scale,
    put_sub_mins,
    put_sub_scales,
    unpack,
)

GGML_LAYOUTS = [dtype for dtype in LAYOUTS if dtype != DType.APR_Q4]


def rebuilt(dtype: DType, parts: BlockParts) -> np.ndarray:
    layout = LAYOUTS[dtype]
    levels = np.take(layout.levels, parts.codes).reshape(-1, layout.sub_blocks, layout.sub_block)
    step = parts.scale.astype(np.float32)[:, None] * parts.sub_scales
    offset = parts.offset.astype(np.float32)[:, None] * parts.sub_mins
    return (step[:, :, None] * levels - offset[:, :, None]).reshape(-1, layout.block)


def gauss_blocks(dtype: DType) -> np.ndarray:
    x = np.random.default_rng(3).standard_normal((16, 512)).astype(np.float32)
    return ggml_encode(dtype, x).reshape(-1, dtype.info.nbytes)


@pytest.mark.parametrize("dtype", GGML_LAYOUTS)
def test_parts_rebuild_ggmls_values(dtype: DType) -> None:
    raw = gauss_blocks(dtype)
    assert np.array_equal(rebuilt(dtype, unpack(LAYOUTS[dtype], raw)), ggml_decode(dtype, raw, dtype.info.block))


@pytest.mark.parametrize("dtype", GGML_LAYOUTS)
def test_the_parts_cover_every_bit_of_a_block(dtype: DType) -> None:
    layout, raw = LAYOUTS[dtype], gauss_blocks(dtype)
    parts, copy = unpack(layout, raw), np.zeros_like(raw)
    put_codes(layout, copy, parts.codes)
    put_scale(layout, copy, parts.scale)
    if layout.offset_at is not None:
        put_offset(layout, copy, parts.offset)
    if layout.sub_scales:
        put_sub_scales(layout, copy, parts.sub_scales)
    if layout.sub_mins:
        put_sub_mins(layout, copy, parts.sub_mins)
    assert np.array_equal(copy, raw)


@pytest.mark.parametrize("dtype", LAYOUTS)
def test_writing_codes_changes_nothing_else(dtype: DType) -> None:
    layout = LAYOUTS[dtype]
    raw = np.random.default_rng(1).integers(0, 256, (64, dtype.info.nbytes), np.uint8)
    before = unpack(layout, raw)
    codes = (before.codes.astype(int) + 1) % len(layout.levels)
    put_codes(layout, raw, codes.astype(np.uint8))
    after = unpack(layout, raw)
    assert np.array_equal(after.codes, codes)
    for part in ("scale", "sub_scales", "offset", "sub_mins"):
        assert getattr(before, part).tobytes() == getattr(after, part).tobytes()


def test_apr_q4_holds_neighbours_in_one_byte() -> None:
    raw = np.zeros((1, 18), np.uint8)
    raw[0, 2] = 0x2F
    assert unpack(LAYOUTS[DType.APR_Q4], raw).codes[0, :4].tolist() == [15, 2, 0, 0]


@pytest.mark.parametrize("put", [put_offset, put_sub_scales, put_sub_mins])
def test_parts_that_a_type_lacks_cannot_be_written(put) -> None:
    with pytest.raises(ValueError, match="Q8_0 blocks have no"):
        put(LAYOUTS[DType.Q8_0], np.zeros((1, 34), np.uint8), np.ones((1, 1), np.float32))
