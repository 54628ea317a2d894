"""Decoding: GGML types to the bit as the gguf package does it, all others as torch or their definition says."""

import ctypes
import subprocess
import sys

import gguf
import numpy as np
import pytest
import torch
from fixture_files import FIXTURES
from ggml_oracle import ggml_decode, ggml_encode, ggml_library

from aprtui.core.dtypes import DType, Family
from aprtui.core.errors import AprtuiError
from aprtui.formats.chunk import Chunk
from aprtui.formats.codecs.decode import decode_chunk
from aprtui.formats.codecs.encode import encode

NO_REFERENCE = (DType.Q8_1, DType.Q8_K)
GGML_BLOCKS = [
    dtype
    for dtype in DType
    if dtype.value in gguf.GGMLQuantizationType.__members__
    and dtype.info.family == Family.BLOCK
    and dtype not in NO_REFERENCE
]


def chunk_of(dtype: DType, data: np.ndarray, rows: int, columns: int, scale: float = 1.0) -> Chunk:
    data = np.ascontiguousarray(data).view(np.uint8).ravel()
    return Chunk(dtype, data, rows, columns, data.size // rows, scale)


def same_bits(a: np.ndarray, b: np.ndarray) -> bool:
    return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()


@pytest.mark.parametrize("dtype", GGML_BLOCKS)
def test_random_bytes_decode_as_in_the_gguf_package(dtype: DType) -> None:
    info = dtype.info
    data = np.random.default_rng(7).integers(0, 256, (96, 4 * info.nbytes), np.uint8)
    with np.errstate(all="ignore"):
        want = gguf.quants.dequantize(data, gguf.GGMLQuantizationType[dtype.value])
    got = decode_chunk(chunk_of(dtype, data, 96, 4 * info.block))
    assert same_bits(got, want.astype(np.float32))


@pytest.mark.parametrize("dtype", GGML_BLOCKS)
def test_scales_that_are_infinite_nan_or_subnormal(dtype: DType) -> None:
    special = np.array([0x7C00, 0xFC00, 0x7E00, 0xFE01, 0x0001, 0x8001, 0x03FF, 0x0000, 0x8000], np.uint16)
    data = np.random.default_rng(8).integers(0, 256, (81, dtype.info.nbytes), np.uint8)
    pairs = np.stack(np.meshgrid(special, special), -1).reshape(-1, 2)
    for at in (0, 80, dtype.info.nbytes - 4, dtype.info.nbytes - 2):  # where types keep their f16 scales
        if at + 4 <= dtype.info.nbytes:
            data[:, at : at + 4] = pairs.view(np.uint8)
    with np.errstate(all="ignore"):
        want = gguf.quants.dequantize(data, gguf.GGMLQuantizationType[dtype.value])
    got = decode_chunk(chunk_of(dtype, data, 81, dtype.info.block))
    assert same_bits(got, want.astype(np.float32))


@pytest.mark.parametrize("path", sorted((FIXTURES / "llama-tiny256/gguf").glob("*.gguf")), ids=lambda path: path.stem)
def test_real_files_decode_as_in_the_gguf_package(path) -> None:
    for tensor in gguf.GGUFReader(path).tensors:
        if tensor.tensor_type.name == "F32":
            continue
        columns = int(tensor.shape[0])
        rows = tensor.n_elements // columns
        want = gguf.quants.dequantize(np.asarray(tensor.data), tensor.tensor_type).reshape(rows, columns)
        got = decode_chunk(chunk_of(DType(tensor.tensor_type.name), np.asarray(tensor.data), rows, columns))
        assert same_bits(got, want), tensor.name


def test_q8_k_decodes_as_in_ggml() -> None:
    data = np.random.default_rng(1).integers(0, 256, (8, 292), np.uint8)
    data[:, :4] = np.random.default_rng(2).standard_normal((8, 1)).astype(np.float32).view(np.uint8)
    assert same_bits(decode_chunk(chunk_of(DType.Q8_K, data, 8, 256)), ggml_decode(DType.Q8_K, data, 256))


def test_q8_1_decodes_what_ggml_encoded() -> None:
    x = np.random.default_rng(1).standard_normal((8, 32)).astype(np.float32)
    data = np.zeros((8, 36), np.uint8)
    encode = ggml_library().quantize_row_q8_1_ref
    encode.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64]
    encode(x.ctypes.data, data.ctypes.data, x.size)
    got = decode_chunk(chunk_of(DType.Q8_1, data, 8, 32))
    q8_0 = np.ascontiguousarray(np.delete(data, [2, 3], axis=1))  # Q8_0 is Q8_1 without the sum
    assert same_bits(got, ggml_decode(DType.Q8_0, q8_0, 32))


