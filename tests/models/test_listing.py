"""What is listed, and that no folder, link or file keeps the rest from being listed."""

import os
import shutil

import pytest
from fixture_files import FIXTURES
from hub_cache import FIRST, SECOND, SHARDED, TINY, add_pulled, add_snapshot, fresh_home
from huggingface_hub import scan_cache_dir
from safetensors import safe_open

from aprtui.formats.container import Format
from aprtui.models import Place, list_models, model_places, walk

GGUF = FIXTURES / "qwen2-tiny/gguf/Q4_K_M.gguf"
APR = FIXTURES / "apr/0.72.3/qwen2-tiny/s-import.apr"


@pytest.fixture
def home(monkeypatch, tmp_path):
    return fresh_home(monkeypatch, tmp_path)


def listing(folder):
    (found,) = list_models([Place("folder", folder)])
    return found


def paths(folder):
    return [model.path.relative_to(folder).as_posix() for model in listing(folder).models]


def test_facts_are_those_of_the_headers(tmp_path):
    shutil.copytree(TINY, tmp_path / "a")
    shutil.copy(GGUF, tmp_path / "b.gguf")
    shutil.copy(APR, tmp_path / "c.apr")
    shutil.copy(TINY / "model.safetensors", tmp_path / "d.safetensors")
    models = {model.path.name: model.facts for model in listing(tmp_path).models}
    assert list(models) == ["b.gguf", "c.apr", "d.safetensors", "model.safetensors"]
    with safe_open(TINY / "model.safetensors", "numpy") as file:
        shapes = {name: file.get_slice(name).get_shape() for name in file.keys()}  # noqa: SIM118
        types = {file.get_slice(name).get_dtype() for name in shapes}
    facts = models["model.safetensors"]
    assert (facts.format, facts.architecture) == (Format.SAFETENSORS, "qwen2")
    assert facts.tensors == {next(iter(types)): len(shapes)}
    elements = sum(shape[0] * (shape[1] if len(shape) > 1 else 1) for shape in shapes.values())
    assert facts.parameters == elements and facts.nbytes == elements * 2
    assert facts.lacks == () and models["d.safetensors"].lacks == ("config.json", "tokenizer")
    assert {models["b.gguf"].format, models["c.apr"].format} == {Format.GGUF, Format.APR}
    assert len(models["b.gguf"].tensors) > 1


def test_the_caches_of_this_machine(home):
    hub = home / ".cache/huggingface/hub"
    add_snapshot(hub, "org/tiny", FIRST, references=("v1", "refs/pr/1"))
    add_snapshot(hub, "org/tiny", SECOND, SHARDED, references=("main",))
    (hub / "datasets--org--text/snapshots/abc").mkdir(parents=True)
    pulled = add_pulled(home, "hf_org_tiny_model.safetensors", TINY / "model.safetensors", "d715")
    shutil.copytree(TINY, home / ".cache/apr-models/tiny/safetensors")
    found = {listed.place.path: listed for listed in list_models(model_places([home / "gone"], "settings.toml"))}
    by_commit = {model.commit: model for model in found[hub].models}
    assert by_commit.keys() == {FIRST, SECOND}
    assert by_commit[FIRST].references == ("refs/pr/1", "v1") and by_commit[SECOND].references == ("main",)
    assert by_commit[SECOND].path.name == "model.safetensors.index.json"
    revisions = {
        revision.commit_hash: revision.snapshot_path
        for repo in scan_cache_dir(hub).repos
        for revision in repo.revisions
    }
    assert {commit: model.path.parent for commit, model in by_commit.items()} == {
        commit: path for commit, path in revisions.items() if commit in by_commit
    }
    (single,) = found[pulled.parent].models
    assert (single.path, single.name, single.facts.lacks) == (pulled, "hf_org_tiny_model.safetensors", ())
    assert len(found[home / ".cache/apr-models"].models) == 1
    assert found[home / ".apr/cache/hf"].note == found[home / "gone"].note == "there is no such folder"


def problems(folder):
    return [model.problem for model in listing(folder).models]


def test_incomplete_snapshots_say_what_is_missing(tmp_path):
    snapshot = add_snapshot(tmp_path, "org/a", FIRST, SHARDED)
    for shard in ("model-00002-of-00005.safetensors", "model-00004-of-00005.safetensors"):
        (snapshot / shard).resolve().unlink()
    assert problems(tmp_path) == [
        "incomplete snapshot: 2 of 5 shards are missing: "
        "model-00002-of-00005.safetensors, model-00004-of-00005.safetensors"
    ]
    (snapshot / "model.safetensors.index.json").unlink()
    (snapshot / "model-00002-of-00005.safetensors").unlink()
    (snapshot / "model-00004-of-00005.safetensors").unlink()
    assert problems(tmp_path) == ["incomplete: 3 shards without their index"]


