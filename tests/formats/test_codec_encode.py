"""Encoding: byte-identical to ggml's own quantisers, on many kinds of values and on files that llama-quantize made."""

import gguf
import numpy as np
import pytest
import torch
from fixture_files import FIXTURES
from ggml_oracle import ggml_bf16, ggml_encode

from aprtui.core.dtypes import DType
from aprtui.core.errors import AprtuiError
from aprtui.formats.chunk import Chunk
from aprtui.formats.codecs.decode import decode_chunk
from aprtui.formats.codecs.encode import ENCODABLE, encode
from aprtui.formats.codecs.encoders.arithmetic import f16_bits, f16_value, nearest_int, round_half_away

BLOCK_TYPES = [dtype for dtype in DType if dtype in ENCODABLE and dtype.info.block > 1 and dtype != DType.APR_Q4]
FILES = ["Q2_K", "Q3_K_M", "Q4_0", "Q4_1", "Q4_K_M", "Q5_0", "Q5_1", "Q5_K_M", "Q6_K", "Q8_0", "f16", "bf16"]


def sources(rows: int, columns: int) -> dict[str, np.ndarray]:
    r = np.random.default_rng(0)
    shape = (rows, columns)

    def normal() -> np.ndarray:
        return r.standard_normal(shape)

    outliers = normal() * 0.02
    outliers[np.arange(rows), r.integers(0, columns, rows)] *= 100
    one = np.zeros(shape)
    one[:, ::256] = normal()[:, ::256]
    bits = r.integers(0, 1 << 32, shape, np.uint32).view(np.float32)
    values = {f"gauss {scale:g}": normal() * scale for scale in (1, 0.02, 1e-4)}
    values |= {
        f"gauss {scale:g}": normal() * scale for scale in (1e-6, 1e-10, 1e-16, 1e-30, 1e-40, 1e4, 1e9, 1e25, 1e37)
    }
    values |= {
        "laplace": r.laplace(size=shape) * 0.02,
        "t4": r.standard_t(4, shape) * 0.02,
        "uniform": r.uniform(-0.05, 0.05, shape),
        "positive": np.abs(normal()),
        "log-normal": normal() * np.exp(4 * normal()),
        "constant": np.full(shape, 0.731),
        "negative constant": np.full(shape, -0.731),
        "outliers": outliers,
        "sparse 90 %": normal() * (r.random(shape) < 0.1),
        "sparse 97 %": normal() * (r.random(shape) < 0.03),
        "two values": np.sign(normal()) * 0.02,
        "largest floats": np.sign(normal()) * 3.4e38,
        "zeros": np.zeros(shape),
        "negative zeros": -np.zeros(shape),
        "one non-zero": one,
        "halves": r.integers(-16, 17, shape) / 2,
        "any bits": np.where(np.isfinite(bits), bits, np.float32(0)),
    }
    return {name: x.astype(np.float32) for name, x in values.items()}


@pytest.mark.parametrize("dtype", BLOCK_TYPES)
def test_bytes_are_those_of_ggml(dtype: DType) -> None:
    different = {name: int((encode(dtype, x) != ggml_encode(dtype, x)).sum()) for name, x in sources(64, 512).items()}
    assert not {name: count for name, count in different.items() if count}


@pytest.mark.parametrize("name", FILES)
def test_bytes_are_those_of_llama_quantize(name: str) -> None:
    folder = FIXTURES / "llama-tiny256/gguf"
    floats = {tensor.name: tensor for tensor in gguf.GGUFReader(folder / "f32.gguf").tensors}
    seen = set()
    for tensor in gguf.GGUFReader(folder / f"{name}.gguf").tensors:
        dtype = DType(tensor.tensor_type.name)
        if dtype == DType.F32:
            continue
        x = np.asarray(floats[tensor.name].data).reshape(-1, int(tensor.shape[0]))
        assert np.array_equal(encode(dtype, x), np.asarray(tensor.data).view(np.uint8).ravel()), tensor.name
        seen.add(dtype)
    assert seen


