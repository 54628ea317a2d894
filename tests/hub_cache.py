"""Caches of models for tests, laid out as huggingface_hub and apr lay them out."""

import hashlib
import json
import os
import shutil
from pathlib import Path

import pytest
from fixture_files import FIXTURES

TINY = FIXTURES / "qwen2-tiny/hf"
SHARDED = FIXTURES / "qwen3-sharded-tiny/hf"
FIRST = "a1b2" + "0" * 36
SECOND = "a1c3" + "1" * 36
_VARIABLES = ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME")


def fresh_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An empty home directory, an empty working directory, and none of the variables that point elsewhere."""
    home, here = tmp_path / "home", tmp_path / "here"
    home.mkdir()
    here.mkdir()
    for name in (*_VARIABLES, "APRTUI_MODEL_FOLDERS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("USERPROFILE", str(home))
    monkeypatch.setenv("APPDATA", str(home / ".config"))
    monkeypatch.chdir(here)
    return home


def add_snapshot(cache: Path, repo: str, commit: str, source: Path = TINY, references: tuple[str, ...] = ()) -> Path:
    """A snapshot of a repository: blobs by digest, links to them, references; returns its folder."""
    root = cache / f"models--{repo.replace('/', '--')}"
    snapshot = root / "snapshots" / commit
    for folder in (root / "blobs", root / "refs", snapshot):
        folder.mkdir(parents=True, exist_ok=True)
    for file in source.iterdir():
        blob = root / "blobs" / hashlib.sha256(file.read_bytes()).hexdigest()
        shutil.copy(file, blob)
        (snapshot / file.name).symlink_to(os.path.relpath(blob, snapshot))
    for reference in references:
        path = root / "refs" / reference
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(commit)
    return snapshot


def add_pulled(home: Path, name: str, source: Path, digest: str) -> Path:
    """A file that `apr pull` fetched, with its companions and its line in the manifest; returns the file."""
    folder = home / ".cache/pacha/models"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{digest}{source.suffix}"
    shutil.copy(source, path)
    if source.suffix == ".safetensors":
        for companion in ("config.json", "tokenizer.json"):
            shutil.copy(source.with_name(companion), folder / f"{digest}.{companion}")
    manifest = folder / "manifest.json"
    entries = json.loads(manifest.read_text()) if manifest.exists() else []
    manifest.write_text(json.dumps([*entries, {"name": name, "path": str(path)}]))
    return path
