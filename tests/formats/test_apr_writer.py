"""The APR writer, held against an independent reader and against files that apr 0.72.3 wrote."""

import zlib
from pathlib import Path

import numpy as np
import pytest
from apr_by_hand import parse
from fixture_files import FIXTURES

from aprtui.core.dtypes import DType
from aprtui.core.errors import AprtuiError
from aprtui.formats.apr import check_footer, read_apr, write_apr
from aprtui.formats.bytes import tensor_bytes
from aprtui.formats.output import TensorToWrite

REAL = sorted((FIXTURES / "apr/0.72.3").rglob("*.apr"))

# Code and bytes of a [3, 40] tensor, from the format's description.
WRITTEN = {
    DType.F32: (0, 480),
    DType.F16: (1, 240),
    DType.BF16: (30, 240),
    DType.F64: (3, 960),
    DType.I32: (4, 480),
    DType.I64: (5, 960),
    DType.I8: (6, 120),
    DType.U8: (7, 120),
    DType.Q4_K: (12, 3 * 144),
    DType.Q6_K: (14, 3 * 210),
    DType.APR_Q4: (128, 4 * 18),
    DType.APR_Q8: (129, 124),
}


def tensor(name: str, dtype: DType, nbytes: int, shape: tuple[int, ...] = (3, 40)) -> TensorToWrite:
    raw = np.random.default_rng(len(name)).integers(0, 256, nbytes, np.uint8)
    return TensorToWrite(name, dtype, shape, iter([raw[:50], raw[50:].tobytes()]))


def test_every_field_of_a_written_file(tmp_path: Path) -> None:
    path = tmp_path / "model.apr"
    metadata = {
        "model_type": "qwen2",
        "hidden_size": 64,
        "rope_theta": 1e6,
        "tokenizer.vocabulary": ["ä", "\n"],
        "n": None,
    }
    write_apr(path, metadata, [tensor(f"{dtype.value}.weight", dtype, size) for dtype, (_, size) in WRITTEN.items()])
    raw = path.read_bytes()
    written = parse(raw)
    assert (written.major, written.minor, written.flags, written.reserved) == (2, 0, 0x0400, bytes(20))
    assert written.tensor_count == len(WRITTEN)
    assert written.metadata == metadata
    assert list(written.metadata) == list(metadata)
    assert written.metadata_offset == 64
    assert written.index_offset == -(-(64 + written.metadata_size) // 64) * 64
    assert not any(raw[64 + written.metadata_size : written.index_offset])
    assert written.data_offset == -(-written.index_end // 64) * 64
    assert not any(raw[written.index_end : written.data_offset])
    assert written.header_crc == zlib.crc32(raw[:40] + raw[44:64])
    assert written.footer_crc == zlib.crc32(raw[:-4])
    names = [record.name.encode() for record in written.records]
    assert names == sorted(names)
    expected = 0
    for record in written.records:
        dtype = DType(record.name.removesuffix(".weight"))
        assert (record.code, record.size) == WRITTEN[dtype]
        assert (record.shape, record.offset) == ((3, 40), expected)
        source = np.random.default_rng(len(record.name)).integers(0, 256, record.size, np.uint8)
        assert written.data(record.name) == source.tobytes()
        expected += -(-record.size // 64) * 64
    assert len(raw) == written.data_offset + expected + 4


def test_a_written_file_opens_without_findings(tmp_path: Path) -> None:
    path = tmp_path / "model.apr"
    write_apr(path, {}, [tensor(f"{dtype.value}.weight", dtype, size) for dtype, (_, size) in WRITTEN.items()])
    container = read_apr(path)
    assert container.findings == ()
    assert check_footer(path) is None
    assert {entry.dtype for entry in container.tensors} == set(WRITTEN)


@pytest.mark.parametrize("path", REAL, ids=lambda path: str(path.relative_to(FIXTURES / "apr/0.72.3")))
def test_a_rewritten_real_file_differs_in_nothing_but_the_spelling_of_numbers(path: Path, tmp_path: Path) -> None:
    real = read_apr(path)
    copy = tmp_path / "copy.apr"
    empty = {entry.name for entry in real.tensors if entry.is_placeholder}
    write_apr(
        copy,
        real.metadata,
        [
            TensorToWrite(entry.name, entry.dtype, entry.shape, [] if entry.name in empty else [tensor_bytes(entry)])
            for entry in reversed(real.tensors)
        ],
        placeholders=empty,
    )
    before, after = parse(path.read_bytes()), parse(copy.read_bytes())
    assert after.metadata == before.metadata
    assert after.records == before.records
    # From the index on, the bytes are the same; in front of it, 9.99e-7 may be written 9.99e-07.
    assert after.raw[after.index_offset : -4] == before.raw[before.index_offset : -4]
    assert read_apr(copy).findings == ()


def test_chunks_are_asked_for_only_when_they_are_written(tmp_path: Path) -> None:
    path, asked = tmp_path / "model.apr", []

    def chunks(name: str):
        asked.append(name)
        yield bytes(4)

    write_apr(path, {}, [(name, DType.F32, (1,), chunks(name)) for name in ("b", "a", "c")])
    assert asked == ["a", "b", "c"]
    assert not list(tmp_path.glob("*.partial"))


def test_scalars_and_empty_tensors(tmp_path: Path) -> None:
    path = tmp_path / "model.apr"
    write_apr(path, {}, [("s", DType.F32, (), [bytes(4)]), ("e", DType.APR_Q8, (0, 4), [])])
    assert [(record.name, record.size) for record in parse(path.read_bytes()).records] == [("e", 0), ("s", 4)]
    assert read_apr(path).findings == ()


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        (("a", DType.Q8_0, (2, 32), [bytes(68)]), "APR has no type Q8_0"),
        (("a", DType.Q5_K, (2, 256), [bytes(352)]), "APR has no type Q5_K"),
        (("a", DType.F32, (1,) * 9, [bytes(4)]), "APR has at most 8"),
        (("a" * 257, DType.F32, (1,), [bytes(4)]), "longer than 256 bytes"),
        (("\udcff", DType.F32, (1,), [bytes(4)]), "not text that UTF-8 can hold"),
        (("a", DType.F32, (2,), [bytes(4)]), "4 bytes were given where F32 of shape .* takes 8"),
        (("a", DType.F32, (2,), [bytes(8), b"x"]), "more than 8 bytes were given"),
        (("z", DType.F32, (1,), [bytes(4)]), "the tensor is there more than once"),
    ],
)
def test_what_cannot_be_written(tmp_path: Path, entry, expected: str) -> None:
    path = tmp_path / "model.apr"
    with pytest.raises(AprtuiError, match=expected):
        write_apr(path, {}, [entry, ("z", DType.F32, (1,), [bytes(4)])])
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("value", [float("nan"), b"raw", "\udcff"])
def test_metadata_that_cannot_be_written(tmp_path: Path, value: object) -> None:
    with pytest.raises(AprtuiError, match="the metadata cannot be stored as JSON"):
        write_apr(tmp_path / "model.apr", {"key": value}, [])
