import numpy as np
import pytest
from fixture_files import FIXTURES

from aprtui.core.dtypes import DType
from aprtui.formats.chunk import Chunk
from aprtui.formats.codecs import decode_chunk, encode
from aprtui.formats.container import StoredTensor
from aprtui.formats.gguf import read_gguf
from aprtui.formats.views import (
    Added,
    Aliased,
    Computed,
    Concatenated,
    Packing,
    Reblocked,
    Reinterpreted,
    Reshaped,
    RowsPermuted,
    Scaled,
    Shifted,
    Sliced,
    Stored,
    Transposed,
    View,
    rotary_order,
)

FILES = ["f32", "f16", "bf16", "Q8_0", "Q4_0", "Q4_K_M", "Q6_K"]


def values(view: View) -> np.ndarray:
    return decode_chunk(view.read(0, view.elements)).reshape(view.shape)


def in_pieces(view: View) -> np.ndarray:
    step = view.granule * max(1, 999 // view.granule)
    spans = [(start, min(start + step, view.elements)) for start in range(0, view.elements, step)]
    return np.concatenate([decode_chunk(view.read(*span)).reshape(-1) for span in spans]).reshape(view.shape)


@pytest.fixture(params=FILES)
def matrix(request) -> Stored:
    container = read_gguf(FIXTURES / f"llama-tiny256/gguf/{request.param}.gguf")
    return Stored(next(tensor for tensor in container.tensors if tensor.name == "blk.0.ffn_down.weight"))


def bits(array: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(array, np.float32).view(np.uint32)


def cases(view: Stored):
    whole = values(view)
    rows, columns = whole.shape
    order = rotary_order(4, rows // 4)
    plus_one = whole + np.float32(1)
    if view.dtype is DType.F16:
        plus_one = (whole.astype(np.float16) + np.float16(1)).astype(np.float32)
    yield view, whole
    yield Transposed(view), whole.T
    yield Reshaped(view, (4, rows // 4, columns)), whole.reshape(4, rows // 4, columns)
    yield RowsPermuted(view, order, "rotary"), whole[order]
    yield Sliced(view, 3, 77), whole[3:77]
    yield Concatenated((Sliced(view, 5, 9), view)), np.concatenate([whole[5:9], whole])
    yield Concatenated((Scaled(view, 1.0), view)), np.concatenate([whole, whole])
    yield Added(view, 1.0), plus_one
    yield Scaled(view, -0.5), whole * np.float32(-0.5)
    yield Shifted(view, 256), np.roll(whole, 256)
    yield Shifted(view, -512), np.roll(whole, -512)
    yield Shifted(view, 7), np.roll(whole, 7)
    yield Aliased(view, "tied"), whole
    yield Transposed(RowsPermuted(Added(view, 1.0), order, "rotary")), plus_one[order].T


def test_every_view_computes_what_numpy_computes(matrix):
    for view, expected in cases(matrix):
        got = values(view)
        assert view.shape == expected.shape, view
        assert np.array_equal(bits(got), bits(expected)), view
        assert np.array_equal(bits(in_pieces(view)), bits(expected)), view


def test_gathered_rows_are_the_rows_of_the_whole(matrix):
    numbers = np.array([9, 0, 3, 3, 20], np.int64)
    for view, expected in cases(matrix):
        flat = expected.reshape(-1, expected.shape[-1])
        chosen = numbers % view.rows
        assert np.array_equal(bits(decode_chunk(view.gather(chosen))), bits(flat[chosen])), view


def test_undo_restores_what_the_operation_did(matrix):
    whole = values(matrix)
    for view, _ in cases(matrix):
        undone = view.undo(view)
        if undone is None:
            assert isinstance(view, Sliced | Concatenated) or view is matrix
            continue
        if isinstance(view, Added):
            assert np.allclose(values(undone), whole, atol=1e-3)
        elif view.below == (matrix,):
            assert np.array_equal(bits(values(undone)), bits(whole)), view


def test_layout_operations_keep_stored_bits(matrix):
    order = rotary_order(4, matrix.shape[0] // 4)
    permuted = RowsPermuted(matrix, order, "rotary")
    assert permuted.dtype == matrix.dtype
    assert permuted.moves_bytes_only
    assert not Added(matrix, 1.0).moves_bytes_only
    assert Transposed(matrix).moves_bytes_only == (matrix.dtype.info.block == 1)


def test_rotary_order_is_llama_cpps_permutation():
    heads, head_dim, columns = 4, 8, 3
    weights = np.arange(heads * head_dim * columns).reshape(heads * head_dim, columns)
    theirs = weights.reshape(heads, 2, head_dim // 2, columns).swapaxes(1, 2).reshape(weights.shape)
    assert np.array_equal(weights[rotary_order(heads, head_dim)], theirs)


def test_reinterpreted_bits_decode_as_the_other_type():
    container = read_gguf(FIXTURES / "llama-tiny256/gguf/bf16.gguf")
    view = Stored(next(tensor for tensor in container.tensors if tensor.name == "token_embd.weight"))
    as_f16 = Reinterpreted(view, DType.F16)
    raw = view.read(0, view.elements).data.view("<f2").astype(np.float32)
    assert np.array_equal(bits(values(as_f16).reshape(-1)), bits(raw))
    assert as_f16.undo(as_f16).dtype is DType.BF16


@pytest.mark.parametrize("packing", [Packing.NIBBLES_SWAPPED, Packing.HALVES_TO_PAIRS, Packing.PAIRS_TO_HALVES])
def test_repacked_codes_hold_the_same_numbers_in_other_places(packing):
    container = read_gguf(FIXTURES / "llama-tiny256/gguf/Q4_0.gguf")
    view = Stored(next(tensor for tensor in container.tensors if tensor.name == "blk.0.ffn_down.weight"))
    moved = Reblocked(view, packing)
    before, after = values(view).reshape(-1, 32), values(moved).reshape(-1, 32)
    assert not np.array_equal(before, after)
    assert np.array_equal(np.sort(before), np.sort(after))
    assert np.array_equal(values(moved.undo(moved)).reshape(-1, 32), before)


def test_byte_order_reversed():
    container = read_gguf(FIXTURES / "llama-tiny256/gguf/f32.gguf")
    view = Stored(container.tensors[0])
    expected = view.read(0, view.elements).data.view(">f4").astype(np.float32)
    assert np.array_equal(bits(values(Reblocked(view, Packing.BYTE_ORDER)).reshape(-1)), bits(expected))


def test_vectors_permute_by_element_and_computed_vectors_read():
    container = read_gguf(FIXTURES / "llama-tiny256/gguf/f32.gguf")
    view = Stored(next(tensor for tensor in container.tensors if tensor.name == "blk.0.attn_norm.weight"))
    order = rotary_order(4, view.shape[0] // 4)
    assert np.array_equal(values(RowsPermuted(view, order, "rotary")), values(view)[order])
    assert np.array_equal(values(Sliced(view, 2, 5)), values(view)[2:5])
    assert values(Computed((1.0, 2.5), "factors")).tolist() == [1.0, 2.5]


def test_super_blocks_that_run_on_across_rows_are_read_flat(tmp_path):
    rows, columns = 5, 192
    whole = np.random.default_rng(0).standard_normal((rows, columns)).astype(np.float32)
    padded = np.zeros((1, 1024), np.float32)
    padded[0, : whole.size] = whole.reshape(-1)
    raw = encode(DType.Q4_K, padded)
    path = tmp_path / "flat.bin"
    path.write_bytes(bytes(64) + raw.tobytes())
    view = Stored(StoredTensor("flat", DType.Q4_K, (rows, columns), path, 64, raw.size))
    expected = decode_chunk(Chunk(DType.Q4_K, raw, 1, 1024, raw.size)).reshape(-1)[: whole.size].reshape(whole.shape)
    assert view.tensor.runs_on and not view.tensor.padded_rows
    assert np.array_equal(bits(values(view)), bits(expected))
    assert np.array_equal(bits(in_pieces(view)), bits(expected))
    chosen = np.array([4, 0, 2], np.int64)
    assert np.array_equal(bits(decode_chunk(view.gather(chosen))), bits(expected[chosen]))