def test_padded_rows_lose_their_padding() -> None:
    x = np.zeros((3, 512), np.float32)
    x[:, :300] = np.random.default_rng(2).standard_normal((3, 300))
    data = ggml_encode(DType.Q4_K, x)
    got = decode_chunk(chunk_of(DType.Q4_K, data, 3, 300))
    assert same_bits(got, np.ascontiguousarray(ggml_decode(DType.Q4_K, data, 512)[:, :300]))


def test_more_blocks_than_fit_into_one_step() -> None:
    data = np.tile(ggml_encode(DType.Q8_0, np.eye(32, dtype=np.float32)), 2048)
    got = decode_chunk(chunk_of(DType.Q8_0, data, 2048, 1024))
    assert same_bits(got, ggml_decode(DType.Q8_0, data, 1024))


TORCH_TYPES = {
    DType.F32: torch.float32,
    DType.F16: torch.float16,
    DType.BF16: torch.bfloat16,
    DType.F8_E4M3: torch.float8_e4m3fn,
    DType.F8_E5M2: torch.float8_e5m2,
    DType.F8_E8M0: torch.float8_e8m0fnu,
    DType.I16: torch.int16,
    DType.U16: torch.uint16,
    DType.I8: torch.int8,
    DType.U8: torch.uint8,
    DType.F64: torch.float64,
    DType.I32: torch.int32,
    DType.U32: torch.uint32,
    DType.I64: torch.int64,
    DType.U64: torch.uint64,
}


