"""The cache of the Hugging Face hub, against huggingface_hub itself."""

import importlib.util
from pathlib import Path

import huggingface_hub
import pytest
from hub_cache import FIRST, SECOND, add_snapshot, fresh_home
from huggingface_hub import constants, scan_cache_dir, snapshot_download, try_to_load_from_cache
from huggingface_hub.utils import HFValidationError, validate_repo_id

from aprtui.core.errors import UsageError
from aprtui.models.hub import (
    NoSnapshotError,
    choose_snapshot,
    commit_of,
    is_repository_name,
    read_repository,
    repository_folder,
)
from aprtui.paths import huggingface_cache

REPO = "org/tiny.v1"


def cache_of_the_hub_itself() -> Path:
    """What huggingface_hub takes from the environment; it reads it when it is imported, so import it again."""
    spec = importlib.util.spec_from_file_location("huggingface_hub.constants_again", constants.__file__)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return Path(module.HF_HUB_CACHE)


@pytest.mark.parametrize(
    "variables",
    [
        {},
        {"XDG_CACHE_HOME": "{tmp}/xdg"},
        {"HF_HOME": "{tmp}/hf", "XDG_CACHE_HOME": "{tmp}/xdg"},
        {"HF_HOME": "~/hf"},
        {"HF_HOME": "$PLACE/hf"},
        {"HF_HOME": "~nobody-of-this-name/hf"},
        {"HF_HOME": ""},
        {"HUGGINGFACE_HUB_CACHE": "{tmp}/old", "HF_HOME": "{tmp}/hf"},
        {"HUGGINGFACE_HUB_CACHE": "~/old"},
        {"HF_HUB_CACHE": "{tmp}/new", "HUGGINGFACE_HUB_CACHE": "{tmp}/old", "HF_HOME": "{tmp}/hf"},
        {"HF_HUB_CACHE": "~/$PLACE"},
        {"HF_HUB_CACHE": "", "HF_HOME": "{tmp}/hf"},
    ],
    ids=str,
)
def test_the_cache_is_where_the_hub_has_it(monkeypatch, tmp_path, variables):
    home = fresh_home(monkeypatch, tmp_path)
    monkeypatch.setenv("PLACE", "some/place")
    for name, value in variables.items():
        monkeypatch.setenv(name, value.format(tmp=tmp_path))
    assert huggingface_cache() == cache_of_the_hub_itself()
    if not variables:
        assert huggingface_cache() == home / ".cache/huggingface/hub"


@pytest.mark.parametrize(
    "name",
    [
        *("gpt2", "org/name", "Qwen/Qwen2.5-0.5B", "a_b/c", "../x", "a/../b", "a/b/c", "-a/b", "a--b", "a/b.git", ""),
        *("é/b", "/a", "a/", "a b", "a/" + "b" * 97, "a/b\n"),
    ],
)
def test_names_are_those_that_the_hub_takes(name):
    try:
        validate_repo_id(name)
    except HFValidationError:
        assert not is_repository_name(name)
    else:
        assert is_repository_name(name)


@pytest.mark.parametrize("revision", [None, "main", "v1", "refs/pr/3", FIRST, SECOND])
def test_references_and_commits_lead_where_the_hub_goes(monkeypatch, tmp_path, revision):
    fresh_home(monkeypatch, tmp_path)
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    add_snapshot(tmp_path / "hub", REPO, FIRST, references=("v1",))
    add_snapshot(tmp_path / "hub", REPO, SECOND, references=("main", "refs/pr/3"))
    chosen = choose_snapshot(read_repository(repository_folder(REPO)), revision)
    file = try_to_load_from_cache(REPO, "config.json", cache_dir=tmp_path / "hub", revision=revision)
    assert file == str(chosen.path / "config.json")
    assert chosen.commit == (FIRST if revision in ("v1", FIRST) else SECOND) == commit_of(Path(file))
    assert snapshot_download(
        REPO, revision=revision, cache_dir=tmp_path / "hub", local_files_only=True, allow_patterns=["config.json"]
    ) == str(chosen.path)


def test_repositories_are_read_as_the_hub_reads_them(tmp_path):
    add_snapshot(tmp_path, REPO, FIRST, references=("v1",))
    add_snapshot(tmp_path, REPO, SECOND, references=("main",))
    (theirs,) = scan_cache_dir(tmp_path).repos
    ours = read_repository(Path(theirs.repo_path))
    assert ours.name == theirs.repo_id == REPO
    assert ours.snapshots == {revision.commit_hash: revision.snapshot_path for revision in theirs.revisions}
    assert ours.references == {name: revision.commit_hash for name, revision in theirs.refs.items()}


def test_first_digits_of_a_commit(tmp_path):
    for commit in (FIRST, SECOND):
        add_snapshot(tmp_path, REPO, commit)
    repository = read_repository(tmp_path / "models--org--tiny.v1")
    assert choose_snapshot(repository, "a1b2").commit == FIRST
    assert choose_snapshot(repository, "a1c3111").commit == SECOND
    for revision in ("a1b", "a1bf", "../snapshots/" + FIRST, "A1B2", ""):
        with pytest.raises(NoSnapshotError, match="no reference and no snapshot is called"):
            choose_snapshot(repository, revision)
    add_snapshot(tmp_path, REPO, "a1b2f" + "0" * 35)
    with pytest.raises(UsageError, match=f"2 snapshots begin with a1b2: {FIRST}, a1b2f0.*--revision"):
        choose_snapshot(read_repository(tmp_path / "models--org--tiny.v1"), "a1b2")


def test_several_snapshots_without_main_are_listed(tmp_path):
    add_snapshot(tmp_path, REPO, FIRST, references=("v1",))
    assert choose_snapshot(read_repository(tmp_path / "models--org--tiny.v1"), None).commit == FIRST
    add_snapshot(tmp_path, REPO, SECOND)
    with pytest.raises(UsageError, match=rf"2 snapshots.*{FIRST} \(v1\), {SECOND}; choose one with --revision"):
        choose_snapshot(read_repository(tmp_path / "models--org--tiny.v1"), None)


def test_main_may_point_to_what_is_not_here(tmp_path):
    """The hub never returns a snapshot of another commit either."""
    add_snapshot(tmp_path, REPO, FIRST)
    root = tmp_path / "models--org--tiny.v1"
    (root / "refs/main").write_text(SECOND)
    (root / "blobs/0123.incomplete").touch()
    assert huggingface_hub.try_to_load_from_cache(REPO, "config.json", cache_dir=tmp_path) is None
    with pytest.raises(NoSnapshotError, match=f"refs/main is commit {SECOND}.*here: {FIRST}.*unfinished downloads: 1"):
        choose_snapshot(read_repository(root), None)
