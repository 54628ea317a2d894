"""No false alarms: ggml's own encoders and AprQ4's formula on every distribution, and the files of real converters."""

import struct
from pathlib import Path

import gguf
import numpy as np
import pytest
from certificate_samples import BLOCK_TYPES, WEIGHTED_TYPES, as_chunk, certify, distributions, encode, importance
from fixture_files import FIXTURES
from safetensors.torch import load_file

from aprtui.compare.certificate import Certifier, is_certified
from aprtui.core.dtypes import DType
from aprtui.core.statistics import CertificateScalars
from aprtui.formats.chunk import Chunk
from aprtui.formats.codecs.apr import encode_apr_q4
from aprtui.formats.codecs.block_layout import LAYOUTS, get_codes, put_codes

ROWS, COLUMNS = 32, 1024
SOURCES = distributions(ROWS, COLUMNS)
WEIGHTS = importance(COLUMNS)


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("dtype", BLOCK_TYPES)
def test_encoders_without_importance_matrix_are_certified(dtype, source):
    x = SOURCES[source]
    result, flags = certify(dtype, x, encode(dtype, x))
    assert result.violations == 0
    assert result.first_violation == -1
    assert not flags.any_clause.any()
    assert result.blocks == x.size // dtype.info.block
    assert not result.unknown_weights


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("dtype", WEIGHTED_TYPES)
@pytest.mark.parametrize("weights", WEIGHTS)
def test_encoders_with_importance_matrix_are_certified(dtype, source, weights):
    x = SOURCES[source]
    result, flags = certify(dtype, x, encode(dtype, x, WEIGHTS[weights]), weights=True)
    assert result.violations == 0
    assert not flags.any_clause.any()


def test_plain_clauses_are_tried_before_those_with_unknown_weights():
    x = SOURCES["gauss .02"]
    plain, _ = certify(DType.Q4_0, x, encode(DType.Q4_0, x), weights=True)
    fitted, _ = certify(DType.Q4_0, x, encode(DType.Q4_0, x, WEIGHTS["uniform"]), weights=True)
    undeclared, _ = certify(DType.Q4_0, x, encode(DType.Q4_0, x, WEIGHTS["uniform"]))
    assert (plain.violations, plain.unknown_weights) == (0, False)
    assert (fitted.violations, fitted.unknown_weights) == (0, True)
    assert undeclared.violations > 0


def _floats(t: gguf.ReaderTensor) -> np.ndarray:
    data = np.asarray(t.data)
    if t.tensor_type.name == "BF16":
        return (data.view(np.uint16).astype(np.uint32) << 16).view(np.float32).reshape(-1, int(t.shape[0]))
    return data.astype(np.float32).reshape(-1, int(t.shape[0]))


def _certify_gguf(path: Path, source: Path) -> tuple[list[CertificateScalars], bool]:
    floats = {t.name: t for t in gguf.GGUFReader(source).tensors}
    reader = gguf.GGUFReader(path)
    weights = any(key.startswith("quantize.imatrix") for key in reader.fields)
    results = []
    for t in reader.tensors:
        if t.tensor_type.name in DType.__members__ and is_certified(DType(t.tensor_type.name)):
            raw = np.ascontiguousarray(t.data).reshape(-1).view(np.uint8)
            results.append(certify(DType(t.tensor_type.name), _floats(floats[t.name]), raw, weights=weights)[0])
    return results, weights


GGUFS = sorted(
    path.relative_to(FIXTURES).as_posix()
    for path in FIXTURES.glob("*/gguf/*.gguf")
    if path.stem not in ("f32", "f16", "bf16")
)


@pytest.mark.parametrize("name", GGUFS)
def test_files_of_llama_quantize_are_certified(name):
    folder = (FIXTURES / name).parent
    source = next(path for path in (folder / "f32.gguf", folder / "bf16.gguf") if path.exists())
    results, weights = _certify_gguf(FIXTURES / name, source)
    assert results
    assert all(result.violations == 0 for result in results)
    assert weights == ("imatrix" in name)
    assert weights or not any(result.unknown_weights for result in results)
    if name.endswith("imatrix-Q4_0.gguf"):  # its K types happen to pass the plain clauses
        assert any(result.unknown_weights for result in results)


APR_CODES = {8: DType.APR_Q4, 128: DType.APR_Q4, 9: DType.APR_Q8, 129: DType.APR_Q8, 12: DType.Q4_K}
APR_FILES = sorted(
    path.relative_to(FIXTURES).as_posix()
    for quantisation in ("int4", "int8", "q4k")
    for path in FIXTURES.glob(f"apr/*/*/s-*-{quantisation}.apr")
    if path.read_bytes()[:3] == b"APR"
)


