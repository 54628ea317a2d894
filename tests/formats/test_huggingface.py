import gzip
import os
import pickle
import shutil
import zipfile

import pytest
from fixture_files import FIXTURES

from aprtui.core.errors import AprtuiError, FormatError, UsageError
from aprtui.formats.container import Format
from aprtui.formats.huggingface import detect_format, find_model_files
from aprtui.formats.safetensors import read_safetensors

QWEN = FIXTURES / "qwen2-tiny"
SHARDED = FIXTURES / "qwen3-sharded-tiny/hf"
INDEX = "model.safetensors.index.json"
APR = FIXTURES / "apr/0.72.3/qwen2-tiny/s-import.apr"
COMPANIONS = {"config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json"}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("qwen2-tiny/hf/model.safetensors", Format.SAFETENSORS),
        ("qwen2-tiny/gguf/Q4_K_M.gguf", Format.GGUF),
        ("apr/0.72.3/qwen2-tiny/s-import.apr", Format.APR),
        ("apr/0.2.11/qwen2-tiny/s-import.apr", Format.APR),
        ("apr/0.2.11/qwen2-tiny/s-convert.apr", Format.SAFETENSORS),
    ],
)
def test_the_content_tells_the_format(tmp_path, name, expected):
    assert detect_format(FIXTURES / name) is expected
    renamed = tmp_path / "model.bin"
    shutil.copy(FIXTURES / name, renamed)
    assert detect_format(renamed) is expected
    assert find_model_files(renamed).format is expected


@pytest.mark.parametrize("magic", [b"APRN", b"APR1", b"APR2"])
def test_older_apr_formats_are_left_to_the_apr_reader(tmp_path, magic):
    path = tmp_path / "old.apr"
    path.write_bytes(magic + bytes(60))
    assert detect_format(path) is Format.APR


def _zip(path):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", b"x")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (_zip, "zip archive.*PyTorch.*safe_serialization"),
        (pickle.dumps({"a": 1}), "Python pickle.*safe_serialization"),
        (b"<!DOCTYPE html><html>", "web page"),
        (b"\n <html>", "web page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:1\n", "git-lfs pointer.*git lfs pull"),
        (gzip.compress(b"model", mtime=0), "gzip.*gunzip"),
        (b'{"architectures": []}', "JSON"),
        (b"lmgg" + bytes(100), "before GGUF"),
        (b"ggjt" + bytes(100), "begins with 67 67 6a 74"),
        (bytes(1000), "cut off"),
        ((10**6).to_bytes(8, "little") + b'{"a"', "begins like SafeTensors.*truncated"),
        (b"", "the file is empty"),
        (b"hello", "begins with 68 65 6c 6c 6f"),
    ],
)
def test_anything_else_is_named_with_what_to_do(tmp_path, content, reason):
    path = tmp_path / "model.safetensors"
    if callable(content):
        content(path)
    else:
        path.write_bytes(content)
    with pytest.raises(FormatError, match=reason) as error:
        find_model_files(path)
    assert error.value.todo
    with pytest.raises(FormatError):
        read_safetensors(path)


def test_a_directory_in_hugging_face_form():
    files = find_model_files(QWEN / "hf")
    assert files.format is Format.SAFETENSORS
    assert files.primary == QWEN / "hf/model.safetensors"
    assert set(files.companions) == COMPANIONS
    assert all(path == QWEN / "hf" / name for name, path in files.companions.items())


def test_a_file_takes_companions_from_its_directory():
    files = find_model_files(QWEN / "hf/model.safetensors")
    assert set(files.companions) == COMPANIONS


@pytest.mark.parametrize("name", ["", INDEX, "model-00003-of-00005.safetensors"])
def test_shards_are_opened_by_their_index(name):
    files = find_model_files(SHARDED / name)
    assert files.format is Format.SAFETENSORS
    assert files.primary == SHARDED / INDEX
    assert set(files.companions) == {*COMPANIONS, "chat_template.jinja"}


@pytest.mark.parametrize(("source", "expected"), [(QWEN / "gguf/Q8_0.gguf", Format.GGUF), (APR, Format.APR)])
def test_a_directory_with_one_model(tmp_path, source, expected):
    target = tmp_path / source.name
    shutil.copy(source, target)
    (tmp_path / "config.json").write_text("{}")
    files = find_model_files(tmp_path)
    assert (files.format, files.primary) == (expected, target)
    assert files.companions == {}


