import struct
import tracemalloc
from itertools import pairwise

import gguf
import numpy as np
import pytest
from fixture_files import FIXTURES
from gguf_bytes import gguf_file, key, llama_accepts, string, tensor

from aprtui.core.dtypes import DTYPES, DType
from aprtui.core.errors import FormatError
from aprtui.formats.bytes import tensor_bytes
from aprtui.formats.container import Format
from aprtui.formats.gguf import read_gguf
from aprtui.formats.gguf.types import GGML_NUMBERS, GGML_TYPES

GOOD = sorted(path.relative_to(FIXTURES).as_posix() for path in FIXTURES.glob("*/gguf/*.gguf"))
BY_APR = sorted(path.relative_to(FIXTURES).as_posix() for path in FIXTURES.glob("apr/**/*.gguf"))
PLACEHOLDER = [name for name in BY_APR if name.endswith(("sg.gguf", "ag.gguf")) and "llama" not in name]
PADDED = [name for name in BY_APR if name.endswith("q4k-export.gguf")]


def _plain(value):
    return list(value) if not isinstance(value, str | int | float | bool) else value


def _same_tensors(container, reader):
    assert [tensor.name for tensor in container.tensors] == [tensor.name for tensor in reader.tensors]
    for ours, theirs in zip(container.tensors, reader.tensors, strict=True):
        assert ours.dtype.value == theirs.tensor_type.name
        assert ours.shape == tuple(theirs.shape.tolist()[::-1])
        assert ours.offset == theirs.data_offset
        assert ours.nbytes == theirs.n_bytes
        assert np.array_equal(tensor_bytes(ours), theirs.data.reshape(-1).view(np.uint8))


def _same_metadata(container, reader):
    fields = {name: field for name, field in reader.fields.items() if not name.startswith("GGUF.")}
    assert list(container.metadata) == list(fields)
    for name, field in fields.items():
        assert _plain(container.metadata[name]) == field.contents(), name


@pytest.mark.parametrize("name", [*GOOD, *(name for name in BY_APR if name not in PADDED)])
def test_every_fixture_as_the_gguf_package_reads_it(name):
    container, reader = read_gguf(FIXTURES / name), gguf.GGUFReader(FIXTURES / name)
    assert container.format is Format.GGUF
    assert container.version == "GGUF v3"
    _same_metadata(container, reader)
    _same_tensors(container, reader)


@pytest.mark.parametrize("name", [*GOOD, *BY_APR])
def test_a_file_has_findings_where_llama_cpp_refuses_it(name):
    assert bool(read_gguf(FIXTURES / name).findings) is not llama_accepts(FIXTURES / name)


@pytest.mark.parametrize("name", PLACEHOLDER)
def test_the_tensor_without_bytes_of_its_own_is_blamed_and_no_other(name):
    (finding,) = read_gguf(FIXTURES / name).findings
    assert finding.subject == "output.weight"
    assert "those of token_embd.weight" in finding.message
    assert finding.is_failure


@pytest.mark.parametrize("name", PADDED)
def test_rows_that_do_not_fill_blocks_are_found_and_read_as_padded(name):
    container = read_gguf(FIXTURES / name)
    odd = [tensor for tensor in container.tensors if tensor.dtype is DType.Q4_K and tensor.columns % 256]
    assert odd
    assert [finding.subject for finding in container.findings] == [tensor.name for tensor in odd]
    for stored in odd:
        assert stored.readable
        assert stored.padded_rows
        assert tensor_bytes(stored).size == stored.shape[0] * 144
    for before, after in pairwise(container.tensors):
        assert before.offset + before.nbytes <= after.offset


def test_types_are_those_of_the_gguf_package():
    names = {number: dtype.value for number, dtype in GGML_TYPES.items()}
    theirs = {int(kind): kind.name for kind in gguf.GGMLQuantizationType}
    assert names.items() <= theirs.items()
    assert set(gguf.quants._type_traits) <= set(GGML_TYPES)
    for dtype, number in GGML_NUMBERS.items():
        if dtype is not DType.Q8_1:  # block_q8_1 has 36 bytes in ggml-common.h; the package says 40
            assert (DTYPES[dtype].block, DTYPES[dtype].nbytes) == gguf.GGML_QUANT_SIZES[number]


