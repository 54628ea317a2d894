"""Which model `aprtui run` takes, what its evidence says of it, and when it downloads."""

import json
from pathlib import Path

import huggingface_hub
import pytest
from hub_cache import FIRST, SECOND, add_snapshot, fresh_home

from aprtui.cli.main import main

PLAYBOOK = "name: p\nmodel:\n  hf_repo: org/tiny\n  formats: [safetensors, gguf]\n"


@pytest.fixture
def hub(monkeypatch, tmp_path):
    return fresh_home(monkeypatch, tmp_path) / ".cache/huggingface/hub"


@pytest.fixture
def no_network(monkeypatch):
    def fetch(repo, **_):
        raise AssertionError(f"{repo} was fetched")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", fetch)


def run(capsys, *arguments: object) -> tuple[int, str, list[dict[str, str]]]:
    """Exit code, standard error, and the metadata of the evidence."""
    Path("p.yaml").write_text(PLAYBOOK)
    with pytest.raises(SystemExit) as stopped:
        main(["run", "p.yaml", "--output", "e.json", *map(str, arguments)])
    written = json.loads(Path("e.json").read_text()) if Path("e.json").exists() else []
    return int(stopped.value.code or 0), capsys.readouterr().err, [entry["metadata"] for entry in written]


@pytest.mark.parametrize(("revision", "commit"), [(None, SECOND), ("main", SECOND), ("v1", FIRST), (FIRST[:8], FIRST)])
def test_the_commit_goes_into_the_evidence(capsys, hub, no_network, revision, commit):
    add_snapshot(hub, "org/tiny", FIRST, references=("v1",))
    add_snapshot(hub, "org/tiny", SECOND, references=("main",))
    code, err, evidence = run(capsys, "--converter", "builtin", *(["--revision", revision] if revision else []))
    snapshot = hub / "models--org--tiny/snapshots" / commit
    assert code == 0 and f"model: {snapshot} (Hugging Face cache" in err and f"commit {commit})" in err
    models = [json.loads(metadata["model"]) for metadata in evidence]
    assert len(models) == 21
    assert all((model["path"], model["commit"]) == (str(snapshot), commit) for model in models)
    assert all(str(snapshot) in metadata["command"] for metadata in evidence)


def test_several_snapshots_and_no_word_on_which(capsys, hub, no_network):
    for commit in (FIRST, SECOND):
        add_snapshot(hub, "org/tiny", commit)
    code, err, evidence = run(capsys, "--download")
    assert (code, evidence) == (2, []) and f"{FIRST}, {SECOND}; choose one with --revision" in err


def test_folders_of_the_settings_are_searched(capsys, hub, no_network, tmp_path):
    add_snapshot(tmp_path / "models", "org/tiny", FIRST)
    Path("aprtui.toml").write_text("model_folders = ['../models']")
    code, err, (metadata, *_) = run(capsys)
    assert code == 5 and json.loads(metadata["model"])["commit"] == FIRST
    Path("aprtui.toml").write_text("model_folders = 1")
    code, err, _ = run(capsys)
    assert code == 2 and "aprtui.toml, line 1, model_folders: a list of folders expected" in err


def test_nothing_is_downloaded_unless_asked_for(capsys, hub, no_network, monkeypatch):
    code, err, _ = run(capsys, "--revision", "v1")
    assert code == 3 and err.rstrip().endswith("download it with `hf download org/tiny --revision v1`")

    def fetch(repo, *, revision, cache_dir):
        return str(add_snapshot(Path(cache_dir), repo, FIRST, references=(revision,)))

    monkeypatch.setattr(huggingface_hub, "snapshot_download", fetch)
    code, _, (metadata, *_) = run(capsys, "--revision", "v1", "--download")
    assert code == 5 and json.loads(metadata["model"])["commit"] == FIRST


def test_without_huggingface_hub_download_says_so(capsys, hub, monkeypatch):
    monkeypatch.setattr("aprtui.models.download.find_spec", lambda name: None)
    code, err, _ = run(capsys, "--download")
    assert code == 3 and "huggingface_hub, which is not installed" in err and "`hf download org/tiny`" in err