def test_several_models_are_listed():
    with pytest.raises(UsageError, match=r"6 models: Q4_K_M.gguf, Q6_K.gguf, .*name one of them"):
        find_model_files(QWEN / "gguf")


def test_parts_of_one_split_model_are_one(tmp_path):
    for number in (1, 2):
        shutil.copy(QWEN / "gguf/Q8_0.gguf", tmp_path / f"m-{number:05}-of-00002.gguf")
    assert find_model_files(tmp_path).primary == tmp_path / "m-00001-of-00002.gguf"


@pytest.mark.parametrize(
    ("names", "reason"),
    [
        (["pytorch_model.bin", "config.json"], "pickle only .pytorch_model.bin.*safe_serialization"),
        (["model.pt"], "pickle only"),
        (["config.json"], "incomplete snapshot: model.safetensors is missing"),
        (["README.md"], "holds no model"),
        ([], "holds no model"),
        (["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"], "index.json is missing beside 2"),
        (["model-00001-of-00002.safetensors"], "index.json is missing beside 1"),
    ],
)
def test_directories_without_a_model_say_what_to_do(tmp_path, names, reason):
    for name in names:
        (tmp_path / name).write_text("{}")
    with pytest.raises(FormatError, match=reason) as error:
        find_model_files(tmp_path)
    assert error.value.todo


@pytest.fixture
def repository(tmp_path):
    """A repository of the Hugging Face cache, as huggingface_hub lays it out."""
    root = tmp_path / "models--org--name"
    snapshot = root / "snapshots" / "abc123"
    snapshot.mkdir(parents=True)
    (root / "blobs").mkdir()
    (root / "refs").mkdir()
    (root / "refs" / "main").write_text("abc123")
    for source in SHARDED.iterdir():
        blob = root / "blobs" / f"blob-{source.name}"
        shutil.copy(source, blob)
        (snapshot / source.name).symlink_to(os.path.relpath(blob, snapshot))
    return root


def test_a_repository_of_the_cache_and_its_snapshot(repository):
    snapshot = repository / "snapshots/abc123"
    for path in (repository, snapshot):
        files = find_model_files(path)
        assert files.primary == snapshot / INDEX
        assert "tokenizer.json" in files.companions
        assert read_safetensors(files.primary).findings == ()


def test_the_main_snapshot_of_several_is_taken(repository):
    (repository / "snapshots/older").mkdir()
    assert find_model_files(repository).primary.parent.name == "abc123"
    (repository / "refs/main").unlink()
    with pytest.raises(UsageError, match="2 snapshots: abc123, older"):
        find_model_files(repository)


def test_an_incomplete_snapshot_names_what_is_missing(repository):
    shard = "model-00002-of-00005.safetensors"
    (repository / "blobs" / f"blob-{shard}").unlink()
    with pytest.raises(FormatError, match=f"incomplete snapshot: 1 of 5 shards are missing: {shard}"):
        read_safetensors(find_model_files(repository).primary)
    (repository / "blobs" / f"blob-{INDEX}").unlink()
    with pytest.raises(FormatError, match=f"incomplete snapshot: .*{INDEX} point to files that are missing"):
        find_model_files(repository)


def test_a_repository_without_snapshots(tmp_path):
    (tmp_path / "models--org--name" / "snapshots").mkdir(parents=True)
    with pytest.raises(FormatError, match="no snapshot"):
        find_model_files(tmp_path / "models--org--name")


def test_companions_are_found_by_the_hash_of_aprs_cache(tmp_path):
    for source, name in (("model.safetensors", "d7ab.safetensors"), ("config.json", "d7ab.config.json")):
        shutil.copy(QWEN / "hf" / source, tmp_path / name)
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "0c1f.tokenizer.json").write_text("{}")
    files = find_model_files(tmp_path / "d7ab.safetensors")
    assert files.companions == {"config.json": tmp_path / "d7ab.config.json"}


def test_paths_that_do_not_exist(tmp_path):
    for name in ("missing", "x" * 5000, "a\0b"):
        with pytest.raises(AprtuiError):
            find_model_files(tmp_path / name)
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    with pytest.raises(AprtuiError):
        find_model_files(tmp_path / "loop")