def float_bits() -> np.ndarray:
    """float32 of every f16, halfway to the next one, and their neighbours; random bits; NaNs of every kind."""
    with np.errstate(all="ignore"):
        halves = np.arange(1 << 16, dtype=np.uint16).view(np.float16).astype(np.float32)
        midpoints = (halves[1:].astype(np.float64) + halves[:-1]).astype(np.float32) / 2
        near = np.concatenate([np.nextafter(midpoints, np.float32(side)) for side in (-np.inf, np.inf)])
    random = np.random.default_rng(5).integers(0, 1 << 32, 1 << 18, np.uint32).view(np.float32)
    special = np.array([0x7F800001, 0xFF800001, 0x7FFFFFFF, 0x7F7FFFFF, 0x00000001, 0x80008000], np.uint32)
    return np.concatenate([halves, midpoints, near, random, special.view(np.float32)])


def test_f16_rounding_is_numpys_and_the_way_back_too() -> None:
    x = float_bits()
    x = x[~np.isnan(x)]
    with np.errstate(over="ignore"):
        want = x.astype(np.float16).view(np.uint16)
    assert np.array_equal(encode(DType.F16, x[None]).view(np.uint16), want)
    assert all(f16_bits(value) == bits for value, bits in zip(x[::7], want[::7].tolist(), strict=True))
    finite = np.arange(0x7C01, dtype=np.uint16)
    assert all(f16_value(int(bits)) == value for bits, value in zip(finite, finite.view(np.float16), strict=True))
    assert f16_bits(np.float32(np.nan)) & 0x7FFF == 0x7E00
    assert np.isnan(f16_value(0x7E00))


def test_bf16_is_ggmls_and_torchs() -> None:
    x = float_bits()
    got = encode(DType.BF16, x[None]).view(np.uint16)
    assert np.array_equal(got, ggml_bf16(x))
    assert np.array_equal(got, gguf.quants.quantize(x[None], gguf.GGMLQuantizationType.BF16).view(np.uint16).ravel())
    number = ~np.isnan(x)
    by_torch = torch.from_numpy(x).to(torch.bfloat16).view(torch.uint16).numpy()
    assert np.array_equal(got[number], by_torch[number])


def test_f32_keeps_every_bit() -> None:
    x = float_bits()
    assert encode(DType.F32, x[None]).tobytes() == x.tobytes()


def test_rounding_of_halves() -> None:
    x = np.array([0.5, 1.5, 2.5, -0.5, -1.5, 0.49999997, -0.49999997, 126.5], np.float32)
    assert [nearest_int(value) for value in x] == [0, 2, 2, 0, -2, 0, 0, 126]
    assert [float(round_half_away(value)) for value in x] == [1, 2, 3, -1, -2, 0, 0, 127]


def test_padded_rows() -> None:
    x = np.random.default_rng(2).standard_normal((3, 300)).astype(np.float32)
    raw = encode(DType.Q6_K, x, padded_rows=True)
    assert np.array_equal(raw, ggml_encode(DType.Q6_K, np.pad(x, ((0, 0), (0, 212)))))
    assert decode_chunk(Chunk(DType.Q6_K, raw, 3, 300, 420)).shape == (3, 300)


def test_rows_that_do_not_fill_blocks_are_refused() -> None:
    with pytest.raises(AprtuiError, match="rows of 300 elements do not fill Q6_K blocks of 256"):
        encode(DType.Q6_K, np.zeros((3, 300), np.float32))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_block_types_refuse_what_is_not_a_number(bad: float) -> None:
    with pytest.raises(AprtuiError, match="infinities or NaN"):
        encode(DType.Q8_0, np.full((1, 32), bad, np.float32))


@pytest.mark.parametrize("dtype", [DType.IQ4_NL, DType.I32, DType.APR_Q8])
def test_types_without_an_encoder_are_named(dtype: DType) -> None:
    with pytest.raises(AprtuiError, match=f"no encoder for {dtype}"):
        encode(dtype, np.zeros((1, 256), np.float32))
