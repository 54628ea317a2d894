import gguf
import numpy as np
import pytest
from fixture_files import FIXTURES
from gguf_bytes import llama_accepts, llama_parameters

from aprtui.core.dtypes import DType
from aprtui.core.errors import AprtuiError
from aprtui.formats.bytes import tensor_bytes
from aprtui.formats.gguf import GgufValue, ValueType, read_gguf, write_gguf
from aprtui.formats.gguf.header import read_header


def _chunks(stored, size=1000):
    raw = tensor_bytes(stored)
    return (raw[at : at + size] for at in range(0, raw.size, size))


def _copy(source, target, **options):
    tensors = [(tensor.name, tensor.dtype, tensor.shape, _chunks(tensor)) for tensor in read_gguf(source).tensors]
    write_gguf(target, read_header(source).values, tensors, **options)


@pytest.mark.parametrize("name", ["qwen2-tiny/gguf/Q4_K_M", "llama-tiny256/gguf/IQ4_XS", "phi3-tiny/gguf/bf16"])
def test_a_copy_is_the_same_file(tmp_path, name):
    source, target = FIXTURES / f"{name}.gguf", tmp_path / "copy.gguf"
    _copy(source, target)
    assert target.read_bytes() == source.read_bytes()
    assert [path.name for path in tmp_path.iterdir()] == ["copy.gguf"]


@pytest.mark.parametrize("alignment", [64, 1024])
def test_llama_cpp_loads_a_copy_of_another_alignment(tmp_path, alignment):
    source, target = FIXTURES / "llama-tiny256/gguf/Q8_0.gguf", tmp_path / "copy.gguf"
    _copy(source, target, alignment=alignment)
    assert llama_parameters(target) == llama_parameters(source) > 1_000_000
    container = read_gguf(target)
    assert container.findings == ()
    assert container.metadata["general.alignment"] == alignment
    for ours, theirs in zip(container.tensors, gguf.GGUFReader(target).tensors, strict=True):
        assert ours.offset == theirs.data_offset
        assert ours.offset % alignment == 0


def test_llama_cpp_refuses_a_copy_without_a_tensor(tmp_path):
    source, target = FIXTURES / "llama-tiny256/gguf/Q8_0.gguf", tmp_path / "copy.gguf"
    kept = [tensor for tensor in read_gguf(source).tensors if tensor.name != "blk.0.attn_q.weight"]
    write_gguf(target, read_header(source).values, [(t.name, t.dtype, t.shape, _chunks(t)) for t in kept])
    assert llama_accepts(target)
    assert llama_parameters(target) is None


def test_every_type_of_value(tmp_path):
    path = tmp_path / "values.gguf"
    values = [
        GgufValue("u8", 255, ValueType.UINT8),
        GgufValue("i8", -128, ValueType.INT8),
        GgufValue("u16", 65535, ValueType.UINT16),
        GgufValue("i16", -32768, ValueType.INT16),
        GgufValue("u32", 2**32 - 1, ValueType.UINT32),
        GgufValue("i32", -(2**31), ValueType.INT32),
        GgufValue("u64", 2**64 - 1, ValueType.UINT64),
        GgufValue("i64", -(2**63), ValueType.INT64),
        GgufValue("f32", 0.5, ValueType.FLOAT32),
        GgufValue("f64", 0.1, ValueType.FLOAT64),
        GgufValue("yes", True, ValueType.BOOL),
        GgufValue("text", "naïve ✓", ValueType.STRING),
        GgufValue("numbers", [1, -2], ValueType.ARRAY, ValueType.INT32),
        GgufValue("flags", [True, False], ValueType.ARRAY, ValueType.BOOL),
        GgufValue("words", ["", "日本"], ValueType.ARRAY, ValueType.STRING),
        GgufValue("none", [], ValueType.ARRAY, ValueType.FLOAT32),
    ]
    write_gguf(path, values, [])
    assert llama_accepts(path)
    fields = gguf.GGUFReader(path).fields
    for entry in values:
        if entry.key != "none":  # the package's reader cannot tell what an empty array holds
            assert fields[entry.key].contents() == entry.value
            assert fields[entry.key].types[0] == int(entry.type)
    ours = read_header(path).values
    assert [(entry.key, entry.type, entry.element) for entry in ours] == [
        (entry.key, entry.type, entry.element) for entry in values
    ]


def test_chunks_are_asked_for_one_tensor_at_a_time(tmp_path):
    asked = []

    def chunks(name):
        for number in range(4):
            asked.append((name, number))
            yield bytes(32)

    write_gguf(tmp_path / "a", [], [(name, DType.F32, (32,), chunks(name)) for name in "ab"])
    assert asked == [(name, number) for name in "ab" for number in range(4)]


@pytest.mark.parametrize(
    ("metadata", "tensors", "reason"),
    [
        ([], [("t", DType.F32, (32,), [bytes(127)])], "tensor t: 127 bytes were given where .* takes 128"),
        ([], [("t", DType.F32, (32,), [bytes(127), bytes(2)])], "more than 128"),
        ([], [("t", DType.Q4_K, (2, 64), [])], "rows of 64 elements do not fill"),
        ([], [("t", DType.APR_Q4, (32,), [])], "GGUF has no type AprQ4"),
        ([], [("t", DType.F32, (1,) * 5, [])], "5 dimensions"),
        ([], [("n" * 64, DType.F32, (1,), [])], "longer than the 63 bytes"),
        ([], [("t", DType.F32, (0,), []), ("t", DType.F32, (0,), [])], "more than once"),
        ([GgufValue("k", 256, ValueType.UINT8)], [], "key k: the value does not fit UINT8"),
        ([GgufValue("k", [1], ValueType.ARRAY)], [], "type of its elements"),
        ([GgufValue("k", 1, ValueType.UINT8), GgufValue("k", 1, ValueType.UINT8)], [], "key k: the key is there more"),
    ],
)
def test_what_cannot_be_written_is_refused_and_leaves_nothing(tmp_path, metadata, tensors, reason):
    with pytest.raises(AprtuiError, match=reason):
        write_gguf(tmp_path / "a.gguf", metadata, tensors)
    assert list(tmp_path.iterdir()) == []


def test_a_failed_write_keeps_the_old_file(tmp_path):
    path = tmp_path / "a.gguf"
    path.write_bytes(b"old")
    with pytest.raises(AprtuiError):
        write_gguf(path, [], [("t", DType.F32, (32,), [np.zeros(3, np.uint8)])])
    assert path.read_bytes() == b"old"
    with pytest.raises(AprtuiError, match="not a power of two"):
        write_gguf(path, [], [], alignment=16)
    with pytest.raises(AprtuiError, match="cannot be written"):
        write_gguf(tmp_path / "missing" / "a.gguf", [], [])
