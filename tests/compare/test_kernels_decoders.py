"""The compiled tile decoders against ggml and the numpy codecs: every bit, on random bytes."""

import numpy as np
import pytest
from ggml_oracle import ggml_decode
from kernel_cases import BLOCKS, FLOATS, random_chunk

from aprtui.compare.kernels.compiled import TILE
from aprtui.compare.kernels.dispatch import KIND, decode_tile, tile_bytes
from aprtui.core.dtypes import DType
from aprtui.formats.chunk import Chunk
from aprtui.formats.codecs import decode_chunk


def bits(values):
    """Bits, with every NaN made the same: payloads of signalling NaN depend on the conversion instruction."""
    return np.where(np.isnan(values), np.uint32(0x7FC00000), np.ascontiguousarray(values).view(np.uint32))


def decode(chunk, elements):
    out = np.empty(elements, np.float32)
    decode_tile(KIND[chunk.dtype], chunk.data, elements, np.float32(chunk.scale), out)
    return out


@pytest.mark.parametrize("dtype", KIND)
def test_random_bytes_decode_like_the_codecs(dtype):
    chunk = random_chunk(dtype, 1 << 16, np.random.default_rng(1), wild=True)
    assert np.array_equal(bits(decode(chunk, 1 << 16)), bits(decode_chunk(chunk).ravel()))


@pytest.mark.parametrize("dtype", [d for d in KIND if not d.info.flat and d != DType.F32])
def test_random_bytes_decode_like_ggml(dtype):
    chunk = random_chunk(dtype, 1 << 16, np.random.default_rng(2), wild=True)
    assert np.array_equal(bits(decode(chunk, 1 << 16)), bits(ggml_decode(dtype, chunk.data, 1 << 16).ravel()))


@pytest.mark.parametrize("dtype", (*FLOATS, *BLOCKS))
def test_a_tile_is_the_same_part_of_the_whole(dtype):
    chunk = random_chunk(dtype, 3 * TILE, np.random.default_rng(3))
    tile = tile_bytes(KIND[dtype], chunk.data, TILE, TILE)
    part = decode(Chunk(dtype, tile, 1, TILE, tile.size, chunk.scale), TILE)
    assert np.array_equal(part, decode(chunk, 3 * TILE)[TILE : 2 * TILE])


def test_every_type_with_blocks_of_codes_has_a_compiled_decoder():
    assert set(KIND) == {*FLOATS, *BLOCKS}
    assert all(TILE % dtype.info.block == 0 for dtype in KIND)