def test_every_type_of_value(tmp_path):
    path = tmp_path / "values.gguf"
    writer = gguf.GGUFWriter(path, "test")
    writer.add_uint8("u8", 255)
    writer.add_int8("i8", -128)
    writer.add_uint16("u16", 65535)
    writer.add_int16("i16", -32768)
    writer.add_uint32("u32", 2**32 - 1)
    writer.add_int32("i32", -(2**31))
    writer.add_uint64("u64", 2**64 - 1)
    writer.add_int64("i64", -(2**63))
    writer.add_float32("f32", 0.1)
    writer.add_float64("f64", 0.1)
    writer.add_bool("yes", True)
    writer.add_string("text", "naïve ✓")
    writer.add_array("numbers", [1, -2, 3])
    writer.add_array("floats", [0.5, 1.5])
    writer.add_array("flags", [True, False, True])
    writer.add_array("words", ["", "a", "日本"])
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    container = read_gguf(path)
    _same_metadata(container, gguf.GGUFReader(path))
    assert container.metadata["yes"] is True
    assert container.metadata["words"][-1] == "日本"
    assert container.metadata["words"][:2] == ["", "a"]
    with pytest.raises(IndexError):
        container.metadata["words"][3]


def test_arrays_of_arrays(tmp_path):
    path = tmp_path / "nested.gguf"
    inner = struct.pack("<IQ2H", 2, 2, 7, 8)
    words = struct.pack("<IQ", 8, 1) + string(b"word")
    path.write_bytes(gguf_file([key(b"nested", 9, struct.pack("<IQ", 9, 2) + inner + words)]))
    container = read_gguf(path)
    numbers, strings = container.metadata["nested"]
    assert numbers.tolist() == [7, 8]
    assert list(strings) == ["word"]
    assert [finding.subject for finding in container.findings] == ["nested"]


def test_a_large_vocabulary_costs_nothing_until_asked(tmp_path):
    path = tmp_path / "vocabulary.gguf"
    count = 150_000
    strings = b"".join(string(b"token%d" % number) for number in range(count))
    path.write_bytes(gguf_file([key(b"tokens", 9, struct.pack("<IQ", 8, count) + strings)]))
    tracemalloc.start()
    tokens = read_gguf(path).metadata["tokens"]
    assert len(tokens) == count
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 200_000
    assert tokens[0] == "token0"
    assert tokens[-1] == f"token{count - 1}"
    assert list(tokens) == [f"token{number}" for number in range(count)]


def test_text_that_is_not_utf8_is_kept(tmp_path):
    path = tmp_path / "bytes.gguf"
    path.write_bytes(gguf_file([key(b"k\xff", 8, string(b"v\xfe"))], [tensor(b"t\xfd", (32,), 0, 0)], 128))
    container = read_gguf(path)
    assert {name.encode("utf-8", "surrogateescape") for name in container.metadata} == {b"k\xff"}
    assert container.metadata["k\udcff"].encode("utf-8", "surrogateescape") == b"v\xfe"
    assert container.tensors[0].name == "t\udcfd"


@pytest.mark.parametrize(
    ("version", "reason"),
    [(1, "version 1"), (3 << 24, "big-endian"), (4, "version 4 is not known"), (0, "version 0 is not known")],
)
def test_other_versions_are_refused_by_name(tmp_path, version, reason):
    path = tmp_path / "other.gguf"
    path.write_bytes(gguf_file(version=version))
    assert not llama_accepts(path)
    with pytest.raises(FormatError, match=reason):
        read_gguf(path)


def test_version_2_is_read(tmp_path):
    path = tmp_path / "v2.gguf"
    path.write_bytes(gguf_file([key(b"a", 0, b"\x05")], [tensor(b"t", (3, 2), 0, 0)], 32, version=2))
    container = read_gguf(path)
    assert container.version == "GGUF v2"
    assert container.tensors[0].shape == (2, 3)
    assert container.findings == ()
