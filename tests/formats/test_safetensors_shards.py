import json
import shutil

import pytest
import safetensors
from fixture_files import FIXTURES

from aprtui.core.dtypes import DType
from aprtui.core.errors import FormatError
from aprtui.formats.bytes import tensor_bytes
from aprtui.formats.safetensors import read_safetensors, write_safetensors

SOURCE = FIXTURES / "qwen3-sharded-tiny/hf"
INDEX = "model.safetensors.index.json"
SHARDS = [f"model-{number:05}-of-00005.safetensors" for number in range(1, 6)]


@pytest.fixture
def model(tmp_path):
    for name in (*SHARDS, INDEX):
        shutil.copy(SOURCE / name, tmp_path / name)
    return tmp_path


def _change(index, change):
    content = json.loads(index.read_text())
    change(content["weight_map"])
    index.write_text(json.dumps(content))


def _subjects(model):
    return [finding.subject for finding in read_safetensors(model / INDEX).findings]


def test_all_shards_are_read_as_safetensors_reads_them():
    container = read_safetensors(SOURCE / INDEX)
    assert container.findings == ()
    assert container.version == "SafeTensors, 5 shards"
    assert [path.name for path in container.files] == SHARDS
    theirs = {}
    for name in SHARDS:
        theirs |= dict(safetensors.deserialize((SOURCE / name).read_bytes()))
    assert len(container.tensors) == len(theirs) == 47
    for tensor in container.tensors:
        assert tensor_bytes(tensor).tobytes() == bytes(theirs[tensor.name]["data"])
    assert {tensor.name: tensor.file.name for tensor in container.tensors} == json.loads((SOURCE / INDEX).read_text())[
        "weight_map"
    ]


def test_missing_shards_are_named(model):
    (model / SHARDS[1]).unlink()
    (model / SHARDS[3]).unlink()
    with pytest.raises(FormatError, match=f"incomplete snapshot: 2 of 5 shards are missing: {SHARDS[1]}, {SHARDS[3]}"):
        read_safetensors(model / INDEX)


def test_a_tensor_that_is_not_in_its_shard(model):
    _change(model / INDEX, lambda weights: weights.update(phantom=SHARDS[0]))
    assert _subjects(model) == ["phantom"]


def test_a_tensor_in_another_shard_than_the_index_says(model):
    _change(model / INDEX, lambda weights: weights.update({"model.norm.weight": SHARDS[0]}))
    (finding,) = read_safetensors(model / INDEX).findings
    assert finding.subject == "model.norm.weight"
    assert finding.expected == SHARDS[0]
    assert finding.found in SHARDS[1:]


def test_a_tensor_that_the_index_does_not_name(model):
    _change(model / INDEX, lambda weights: weights.pop("model.norm.weight"))
    assert _subjects(model) == ["model.norm.weight"]


def test_a_tensor_in_two_shards(model):
    first, second = (read_safetensors(model / name).tensors for name in SHARDS[:2])
    tensors = [(t.name, t.dtype, t.shape, [tensor_bytes(t)]) for t in (*second, first[0])]
    write_safetensors(model / SHARDS[1], tensors)
    (finding,) = read_safetensors(model / INDEX).findings
    assert finding.subject == first[0].name
    assert finding.found == f"{SHARDS[0]}, {SHARDS[1]}"


@pytest.mark.parametrize("shard", ["../secret.safetensors", "/etc/passwd", "a/b", "", "..", 3, None, "a\0b", "a\\b"])
def test_an_index_cannot_point_outside_its_directory(model, shard):
    _change(model / INDEX, lambda weights: weights.update({"model.norm.weight": shard}))
    with pytest.raises(FormatError, match="is not the name of a shard"):
        read_safetensors(model / INDEX)


@pytest.mark.parametrize(
    "content", ["{}", "[]", '{"weight_map": []}', '{"weight_map": {}}', "", "{", '{"weight_map": 1}']
)
def test_an_index_that_cannot_be_used_is_refused(model, content):
    (model / INDEX).write_text(content)
    with pytest.raises(FormatError):
        read_safetensors(model / INDEX)


def test_a_shard_name_that_no_system_takes_is_missing(model):
    _change(model / INDEX, lambda weights: weights.update({"model.norm.weight": "x" * 5000}))
    with pytest.raises(FormatError, match="1 of 6 shards are missing"):
        read_safetensors(model / INDEX)


def test_a_model_of_forty_shards(tmp_path):
    names = [f"model-{number:05}-of-00040.safetensors" for number in range(1, 41)]
    for number, name in enumerate(names):
        write_safetensors(tmp_path / name, [(f"t{number}", DType.U8, (4,), [bytes([number] * 4)])])
    index = {"weight_map": {f"t{number}": name for number, name in enumerate(names)}}
    (tmp_path / INDEX).write_text(json.dumps(index))
    container = read_safetensors(tmp_path / INDEX)
    assert container.findings == ()
    assert [int(tensor_bytes(tensor)[0]) for tensor in container.tensors] == list(range(40))
