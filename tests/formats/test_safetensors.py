import json

import numpy as np
import pytest
import safetensors
import safetensors.numpy
from fixture_files import FIXTURES
from header_damage import damaged, read_or_refuse
from hypothesis import HealthCheck, given, settings

from aprtui.core.dtypes import DType
from aprtui.core.errors import AprtuiError, FormatError
from aprtui.formats.bytes import tensor_bytes
from aprtui.formats.container import Format
from aprtui.formats.safetensors import read_safetensors, write_safetensors
from aprtui.formats.safetensors.types import TYPES

SINGLE = sorted(
    path.relative_to(FIXTURES).as_posix()
    for pattern in ("**/model.safetensors", "**/model-*.safetensors", "apr/0.2.11/*/s-convert*.apr")
    for path in FIXTURES.glob(pattern)
)


def _file(tensors, data=b"", *, metadata=None):
    header = {
        name: dict(zip(("dtype", "shape", "data_offsets"), entry, strict=True)) for name, entry in tensors.items()
    }
    if metadata is not None:
        header["__metadata__"] = metadata
    return _raw(json.dumps(header).encode(), data)


def _raw(header, data=b""):
    return len(header).to_bytes(8, "little") + header + data


def _read(tmp_path, content):
    path = tmp_path / "model.safetensors"
    path.write_bytes(content)
    return read_safetensors(path)


def _upstream_refuses(content):
    try:
        safetensors.deserialize(content)
    except safetensors.SafetensorError:
        return True
    return False


@pytest.mark.parametrize("name", SINGLE)
def test_every_fixture_as_safetensors_reads_it(name):
    path = FIXTURES / name
    container = read_safetensors(path)
    theirs = dict(safetensors.deserialize(path.read_bytes()))
    assert container.format is Format.SAFETENSORS
    assert container.findings == ()
    assert {tensor.name for tensor in container.tensors} == set(theirs)
    for tensor in container.tensors:
        expected = theirs[tensor.name]
        assert (tensor.dtype.value, list(tensor.shape)) == (expected["dtype"], expected["shape"])
        assert tensor_bytes(tensor).tobytes() == bytes(expected["data"])
    with safetensors.safe_open(path, "numpy") as opened:
        assert container.metadata == (opened.metadata() or {})


def test_every_type_has_the_size_that_upstream_demands(tmp_path):
    for dtype in TYPES:
        size = 12 * dtype.info.nbytes // dtype.info.block
        content = _file({"t": (dtype.value, [3, 4], [0, size])}, bytes(size))
        assert not _upstream_refuses(content), dtype
        container = _read(tmp_path, content)
        assert container.findings == ()
        assert container.tensors[0].dtype is dtype
        assert tensor_bytes(container.tensors[0]).size == size


def test_shapes_without_elements_and_scalars(tmp_path):
    content = _file({"none": ("F32", [0, 5], [0, 0]), "scalar": ("F32", [], [0, 4])}, bytes(4))
    container = _read(tmp_path, content)
    assert container.findings == ()
    assert [(tensor.shape, tensor.elements) for tensor in container.tensors] == [((0, 5), 0), ((), 1)]
    assert not _upstream_refuses(content)


F32 = "F32"


@pytest.mark.parametrize(
    ("tensors", "size", "subjects", "readable"),
    [
        ({"a": (F32, [2], [0, 8]), "b": (F32, [2], [8, 16])}, 16, [], "ab"),
        ({"b": (F32, [2], [8, 16]), "a": (F32, [2], [0, 8])}, 16, [], "ab"),
        ({"a": (F32, [2], [0, 8]), "b": (F32, [2], [12, 20])}, 20, ["b"], "ab"),
        ({"a": (F32, [2], [0, 8]), "b": (F32, [2], [4, 12])}, 12, ["b"], "ab"),
        ({"a": (F32, [2], [4, 12])}, 12, ["a"], "a"),
        ({"a": (F32, [2], [0, 8])}, 12, ["file"], "a"),
        ({"a": (F32, [2], [0, 8]), "b": (F32, [2], [8, 16])}, 15, ["b"], "a"),
        ({"a": (F32, [3], [0, 8])}, 8, ["a"], ""),
        ({"a": (F32, [1], [0, 8])}, 8, ["a"], "a"),
        ({"a": (F32, [2], [8, 0])}, 0, ["a", "a"], ""),
        ({"a": (F32, [0], [4, 0])}, 0, ["a", "a"], ""),
        ({"a": ("F4", [3], [0, 2])}, 2, ["a"], ""),
        ({"a": (F32, [2**40, 2**40], [0, 8])}, 8, ["a"], ""),
        ({"a": (F32, [2**62, 4], [0, 2**62])}, 8, ["a", "a"], ""),
    ],
)
def test_offsets_that_do_not_fit_are_found_where_upstream_refuses(tmp_path, tensors, size, subjects, readable):
    content = _file(tensors, bytes(size))
    container = _read(tmp_path, content)
    assert [finding.subject for finding in container.findings] == subjects
    assert {tensor.name for tensor in container.tensors if tensor.readable} == set(readable)
    assert _upstream_refuses(content) is bool(subjects)


def test_a_name_twice_is_found(tmp_path):
    entry = b'{"dtype":"F32","shape":[1],"data_offsets":[0,4]}'
    container = _read(tmp_path, _raw(b'{"a":%s,"a":%s}' % (entry, entry), bytes(4)))
    assert [finding.subject for finding in container.findings] == ["a"]
    assert "more than once" in container.findings[0].message


