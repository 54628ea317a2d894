"""Which model is meant: the order of the places, what stops the search, and what is said of each place."""

import shutil
from pathlib import Path

import huggingface_hub
import pytest
from fixture_files import FIXTURES
from hub_cache import FIRST, SECOND, SHARDED, TINY, add_pulled, add_snapshot, fresh_home

from aprtui.core.errors import AprtuiError, UsageError
from aprtui.core.outcomes import ExitCode
from aprtui.formats.model import open_model
from aprtui.models import Wanted, download_model, resolve_model, search_model

REPO = "org/Tiny-1.5B"
GGUF = FIXTURES / "qwen2-tiny/gguf/Q8_0.gguf"


@pytest.fixture
def home(monkeypatch, tmp_path):
    return fresh_home(monkeypatch, tmp_path)


@pytest.fixture
def hub(home):
    return home / ".cache/huggingface/hub"


def outcomes(wanted: Wanted, *folders: Path) -> dict[str, str]:
    """What came of every place, by the last part of its path."""
    return {place.rpartition("/")[2]: outcome for place, outcome in search_model(wanted, folders).tried}


def test_the_places_in_their_order(home, hub, tmp_path):
    """Every place has the model; taken away one after another, the next one is taken."""
    named, local, folder = tmp_path / "named", tmp_path / "local", tmp_path / "folder"
    pulled = add_pulled(home, "hf_org_Tiny-1.5B_model.safetensors", TINY / "model.safetensors", "d715")
    places = [named, local, hub / "models--org--Tiny-1.5B", folder / REPO, folder / "Tiny-1.5B", pulled]
    places += [home / ".apr/cache/hf" / REPO, home / ".cache/apr-models" / REPO]
    places += [home / ".cache/apr-models/tiny-1-5b/safetensors"]
    for place in places:
        if place == hub / "models--org--Tiny-1.5B":
            add_snapshot(hub, REPO, FIRST, references=("main",))
        elif place != pulled:
            shutil.copytree(TINY, place)
    for place in places:
        wanted = Wanted(REPO, local, named if named.exists() else None)
        model = resolve_model(wanted, [folder])
        assert model.path == (place / "snapshots" / FIRST if place.parent == hub else place)
        assert model.commit == (FIRST if place.parent == hub else None)
        assert model.tried[-1].outcome.startswith("found: ")
        assert open_model(model.path).architecture == "qwen2"
        shutil.rmtree(place) if place.is_dir() else (home / ".cache/pacha/models/manifest.json").unlink()
    with pytest.raises(AprtuiError, match=f"`hf download {REPO}`") as error:
        resolve_model(wanted, [folder])
    assert error.value.exit_code is ExitCode.ENVIRONMENT and str(local) in error.value.message


def test_every_place_says_why_it_has_nothing(home, tmp_path):
    (tmp_path / "folder").mkdir()
    add_pulled(home, "hf_org_Tiny-1.5B-GGUF_tiny-q8_0.gguf", GGUF, "e069")
    assert outcomes(Wanted(REPO, tmp_path / "gone"), tmp_path / "folder", tmp_path / "absent") == {
        "--model": "not given",
        "local_path of the playbook": f"there is no {tmp_path}/gone",
        "models--org--Tiny-1.5B": "never downloaded: there is no such folder",
        "folder": f"holds neither {REPO} nor Tiny-1.5B",
        "absent": "no such folder",
        "models": "the manifest names no file of this repository; it has tiny-q8_0.gguf of org/Tiny-1.5B-GGUF, "
        "which is another repository",
        "Tiny-1.5B": "there is no such folder",
        "tiny-1-5b": "there is no such folder",
    }


def test_a_revision_chooses_the_snapshot(hub):
    add_snapshot(hub, REPO, FIRST, references=("v1",))
    add_snapshot(hub, REPO, SECOND, references=("main",))
    assert resolve_model(Wanted(REPO)).commit == SECOND
    for revision in ("v1", FIRST, FIRST[:7]):
        assert resolve_model(Wanted(REPO, revision=revision)).commit == FIRST
    with pytest.raises(AprtuiError, match=f"at revision v2 is not .*`hf download {REPO} --revision v2`"):
        resolve_model(Wanted(REPO, revision="v2"))


def test_only_snapshots_have_revisions(home, hub, tmp_path):
    shutil.copytree(TINY, tmp_path / "local")
    shutil.copytree(TINY, home / ".apr/cache/hf" / REPO)
    wanted = Wanted(REPO, tmp_path / "local", revision="main")
    assert "passed over" in outcomes(wanted)["local_path of the playbook"]
    assert [outcome for place, outcome in search_model(wanted).tried if place.endswith(f".apr/cache/hf/{REPO}")] == [
        "passed over: revisions are not known there"
    ]
    snapshot = add_snapshot(hub, REPO, FIRST, references=("main",))
    assert resolve_model(wanted).path == snapshot
    with pytest.raises(UsageError, match="revision main was asked for, but this is no snapshot"):
        resolve_model(Wanted(REPO, named=tmp_path / "local", revision="main"))
    with pytest.raises(UsageError, match=f"{SECOND} was asked for, but this is the snapshot of commit {FIRST}"):
        resolve_model(Wanted(REPO, named=snapshot, revision=SECOND))


