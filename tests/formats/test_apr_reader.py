"""The APR reader on files that real apr versions wrote, and on files made by hand with one thing wrong each."""

import zlib
from dataclasses import replace
from pathlib import Path

import pytest
from apr_by_hand import Tensor, build, parse
from fixture_files import FIXTURES

from aprtui.core.dtypes import DType
from aprtui.core.errors import FormatError
from aprtui.core.outcomes import Severity
from aprtui.formats.apr import check_footer, read_apr
from aprtui.formats.bytes import tensor_bytes
from aprtui.formats.container import Container, Format

REAL = sorted(path for path in (FIXTURES / "apr").rglob("*.apr") if path.read_bytes()[:4] == b"APR\0")
NOT_APR = sorted(path for path in (FIXTURES / "apr").rglob("*.apr") if path.read_bytes()[:4] != b"APR\0")

# The codes that occur in the real files; 8 and 9 only in those of 0.2.11.
REAL_TYPES = {
    0: "F32",
    1: "F16",
    30: "BF16",
    12: "Q4_K",
    14: "Q6_K",
    8: "AprQ4",
    9: "AprQ8",
    128: "AprQ4",
    129: "AprQ8",
}

F32 = Tensor("a.weight", 0, (4, 4), bytes(range(64)))
OTHER = Tensor("b.weight", 0, (8,), bytes(32))


def relative(path: Path) -> str:
    return str(path.relative_to(FIXTURES / "apr"))


def opened(tmp_path: Path, raw: bytes) -> Container:
    path = tmp_path / "model.apr"
    path.write_bytes(raw)
    return read_apr(path)


def faults(container: Container) -> list[tuple[str, str]]:
    return [(found.subject, found.message) for found in container.findings if found.is_failure]


def notes(container: Container) -> list[str]:
    return [found.message for found in container.findings if found.severity is Severity.NOTE]


def test_the_real_files_are_there() -> None:
    assert len(REAL) == 34
    assert [relative(path) for path in NOT_APR] == [
        "0.2.11/qwen2-tiny/s-convert-int8.apr",
        "0.2.11/qwen2-tiny/s-convert.apr",
    ]


@pytest.mark.parametrize("path", REAL, ids=relative)
def test_real_files_hold_what_an_independent_reader_finds(path: Path) -> None:
    expected = parse(path.read_bytes())
    container = read_apr(path)
    assert (container.format, container.path, container.files) == (Format.APR, path, (path,))
    assert container.findings == ()
    assert container.metadata == expected.metadata
    tensors = {tensor.name: tensor for tensor in container.tensors}
    assert len(container.tensors) == expected.tensor_count
    for record in expected.records:
        tensor = tensors[record.name]
        assert (tensor.shape, tensor.nbytes) == (record.shape, record.size)
        assert tensor.offset == expected.data_offset + record.offset
        assert tensor.dtype.value == REAL_TYPES[record.code]
        assert tensor.readable
        assert tensor_bytes(tensor).tobytes() == expected.data(record.name)


