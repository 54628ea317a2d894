import gguf
import numpy as np
import pytest

from aprtui.core.dtypes import DType
from aprtui.core.errors import FormatError
from aprtui.formats.bytes import tensor_bytes
from aprtui.formats.gguf import GgufValue, ValueType, read_gguf, write_gguf

NAMES = [f"m-{number:05}-of-00003.gguf" for number in (1, 2, 3)]


def _write_part(path, number, names, *, count=3, total=5):
    writer = gguf.GGUFWriter(path, "test")
    writer.add_uint16("split.no", number)
    writer.add_uint16("split.count", count)
    writer.add_int32("split.tensors.count", total)
    for name in names:
        writer.add_tensor(name, np.full((2, 32), len(name) + number, np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


@pytest.fixture
def parts(tmp_path):
    for number, names in enumerate((["a", "b"], ["c"], ["d", "e"])):
        _write_part(tmp_path / NAMES[number], number, names)
    return tmp_path


@pytest.mark.parametrize("name", NAMES)
def test_any_part_opens_all(parts, name):
    container = read_gguf(parts / name)
    assert container.findings == ()
    assert [tensor.name for tensor in container.tensors] == ["a", "b", "c", "d", "e"]
    assert [path.name for path in container.files] == NAMES
    assert container.version == "GGUF v3, 3 parts"
    assert container.metadata["split.no"] == 0
    values = [float(tensor_bytes(tensor).view("<f4")[0]) for tensor in container.tensors]
    assert values == [1, 1, 2, 3, 3]


def test_missing_parts_are_named(parts):
    (parts / NAMES[0]).unlink()
    (parts / NAMES[2]).unlink()
    with pytest.raises(FormatError, match=f"2 of the model's 3 parts are missing: {NAMES[0]}, {NAMES[2]}"):
        read_gguf(parts / NAMES[1])


def test_a_part_under_another_name_is_refused(parts):
    (parts / NAMES[1]).rename(parts / "renamed.gguf")
    with pytest.raises(FormatError, match="one part of a model split into 3 files"):
        read_gguf(parts / "renamed.gguf")


@pytest.mark.parametrize(
    ("number", "names", "changes", "subjects"),
    [
        (2, ["c"], {}, ["split.no"]),
        (1, ["c"], {"count": 4}, ["split.count"]),
        (1, ["c", "x"], {}, ["split.tensors.count"]),
        (1, ["a"], {}, ["a"]),
    ],
)
def test_parts_that_do_not_belong_together(parts, number, names, changes, subjects):
    _write_part(parts / NAMES[1], number, names, **changes)
    assert [finding.subject for finding in read_gguf(parts / NAMES[0]).findings] == subjects


def test_a_name_like_a_part_without_the_keys_is_a_whole_model(tmp_path):
    path = tmp_path / NAMES[1]
    chunk = np.zeros(4, np.uint8)
    write_gguf(path, [GgufValue("k", 1, ValueType.UINT8)], [("t", DType.F32, (1,), [chunk])])
    assert [tensor.name for tensor in read_gguf(path).tensors] == ["t"]


def test_a_count_of_parts_that_is_no_number_is_one_file(tmp_path):
    path = tmp_path / NAMES[1]
    write_gguf(path, [GgufValue("split.count", [3, 3], ValueType.ARRAY, ValueType.UINT16)], [])
    assert len(read_gguf(path).files) == 1