@pytest.mark.parametrize("dtype", TORCH_TYPES)
def test_plain_types_decode_as_in_torch(dtype: DType) -> None:
    every_code = np.arange(1 << 16, dtype=np.uint16).view(np.uint8)
    wide = np.random.default_rng(4).integers(0, 256, 8 << 12, np.uint8)
    data = every_code if dtype.info.nbytes <= 2 else wide
    want = torch.from_numpy(data.copy()).view(TORCH_TYPES[dtype])
    double = dtype in (DType.F64, DType.I32, DType.U32, DType.I64, DType.U64)
    want = want.to(torch.float64 if double else torch.float32).numpy()
    got = decode_chunk(chunk_of(dtype, data, 2, data.size // dtype.info.nbytes // 2)).ravel()
    assert got.dtype == want.dtype
    assert np.array_equal(got, want, equal_nan=got.dtype.kind == "f")
    assert np.array_equal(np.signbit(got[got == 0]), np.signbit(want[want == 0]))


def test_bf16_keeps_the_bits_of_a_nan() -> None:
    got = decode_chunk(chunk_of(DType.BF16, np.array([0x7F81, 0xFFC1], np.uint16), 1, 2))
    assert got.view(np.uint32).ravel().tolist() == [0x7F810000, 0xFFC10000]


def test_f4_has_the_values_of_mxfp4_and_the_first_element_in_the_low_nibble() -> None:
    got = decode_chunk(chunk_of(DType.F4, np.array([0x10, 0x32, 0x54, 0x76, 0x98, 0xBA, 0xDC, 0xFE], np.uint8), 1, 16))
    assert got.ravel().tolist() == [value / 2 for value in gguf.quants.MXFP4.kvalues]
    assert np.signbit(got[0, 8])


def six_bit_codes(codes: list[int]) -> np.ndarray:
    bits = sum(code << (6 * i) for i, code in enumerate(codes))
    return np.frombuffer(bits.to_bytes(len(codes) * 6 // 8, "little"), np.uint8)


# OCP MX v1.0, table 4: largest normal, smallest normal, largest and smallest sub-normal of the six-bit types
@pytest.mark.parametrize(
    ("dtype", "values"), [(DType.F6_E2M3, (7.5, 1.0, 0.875, 0.125)), (DType.F6_E3M2, (28.0, 0.25, 0.1875, 0.0625))]
)
def test_f6_has_the_values_of_the_specification(dtype: DType, values: tuple[float, ...]) -> None:
    mantissa = 3 if dtype == DType.F6_E2M3 else 2
    codes = [31, 1 << mantissa, (1 << mantissa) - 1, 1, 63, 32, 0, 0]
    got = decode_chunk(chunk_of(dtype, six_bit_codes(codes), 2, 4)).ravel()
    assert got[:4].tolist() == list(values)
    assert got[4] == -values[0]
    assert np.signbit(got[5]) and got[5] == 0


def test_bool_keeps_invalid_bytes_visible() -> None:
    assert decode_chunk(chunk_of(DType.BOOL, np.array([0, 1, 2], np.uint8), 1, 3)).tolist() == [[0, 1, 2]]


def test_an_f32_chunk_at_an_odd_address() -> None:
    buffer = np.zeros(17, np.uint8)
    buffer[1:] = np.arange(4, dtype=np.float32).view(np.uint8)
    got = decode_chunk(Chunk(DType.F32, buffer[1:], 2, 2, 8))
    assert got.flags.aligned and got.tolist() == [[0, 1], [2, 3]]


def test_complex_numbers_are_refused() -> None:
    with pytest.raises(AprtuiError, match="complex"):
        decode_chunk(chunk_of(DType.C64, np.zeros(8, np.uint8), 1, 1))


def test_an_old_gguf_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def without_nvfp4(*_: object) -> None:
        raise NotImplementedError

    monkeypatch.setattr(gguf.quants, "dequantize", without_nvfp4)
    with pytest.raises(AprtuiError, match="cannot decode NVFP4; install a newer gguf"):
        decode_chunk(chunk_of(DType.NVFP4, np.zeros(36, np.uint8), 1, 64))


def test_without_numba_blocks_are_read_and_encoding_says_what_is_missing() -> None:
    script = """
import sys
sys.modules["numba"] = None
import numpy as np
from aprtui.core.dtypes import DType
from aprtui.core.errors import AprtuiError
from aprtui.formats.chunk import Chunk
from aprtui.formats.codecs.decode import decode_chunk
from aprtui.formats.codecs.encode import encode
print(decode_chunk(Chunk(DType.Q8_0, np.full(34, 60, np.uint8), 1, 32, 34))[0, 0])
try:
    encode(DType.Q8_0, np.zeros((1, 32), np.float32))
except AprtuiError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    scale = float(np.array(0x3C3C, np.uint16).view(np.float16))
    value, message = done.stdout.splitlines()
    assert float(value) == scale * 60
    assert "without numba; install numba" in message


def test_apr_types_run_on_across_rows() -> None:
    x = np.random.default_rng(6).standard_normal((3, 15)).astype(np.float32)
    raw = encode(DType.APR_Q4, x)
    assert raw.size == 2 * 18
    got = decode_chunk(Chunk(DType.APR_Q4, raw, 3, 15, 0))
    scales = raw.reshape(2, 18)[:, :2].copy().view(np.float16).astype(np.float32).repeat(32)[:45].reshape(3, 15)
    assert got.shape == (3, 15) and np.all(np.abs(got - x) <= 0.51 * scales)
    codes = np.arange(-60, 60, dtype=np.int8)
    got = decode_chunk(Chunk(DType.APR_Q8, codes.view(np.uint8), 3, 40, 0, scale=0.25))
    assert np.array_equal(got, codes.reshape(3, 40) * np.float32(0.25))


def test_a_damaged_apr_q4_scale_is_decoded_without_a_warning() -> None:
    raw = np.full(18, 0x88, np.uint8)
    raw[:2] = np.array([np.inf], np.float16).view(np.uint8)
    assert np.isnan(decode_chunk(Chunk(DType.APR_Q4, raw, 1, 32, 0))).all()