@pytest.mark.parametrize("path", REAL, ids=relative)
def test_real_files_keep_every_rule_of_the_description(path: Path) -> None:
    raw = path.read_bytes()
    real = parse(raw)
    assert (real.major, real.minor, real.reserved) == (2, 0, bytes(20))
    assert real.flags == (0x0400 if "0.72.3" in path.parts else 0)
    assert real.header_crc == zlib.crc32(raw[:40] + raw[44:64])
    assert real.metadata_offset == 64
    assert real.index_offset == -(-(64 + real.metadata_size) // 64) * 64
    assert real.data_offset == -(-real.index_end // 64) * 64
    names = [record.name.encode() for record in real.records]
    assert names == sorted(names)
    assert all(record.offset % 64 == 0 for record in real.records)
    assert len(raw) % 64 == 4
    assert real.footer_crc == zlib.crc32(raw[:-4])
    assert check_footer(path) is None


@pytest.mark.parametrize("path", NOT_APR, ids=relative)
def test_safetensors_in_apr_clothes_are_refused_by_name(path: Path) -> None:
    with pytest.raises(FormatError, match="the content is SafeTensors, not APR"):
        read_apr(path)


@pytest.mark.parametrize(
    ("path", "version"),
    [
        (
            "0.72.3/qwen2-tiny/s-import.apr",
            "APR v2, flags 0x0400 (row-major), footer, most likely by aprender since 2026-02",
        ),
        (
            "0.2.11/qwen2-tiny/s-import.apr",
            "APR v2, flags 0x0000 (none), footer, most likely by aprender before 2026-02",
        ),
    ],
)
def test_version_and_writer(path: str, version: str) -> None:
    assert read_apr(FIXTURES / "apr" / path).version == version


def test_a_file_of_realizars(tmp_path: Path) -> None:
    container = opened(tmp_path, build([F32], flags=0x0020, footer=False))
    assert container.version == "APR v2, flags 0x0020 (quantized), no footer, most likely by realizar"
    assert container.findings == ()
    assert check_footer(container.path) is None


def test_padded_rows_are_known_by_their_size() -> None:
    container = read_apr(FIXTURES / "apr/0.72.3/qwen2-tiny/s-import-q4k.apr")
    padded = [tensor for tensor in container.tensors if tensor.dtype is DType.Q4_K]
    assert padded
    assert all(tensor.padded_rows and tensor.columns % 256 for tensor in padded)


def test_the_placeholder_of_a_tied_head_is_no_fault() -> None:
    container = read_apr(FIXTURES / "apr/0.72.3/qwen2-tiny/s-import.apr")
    head = next(tensor for tensor in container.tensors if tensor.name == "lm_head.weight")
    assert (head.is_placeholder, head.readable, head.dtype) == (True, True, DType.F32)


@pytest.mark.parametrize(
    ("metadata", "embedding"),
    [
        (b'{"tied_embeddings":false}', (4, 4)),
        (b"{}", (4, 4)),
        (b'{"tied_embeddings":true}', (2, 8)),
    ],
    ids=["untied", "not said", "no embedding of that shape"],
)
def test_a_head_without_bytes_is_a_fault_where_it_is_not_tied(
    tmp_path: Path, metadata: bytes, embedding: tuple[int, ...]
) -> None:
    head = Tensor("lm_head.weight", 0, (4, 4), b"")
    tensors = [replace(F32, name="model.embed_tokens.weight", shape=embedding), head]
    container = opened(tmp_path, build(tensors, metadata=metadata))
    assert faults(container) == [("lm_head.weight", "its size does not fit F32 of shape [4, 4]")]
    assert not next(tensor for tensor in container.tensors if tensor.name == "lm_head.weight").readable
    tied = [replace(tensors[0], shape=(4, 4)), head]
    assert faults(opened(tmp_path, build(tied, metadata=b'{"tied_embeddings":true}'))) == []


def test_a_wrong_header_checksum(tmp_path: Path) -> None:
    raw = bytearray(build([F32]))
    raw[40] ^= 1
    assert faults(opened(tmp_path, bytes(raw))) == [
        ("file", "the header's checksum is wrong; aprender refuses the file")
    ]


@pytest.mark.parametrize("place", ["header", "metadata", "data", "footer"])
def test_a_wrong_footer_checksum(tmp_path: Path, place: str) -> None:
    raw = bytearray((FIXTURES / "apr/0.72.3/qwen2-tiny/s-import.apr").read_bytes())
    at = {"header": 50, "metadata": 64 + 20, "data": len(raw) - 2000, "footer": len(raw) - 1}[place]
    raw[at] ^= 0x40
    path = tmp_path / "model.apr"
    path.write_bytes(raw)
    found = check_footer(path)
    assert found is not None
    assert found.is_failure
    assert (found.subject, found.place) == ("file", f"{path}, offset {len(raw) - 4}")
    assert found.message == "the checksum at the end of the file is wrong: bytes have changed since it was written"
    assert found.expected == f"{zlib.crc32(raw[:-4]):#010x}"


def test_what_a_missing_footer_and_bytes_of_nobody_are(tmp_path: Path) -> None:
    missing = "there is no checksum at the end of the file, where aprender writes one"
    assert notes(opened(tmp_path, build([F32], footer=False))) == [missing]
    assert notes(opened(tmp_path, build([F32]) + bytes(100))) == [
        "104 bytes after the last tensor belong to none",
        missing,
    ]
    assert check_footer(tmp_path / "model.apr") is None
    hole = build([F32, OTHER], tensor_count=1)
    assert notes(opened(tmp_path, hole)) == ["64 bytes after the last tensor belong to none"]


def test_an_index_out_of_order(tmp_path: Path) -> None:
    container = opened(tmp_path, build([OTHER, F32], keep_order=True))
    assert faults(container) == [("file", "the tensor index is not sorted by name; aprender refuses the file")]
    assert [tensor.name for tensor in container.tensors] == ["b.weight", "a.weight"]


def test_data_in_another_order_than_names_are_fine(tmp_path: Path) -> None:
    swapped = [replace(F32, offset=64), replace(OTHER, offset=0)]
    container = opened(tmp_path, build(swapped))
    assert container.findings == ()
    assert [tensor.name for tensor in container.tensors] == ["b.weight", "a.weight"]


def test_a_name_twice(tmp_path: Path) -> None:
    container = opened(tmp_path, build([F32, F32]))
    assert faults(container) == [("a.weight", "the index names this tensor more than once")]


def test_a_name_that_is_not_utf8(tmp_path: Path) -> None:
    container = opened(tmp_path, build([replace(F32, name="\udcff.weight")]))
    assert faults(container) == [("\udcff.weight", "the tensor's name is not UTF-8; aprender refuses the file")]


def test_overlapping_tensors(tmp_path: Path) -> None:
    container = opened(tmp_path, build([F32, replace(OTHER, offset=32)]))
    assert faults(container) == [("b.weight", "its data overlap those of a.weight")]
    assert notes(container)[0] == "1 tensors do not start at a multiple of 64 bytes, among them b.weight"
    assert all(tensor.readable for tensor in container.tensors)


def test_a_truncated_file(tmp_path: Path) -> None:
    whole = build([F32, OTHER])
    container = opened(tmp_path, whole[: len(whole) - 4 - 64])
    message = "its data end beyond the file, which is truncated or has a damaged index"
    assert faults(container) == [("b.weight", message)]
    assert [tensor.readable for tensor in container.tensors] == [True, False]


@pytest.mark.parametrize(("size", "readable"), [(63, False), (65, True), (0, False)])
def test_a_size_that_does_not_fit(tmp_path: Path, size: int, readable: bool) -> None:
    container = opened(tmp_path, build([replace(F32, size=size), replace(OTHER, offset=128)]) + bytes(64))
    assert faults(container) == [("a.weight", "its size does not fit F32 of shape [4, 4]")]
    found = next(found for found in container.findings if found.is_failure)
    assert (found.expected, found.found) == ("64 bytes", f"{size} bytes")
    assert next(tensor for tensor in container.tensors if tensor.name == "a.weight").readable is readable


def test_flat_super_blocks(tmp_path: Path) -> None:
    flat = Tensor("a.weight", 12, (4, 128), bytes(2 * 144))
    container = opened(tmp_path, build([flat]))
    assert faults(container) == [
        ("a.weight", "flat super-blocks across rows: rows of 128 elements do not start blocks of their own")
    ]
    assert container.tensors[0].readable
    assert not container.tensors[0].padded_rows
    padded = opened(tmp_path, build([replace(flat, data=bytes(4 * 144))]))
    assert faults(padded) == []
    assert padded.tensors[0].padded_rows


def test_sections_that_overlap(tmp_path: Path) -> None:
    assert faults(opened(tmp_path, build([F32], data_offset=128))) == [
        ("file", "the data section overlaps the tensor index")
    ]
    beyond = opened(tmp_path, build([], data_offset=1 << 40))
    assert faults(beyond) == [("file", "the data section begins beyond the end of the file")]


def test_metadata_with_a_key_twice_keep_the_last_value(tmp_path: Path) -> None:
    text = b'{"rms_norm_eps":null,"x":1,"rms_norm_eps":1e-6,"x":2,"hidden_size":64,"hidden_size":null}'
    container = opened(tmp_path, build([F32], metadata=text))
    assert container.metadata == {"rms_norm_eps": 1e-6, "x": 2, "hidden_size": 64}
    assert notes(container) == [
        "the metadata name rms_norm_eps, x, hidden_size more than once; the last value that is not null counts"
    ]
    assert faults(container) == []


def test_metadata_with_numbers_that_json_lacks(tmp_path: Path) -> None:
    container = opened(tmp_path, build([F32], metadata=b'{"rope_theta":NaN,"a":Infinity,"b":-Infinity}'))
    assert container.metadata["a"] == float("inf")
    assert container.metadata["b"] == float("-inf")
    assert container.metadata["rope_theta"] != container.metadata["rope_theta"]
    assert notes(container) == ["the metadata hold NaN, Infinity, -Infinity, which JSON does not have"]


def test_a_copy_of_the_shapes_that_disagrees(tmp_path: Path) -> None:
    text = b'{"tensor_shapes":{"a.weight":[2,8],"b.weight":[8]}}'
    container = opened(tmp_path, build([F32, OTHER], metadata=text))
    assert notes(container) == ["metadata say shape [2, 8], the index says [4, 4]"]


@pytest.mark.parametrize(
    ("metadata", "reason"),
    [
        (b"", "Expecting value"),
        (b"[]", "not a JSON object"),
        (b'{"a":', "Expecting value"),
        (b'{"a":"\xff"}', "utf-8"),
        (b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}", "nested too deep"),
        (b'{"a":' + b"9" * 5000 + b"}", "digits"),
    ],
    ids=["empty", "a list", "cut off", "not UTF-8", "deep", "a number without end"],
)
def test_metadata_that_cannot_be_read(tmp_path: Path, metadata: bytes, reason: str) -> None:
    with pytest.raises(FormatError, match=reason):
        opened(tmp_path, build([F32], metadata=metadata))


def test_flags_that_lie_about_compression(tmp_path: Path) -> None:
    container = opened(tmp_path, build([F32], flags=0x0401))
    assert faults(container) == []
    assert notes(container) == ["the flags say LZ4-compressed, but the file is plain"]


def test_other_oddities_of_a_header_are_notes(tmp_path: Path) -> None:
    raw = bytearray(build([F32], flags=0x9410, minor=3))
    raw[63] = 1
    raw[40:44] = zlib.crc32(raw[:40] + raw[44:64]).to_bytes(4, "little")
    container = opened(tmp_path, bytes(raw))
    assert faults(container) == []
    assert notes(container) == [
        "the minor version is 3; only 0 is known",
        "flags 0x9000 have no known meaning",
        "reserved bytes of the header are not zero",
        "this is one shard of a model; its other shards are not read",
    ]
