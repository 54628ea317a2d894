"""apr's own encodings: byte-identical to the files of apr 0.72.3, and what 0.2.11 did otherwise."""

import numpy as np
import pytest
from apr_by_hand import Parsed, parse
from fixture_files import FIXTURES
from safetensors.torch import load_file

from aprtui.core.dtypes import DType
from aprtui.formats.apr import read_apr
from aprtui.formats.codecs import decode_chunk
from aprtui.formats.codecs.apr import (
    apr_q8_codes,
    apr_q8_scale,
    decode_apr_q4,
    decode_apr_q8,
    encode_apr_q4,
)
from aprtui.formats.views import Stored

MODELS = ["qwen2-tiny", "llama-tiny256"]
VERSIONS = ["0.72.3", "0.2.11"]


def encode_apr_q8(values: np.ndarray) -> tuple[np.float32, np.ndarray]:
    """Scale and codes of a whole tensor."""
    scale = apr_q8_scale(np.abs(values).max(initial=0))
    return scale, apr_q8_codes(values, scale)


def pairs(version: str, model: str, outtype: str):
    """Source values and stored bytes of every tensor in one of apr's own types."""
    source = {
        name: values.float().numpy() for name, values in load_file(FIXTURES / model / "hf/model.safetensors").items()
    }
    source.setdefault("lm_head.weight", source["model.embed_tokens.weight"])
    source |= {name.removeprefix("model."): values for name, values in source.items()}
    stored: Parsed = parse((FIXTURES / "apr" / version / model / f"s-import-{outtype}.apr").read_bytes())
    own = [record for record in stored.records if record.code in (8, 9, 128, 129)]
    assert len(own) > 10
    for record in own:
        yield record.name, source[record.name], np.frombuffer(stored.data(record.name), np.uint8)


@pytest.mark.parametrize("model", MODELS)
def test_q4_is_what_apr_wrote(model: str) -> None:
    for name, values, stored in pairs("0.72.3", model, "int4"):
        assert encode_apr_q4(values).tobytes() == stored.tobytes(), name


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("model", MODELS)
def test_q8_is_what_apr_wrote(model: str, version: str) -> None:
    for name, values, stored in pairs(version, model, "int8"):
        scale, codes = encode_apr_q8(values)
        assert scale.tobytes() + codes.tobytes() == stored.tobytes(), name


@pytest.mark.parametrize("model", MODELS)
def test_0_2_11_cuts_the_scale_of_q4_where_0_72_3_rounds_it(model: str) -> None:
    cut = 0
    for name, values, stored in pairs("0.2.11", model, "int4"):
        ours, theirs = encode_apr_q4(values), stored.reshape(-1, 18)
        assert np.array_equal(ours[:, 2:], theirs[:, 2:]), name
        difference = ours[:, :2].copy().view("<u2").astype(int) - theirs[:, :2].copy().view("<u2")
        assert set(np.unique(difference)) <= {0, 1}, name
        cut += int(difference.sum())
    assert cut > 1000


@pytest.mark.parametrize("model", MODELS)
def test_q4_decodes_to_scale_times_code(model: str) -> None:
    for _, values, stored in pairs("0.72.3", model, "int4"):
        blocks = stored.reshape(-1, 18)
        decoded = decode_apr_q4(blocks)
        for block in (0, len(blocks) - 1):
            scale = float(np.frombuffer(blocks[block, :2].tobytes(), "<f2")[0])
            nibbles = [nibble for byte in blocks[block, 2:].tolist() for nibble in (byte & 15, byte >> 4)]
            assert decoded[block].tolist() == [scale * (nibble - 8) for nibble in nibbles]
        steps = np.abs(values.reshape(-1, 32)).max(axis=1, keepdims=True) / 7
        assert (np.abs(decoded - values.reshape(-1, 32)) <= 0.505 * steps).all()


@pytest.mark.parametrize("model", MODELS)
def test_q8_decodes_to_scale_times_code(model: str) -> None:
    for _, values, stored in pairs("0.72.3", model, "int8"):
        scale = np.frombuffer(stored[:4].tobytes(), "<f4")[0]
        decoded = decode_apr_q8(stored[4:].view(np.int8).reshape(values.shape), scale)
        assert decoded.shape == values.shape
        assert (np.abs(decoded - values) <= 0.5001 * scale).all()