def test_a_broken_link_and_an_unfinished_download(tmp_path):
    snapshot = add_snapshot(tmp_path, "org/a", FIRST)
    (snapshot / "model.safetensors").resolve().unlink()
    only_config = add_snapshot(tmp_path, "org/b", FIRST)
    (only_config / "model.safetensors").unlink()
    (tmp_path / "models--org--c/refs").mkdir(parents=True)
    (tmp_path / "models--org--c/blobs").mkdir()
    (tmp_path / "models--org--c/blobs/0.incomplete").touch()
    found = {model.name: model for model in listing(tmp_path).models}
    assert found["org/a"].problem == "incomplete: the file behind model.safetensors is missing"
    assert found["org/b"].problem == "incomplete snapshot: model.safetensors is missing"
    assert found["org/c"].problem == "it holds no snapshot, unfinished downloads: 1"


def test_a_broken_file_is_one_entry_among_others(tmp_path, monkeypatch):
    for name in ("a.gguf", "c.gguf", "d.gguf"):
        shutil.copy(GGUF, tmp_path / name)
    (tmp_path / "b.gguf").write_bytes(GGUF.read_bytes()[:4000])
    (tmp_path / "e.safetensors").write_bytes(b"<html>" * 9)
    (tmp_path / "f.apr").touch()
    os.mkfifo(tmp_path / "g.gguf")
    monkeypatch.setattr("aprtui.models.listing.open_model", refusing("d.gguf"))
    found = {model.path.name: model.problem for model in listing(tmp_path).models}
    assert found["a.gguf"] == found["c.gguf"] == ""
    assert found["d.gguf"] == "aprtui failed: ZeroDivisionError: hostile"
    assert "file ends at" in found["b.gguf"]
    assert "web page" in found["e.safetensors"] and "empty" in found["f.apr"]


def refusing(name):
    from aprtui.formats.model import open_model

    def opened(path):
        if path.name == name:
            raise ZeroDivisionError("hostile")
        return open_model(path)

    return opened


def test_loops_of_links_end_and_nothing_is_listed_twice(tmp_path):
    (tmp_path / "a").mkdir()
    shutil.copy(GGUF, tmp_path / "a/m.gguf")
    (tmp_path / "a/up").symlink_to(tmp_path)
    (tmp_path / "a/self").symlink_to(tmp_path / "a/self")
    (tmp_path / "again").symlink_to(tmp_path / "a")
    assert paths(tmp_path) == ["a/m.gguf"]
    first, second = list_models([Place("a", tmp_path / "a"), Place("all", tmp_path)])
    assert (len(first.models), len(second.models)) == (1, 0)


def test_deep_and_large_folders_are_cut_off_and_said_so(tmp_path, monkeypatch):
    deep = tmp_path.joinpath(*"123456789")
    deep.mkdir(parents=True)
    shutil.copy(GGUF, deep / "m.gguf")
    shutil.copy(GGUF, deep.parent / "m.gguf")
    assert paths(tmp_path) == ["1/2/3/4/5/6/7/8/m.gguf"]
    assert listing(tmp_path).note == "folders deeper than 8 were not looked into"
    monkeypatch.setattr(walk, "_MOST_ENTRIES", 50)
    (tmp_path / "many").mkdir()
    for number in range(60):
        (tmp_path / "many" / str(number)).touch()
    assert "stopped after 50 entries, in" in listing(tmp_path).note


def test_parts_and_shards_are_one_model_each(tmp_path):
    shutil.copytree(SHARDED, tmp_path / "s")
    for number in (1, 2):
        shutil.copy(GGUF, tmp_path / f"m-{number:05}-of-00002.gguf")
    assert paths(tmp_path) == ["m-00001-of-00002.gguf", "s/model.safetensors.index.json"]


def test_a_closed_folder_is_passed_over(tmp_path, monkeypatch):
    scan = os.scandir

    def closed(folder):
        # Nothing is closed to root, as whom tests may run.
        if folder.name == "closed":
            raise PermissionError(13, "Permission denied")
        return scan(folder)

    (tmp_path / "closed").mkdir()
    shutil.copy(GGUF, tmp_path / "m.gguf")
    monkeypatch.setattr(os, "scandir", closed)
    assert paths(tmp_path) == ["m.gguf"]
    assert "cannot be read: Permission denied" in listing(tmp_path).note