def test_several_snapshots_stop_the_search(home, hub):
    for commit in (FIRST, SECOND):
        add_snapshot(hub, REPO, commit)
    shutil.copytree(TINY, home / ".apr/cache/hf" / REPO)
    with pytest.raises(UsageError, match=f"{FIRST}, {SECOND}; choose one with --revision"):
        resolve_model(Wanted(REPO))


def test_named_paths_keep_their_commit(hub):
    snapshot = add_snapshot(hub, REPO, FIRST, references=("main",))
    for named in (snapshot, snapshot / "model.safetensors", snapshot.parents[1]):
        model = resolve_model(Wanted("a/label", named=named))
        assert model.commit == FIRST and open_model(model.path).architecture == "qwen2"
    (snapshot.parents[1] / "refs/main").write_text(SECOND)
    with pytest.raises(AprtuiError, match=f"refs/main is commit {SECOND}.*`hf download a/label`"):
        resolve_model(Wanted("a/label", named=snapshot.parents[1]))


def test_a_damaged_snapshot_is_named_with_the_command_that_mends_it(home, hub):
    snapshot = add_snapshot(hub, REPO, FIRST, SHARDED, references=("main",))
    shard = "model-00002-of-00005.safetensors"
    (snapshot / shard).resolve().unlink()
    with pytest.raises(AprtuiError, match=f"cannot be used: refs/main.*1 of 5 shards.*{shard}.*`hf download {REPO}`"):
        resolve_model(Wanted(REPO))
    shutil.copytree(TINY, home / ".apr/cache/hf" / REPO)
    assert resolve_model(Wanted(REPO)).path == home / ".apr/cache/hf" / REPO


def test_a_folder_per_format_as_apr_qa_keeps_them(tmp_path):
    base = tmp_path / "workspace"
    (base / "gguf").mkdir(parents=True)
    shutil.copy(GGUF, base / "gguf/model.gguf")
    assert resolve_model(Wanted("x", named=base)).path == base / "gguf"
    shutil.copytree(TINY, base / "safetensors")
    assert resolve_model(Wanted("x", named=base)).path == base / "safetensors"


def test_what_the_user_named_is_taken_even_if_it_is_damaged(tmp_path, hub):
    """Otherwise another model would be tested than the one that was named."""
    add_snapshot(hub, REPO, FIRST, references=("main",))
    (tmp_path / "local").mkdir()
    assert resolve_model(Wanted(REPO, tmp_path / "local")).path == tmp_path / "local"
    with pytest.raises(AprtuiError, match="gone: there is no such model"):
        resolve_model(Wanted(REPO, named=tmp_path / "gone"))


@pytest.mark.parametrize("repo", ["../../etc", "a label", "-x/y", "\x1b[31m/x"])
def test_a_label_is_no_place(home, tmp_path, repo):
    assert resolve_model(Wanted(repo, TINY)).path == TINY
    with pytest.raises(AprtuiError, match=r"name a path with --model$"):
        resolve_model(Wanted(repo))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{", "cannot be read"),
        ("[" * 100_000, "cannot be read"),
        ('{"name": 1}', "no list of files"),
        ('[{"name": 1, "path": "x"}, "x", {"name": "hf_org_Tiny-1.5B_a"}]', "names no file of this repository"),
        ('[{"name": "hf_org_Tiny-1.5B_m.safetensors", "path": "/gone"}]', "m.safetensors: /gone is gone"),
        (
            '[{"name": "hf_org_Tiny-1.5B_a.gguf", "path": "a"}, {"name": "hf_org_Tiny-1.5B_b.gguf", "path": "b"}]',
            "several files: a.gguf, b.gguf",
        ),
    ],
)
def test_manifests_of_all_kinds(home, text, reason):
    folder = home / ".cache/pacha/models"
    folder.mkdir(parents=True)
    (folder / "manifest.json").write_text(text)
    assert reason in outcomes(Wanted(REPO))["models"]


def test_downloads_go_where_they_are_looked_for(hub, monkeypatch):
    asked = []

    def fetch(repo, *, revision, cache_dir):
        asked.append((repo, revision, cache_dir))
        return str(add_snapshot(Path(cache_dir), repo, FIRST, references=(revision or "main",)))

    monkeypatch.setattr(huggingface_hub, "snapshot_download", fetch)
    with pytest.raises(AprtuiError):
        resolve_model(Wanted(REPO, revision="v1"))
    assert asked == []
    model = resolve_model(Wanted(REPO, revision="v1"), download=True)
    assert asked == [(REPO, "v1", hub)] and model.commit == FIRST
    asked.clear()
    assert resolve_model(Wanted(REPO, revision="v1"), download=True) == model
    with pytest.raises(AprtuiError, match="there is no such model"):
        resolve_model(Wanted("org/other", named=hub / "gone"), download=True)
    with pytest.raises(AprtuiError, match="is not on this machine"):
        resolve_model(Wanted("../no/repository"), download=True)
    assert asked == []


def test_a_download_that_fails_is_one_line(home, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(AprtuiError, match=f"^{REPO} could not be downloaded: [^\n]*; try `hf download {REPO}`$"):
        download_model(REPO)


def test_without_huggingface_hub_the_command_is_named(home, monkeypatch):
    monkeypatch.setattr("aprtui.models.download.find_spec", lambda name: None)
    with pytest.raises(AprtuiError, match=rf"not installed; install it .*aprtui\[download\].*`hf download {REPO}`"):
        download_model(REPO)