@pytest.mark.parametrize("outtype", ["int4", "int8"])
def test_views_and_chunks_decode_the_same_values(outtype: str) -> None:
    container = read_apr(FIXTURES / f"apr/0.72.3/qwen2-tiny/s-import-{outtype}.apr")
    tensors = {tensor.name: tensor for tensor in container.tensors}
    for name, _, stored in pairs("0.72.3", "qwen2-tiny", outtype):
        tensor = tensors[name]
        if tensor.dtype is DType.APR_Q4:
            expected = decode_apr_q4(stored.reshape(-1, 18))
        else:
            expected = decode_apr_q8(stored[4:].view(np.int8), np.frombuffer(stored[:4].tobytes(), "<f4")[0])
        chunk = Stored(tensor).read(0, tensor.elements)
        assert np.array_equal(decode_chunk(chunk).ravel(), expected.ravel())


def test_pieces_of_a_tensor_get_the_codes_of_the_whole() -> None:
    values = np.random.default_rng(0).standard_normal((7, 33)).astype(np.float32)
    scale, codes = encode_apr_q8(values)
    assert scale == apr_q8_scale(float(np.abs(values).max()))
    assert np.array_equal(np.concatenate([apr_q8_codes(values[:2], scale), apr_q8_codes(values[2:], scale)]), codes)


def test_zeros_have_a_scale_of_one() -> None:
    """`if max_abs == 0.0 { 1.0 }` in aprender's writer."""
    block = encode_apr_q4(np.zeros(32, np.float32))
    assert block[:, :2].view("<f2").item() == 1
    assert (block[:, 2:] == 0x88).all()
    assert (decode_apr_q4(block) == 0).all()
    scale, codes = encode_apr_q8(np.zeros((2, 3), np.float32))
    assert (scale, codes.tolist()) == (1, [[0, 0, 0], [0, 0, 0]])


def test_the_rest_of_a_last_block_is_zero_bits() -> None:
    block = encode_apr_q4(np.array([7, -7, 3], np.float32))
    assert block.tolist() == [[0x00, 0x3C, 0x1F, 0x0B, *[0] * 14]]


@pytest.mark.parametrize("sign", [1, -1])
def test_ties_go_away_from_zero(sign: int) -> None:
    values = np.array([7, 0.5, 1.5, 2.5, np.nextafter(np.float32(0.5), np.float32(0))], np.float32) * sign
    codes = encode_apr_q4(values)[0, 2:5]
    assert [int(byte >> shift & 15) - 8 for byte in codes for shift in (0, 4)][:5] == [
        sign * x for x in (7, 1, 2, 3, 0)
    ]
    values = np.array([127, 0.5, 1.5, 2.5, np.nextafter(np.float32(0.5), np.float32(0))], np.float32) * sign
    assert encode_apr_q8(values)[1].tolist() == [sign * x for x in (127, 1, 2, 3, 0)]


def test_magnitudes_at_both_ends() -> None:
    tiny = np.full(32, 1e-45, np.float32)
    tiny[1], tiny[2] = -1e-45, 0
    block = encode_apr_q4(tiny)
    assert block[0, :2].view("<f2").item() == 0
    assert (block[0, 2:4] == [0x0F, 0xF8]).all()
    assert (decode_apr_q4(block) == 0).all()
    small = encode_apr_q4(np.linspace(-1e-4, 1e-4, 32, dtype=np.float32))
    assert 0 < small[0, :2].view("<f2").item() < 6.1e-5
    assert np.abs(decode_apr_q4(small)).max() == pytest.approx(1e-4, rel=1e-2)
    large = encode_apr_q8(np.array([3e38, -3e38], np.float32))
    assert large[1].tolist() == [127, -127]


def test_nothing_is_encoded_to_nothing() -> None:
    assert encode_apr_q4(np.empty((0, 4), np.float32)).shape == (0, 18)
    assert encode_apr_q8(np.empty(0, np.float32))[1].shape == (0,)