def _apr_tensors(path: Path) -> dict[str, tuple[int, tuple[int, ...], np.ndarray]]:
    """Name to type code, shape and bytes: header and index as aprender's v2 writer lays them out."""
    data = path.read_bytes()
    (count,) = struct.unpack_from("<I", data, 8)
    at, base = struct.unpack_from("<QQ", data, 24)
    tensors = {}
    for _ in range(count):
        (length,) = struct.unpack_from("<H", data, at)
        name = data[at + 2 : at + 2 + length].decode()
        code, dims = data[at + 2 + length], data[at + 3 + length]
        at += 4 + length
        shape = struct.unpack_from(f"<{dims}Q", data, at)
        offset, size = struct.unpack_from("<QQ", data, at + 8 * dims)
        at += 8 * dims + 16
        tensors[name] = code, shape, np.frombuffer(data, np.uint8, size, base + offset)
    return tensors


@pytest.mark.parametrize("name", APR_FILES)
def test_files_of_apr_are_certified(name):
    model = Path(name).parent.name
    source = {key: t.float().numpy() for key, t in load_file(FIXTURES / model / "hf" / "model.safetensors").items()}
    checked = 0
    for tensor, (code, _, raw) in _apr_tensors(FIXTURES / name).items():
        if code not in APR_CODES or not len(raw):
            continue
        dtype = APR_CODES[code]
        key = next((k for k in (tensor, f"model.{tensor}") if k in source), "model.embed_tokens.weight")
        x = source[key].reshape(-1, source[key].shape[-1])
        scale = float(raw[:4].view("<f4")[0]) if dtype is DType.APR_Q8 else 1.0
        result, _ = certify(dtype, x, raw[dtype.info.header :], scale=scale)
        assert result.violations == 0, tensor
        checked += 1
    assert checked


def test_chunks_add_up_to_the_whole_tensor():
    x = SOURCES["t4"]
    for dtype in (DType.Q4_K, DType.APR_Q4, DType.Q5_1):
        raw = encode(dtype, x).copy()
        raw[40] ^= 0xFF
        whole, _ = certify(dtype, x, raw)
        certifier, per_row = Certifier(dtype), len(raw) // ROWS
        for start in range(0, ROWS, 8):
            part = raw[start * per_row : (start + 8) * per_row]
            certifier.update(x[start : start + 8], as_chunk(dtype, part, 8, COLUMNS))
        assert certifier.result() == whole
        assert whole.first_violation == 40


@pytest.mark.parametrize("columns", [1, 31, 33, 50])
def test_what_the_last_block_of_apr_q4_lacks_is_not_judged(columns):
    """apr leaves the bits of elements that are not there zero, the lowest code; those that are there count."""
    x = np.random.default_rng(columns).normal(0, 0.05, (5, columns)).astype(np.float32)
    raw = encode_apr_q4(x)
    for compiled in (True, False):
        certifier = Certifier(DType.APR_Q4, compiled=compiled)
        certifier.update(x, Chunk(DType.APR_Q4, raw.reshape(-1), 5, columns, 0))
        assert certifier.result().violations == 0
    layout = LAYOUTS[DType.APR_Q4]
    codes = get_codes(layout, raw[-1:])
    last = (x.size - 1) % 32
    codes[0, last] = (codes[0, last] + 7) % 15
    put_codes(layout, raw[-1:], codes)
    certifier = Certifier(DType.APR_Q4)
    certifier.update(x, Chunk(DType.APR_Q4, raw.reshape(-1), 5, columns, 0))
    assert certifier.result().code_violations == 1
    assert (get_codes(layout, raw[-1:])[0, last + 1 :] == 0).all()


def test_rows_that_do_not_fill_blocks_are_padded_with_zeros():
    x = SOURCES["gauss .02"][:, :300]
    padded = np.pad(x, ((0, 0), (0, 212)))
    assert certify(DType.Q4_K, x, encode(DType.Q4_K, padded))[0].violations == 0
    flat = np.pad(x.reshape(-1), (0, -x.size % 32)).reshape(1, -1)
    assert certify(DType.APR_Q4, x, encode(DType.APR_Q4, flat))[0].violations == 0


@pytest.mark.parametrize("dtype", [*BLOCK_TYPES, DType.APR_Q8])
def test_a_tensor_without_elements_has_no_violations(dtype):
    for compiled in (True, False):
        result, _ = certify(dtype, np.zeros((0, 512), np.float32), np.zeros(0, np.uint8), compiled=compiled)
        assert (result.blocks, result.violations) == (0, 0)