def test_metadata_that_is_not_text_is_found(tmp_path):
    content = _file({}, metadata={"format": "pt", "n": 3})
    container = _read(tmp_path, content)
    assert [finding.subject for finding in container.findings] == ["n"]
    assert container.metadata == {"format": "pt", "n": 3}
    assert _upstream_refuses(content)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (_raw(b"{"), "not JSON"),
        (_raw(b'{"a": NaN}'), "not JSON"),
        (_raw(b'{"a\xff": {}}'), "not JSON"),
        (_raw(b'{"a":' * 100_000), "nested too deep"),
        (_raw(b'{"a": 3}'), "tensor a: the entry is not an object"),
        (_raw(b'{"__metadata__": []}'), "__metadata__: it is not an object"),
        (_file({"a": (F32, "x", [0, 4])}), "shape is not a list"),
        (_file({"a": (F32, [-1], [0, 4])}), "shape is not a list"),
        (_file({"a": (F32, [True], [0, 4])}), "shape is not a list"),
        (_file({"a": (F32, [2**64], [0, 4])}), "shape is not a list"),
        (_file({"a": (F32, [1.0], [0, 4])}), "shape is not a list"),
        (_file({"a": (F32, [1], [0])}), "data_offsets is not a pair"),
        (_file({"a": (F32, [1], [-4, 0])}), "data_offsets is not a pair"),
        (_file({"a": ("F8_E4M3FNUZ", [1], [0, 1])}, b"x"), "tensor a, data offset 0: dtype 'F8_E4M3FNUZ' is not"),
        (_file({"a": ("Q4_K", [256], [0, 144])}, bytes(144)), "dtype 'Q4_K' is not"),
        (_file({"a": (["F32"], [1], [0, 4])}, bytes(4)), "dtype .* is not"),
        ((2**60).to_bytes(8, "little") + b"{}", "at most 100000000 are read"),
        ((2**20).to_bytes(8, "little") + b"{}", "header takes 1048576 bytes, but the file ends at 10"),
        (b"\2\0\0\0\0\0\0\0[]", "not SafeTensors"),
        (b"abc", "not SafeTensors"),
    ],
)
def test_headers_that_cannot_be_used_are_refused(tmp_path, content, reason):
    with pytest.raises(FormatError, match=reason):
        _read(tmp_path, content)


def _chunks(tensor, size=777):
    raw = tensor_bytes(tensor)
    return (raw[at : at + size] for at in range(0, raw.size, size))


def test_safetensors_reads_what_is_written(tmp_path):
    source = FIXTURES / "llama-tiny256/hf/model.safetensors"
    target = tmp_path / "copy.safetensors"
    tensors = [
        (tensor.name, tensor.dtype, tensor.shape, _chunks(tensor)) for tensor in read_safetensors(source).tensors
    ]
    write_safetensors(target, tensors, {"format": "pt"})
    assert dict(safetensors.deserialize(target.read_bytes())) == dict(safetensors.deserialize(source.read_bytes()))
    assert read_safetensors(target).findings == ()
    assert read_safetensors(target).metadata == {"format": "pt"}


def test_mixed_types_are_written_aligned(tmp_path):
    arrays = {"i": np.arange(3, dtype=np.uint8), "d": np.arange(5, dtype=np.float64), "f": np.ones((2, 3), np.float32)}
    types = {"i": DType.U8, "d": DType.F64, "f": DType.F32}
    target = tmp_path / "mixed.safetensors"
    write_safetensors(
        target, [(name, types[name], array.shape, [array.view(np.uint8)]) for name, array in arrays.items()]
    )
    theirs = safetensors.numpy.load_file(target)
    assert all(np.array_equal(theirs[name], array) for name, array in arrays.items())
    for tensor in read_safetensors(target).tensors:
        assert tensor.offset % tensor.dtype.info.nbytes == 0


@pytest.mark.parametrize(
    ("tensors", "reason"),
    [
        ([("a", DType.F32, (2,), [bytes(7)])], "tensor a: 7 bytes were given where .* takes 8"),
        ([("a", DType.Q4_K, (256,), [bytes(144)])], "cannot store Q4_K"),
        ([("a", DType.F4, (3,), [bytes(2)])], "cannot store F4"),
        ([("a", DType.F32, (0,), []), ("a", DType.F32, (0,), [])], "more than once"),
        ([("__metadata__", DType.F32, (0,), [])], "reserved"),
    ],
)
def test_what_cannot_be_written_is_refused_and_leaves_nothing(tmp_path, tensors, reason):
    with pytest.raises(AprtuiError, match=reason):
        write_safetensors(tmp_path / "a.safetensors", tensors)
    assert list(tmp_path.iterdir()) == []


MODEL = FIXTURES / "qwen2-tiny/hf/model.safetensors"
CONTENT = MODEL.read_bytes()
SMALL = _file({"a": ("F32", [2], [0, 8]), "b": ("BF16", [2, 2], [8, 16])}, bytes(16), metadata={"format": "pt"})
SETTINGS = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], derandomize=True)


@given(content=damaged(SMALL, len(SMALL)))
@settings(SETTINGS, max_examples=500)
def test_a_damaged_header_is_read_or_refused(tmp_path, content):
    read_or_refuse(read_safetensors, tmp_path / "damaged.safetensors", content)


@given(content=damaged(CONTENT, int.from_bytes(CONTENT[:8], "little") + 8))
@settings(SETTINGS, max_examples=100)
def test_a_damaged_model_is_read_or_refused(tmp_path, content):
    read_or_refuse(read_safetensors, tmp_path / "damaged.safetensors", content)
