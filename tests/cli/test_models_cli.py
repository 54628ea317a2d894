"""`aprtui models`: the list, the explanation, and their exit codes."""

import json
import shutil
from pathlib import Path

import pytest
from fixture_files import FIXTURES
from hub_cache import FIRST, SECOND, SHARDED, add_snapshot, fresh_home

from aprtui.cli.main import main

GGUF = FIXTURES / "qwen2-tiny/gguf/Q8_0.gguf"


@pytest.fixture
def hub(monkeypatch, tmp_path):
    return fresh_home(monkeypatch, tmp_path) / ".cache/huggingface/hub"


def run(capsys, *arguments: object) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as stopped:
        main(["models", *map(str, arguments)])
    captured = capsys.readouterr()
    return int(stopped.value.code or 0), captured.out, captured.err


def test_an_empty_machine(capsys, hub):
    code, out, err = run(capsys)
    assert (code, err) == (0, "")
    assert f"Hugging Face cache: {hub}\n  there is no such folder\n" in out


def test_the_list(capsys, hub, tmp_path):
    snapshot = add_snapshot(hub, "org/tiny", FIRST, references=("main",))
    shutil.copy(GGUF, tmp_path / "m.gguf")
    (tmp_path / "bad\x1b[31m.gguf").write_bytes(b"<html>" * 9)
    Path("aprtui.toml").write_text(f"model_folders = ['{tmp_path}']")
    code, out, _ = run(capsys)
    assert code == 0
    assert (
        f"  {snapshot}/model.safetensors\n      org/tiny at {FIRST} (main)\n      SafeTensors, qwen2, 107,072 " in out
    )
    assert f"model folder (aprtui.toml): {tmp_path}\n" in out
    assert f"  {tmp_path}/m.gguf\n      GGUF, qwen2, 107,072 parameters, " in out and "Q8_0 (" in out
    assert f"  {tmp_path}/bad\\x1b[31m.gguf: " in out and "web page" in out


def test_the_list_as_json(capsys, hub, tmp_path):
    add_snapshot(hub, "org/tiny", FIRST, references=("main",))
    (tmp_path / "given").mkdir()
    (tmp_path / "given/m.gguf").write_bytes(b"GGUF")
    code, out, _ = run(capsys, tmp_path / "given", "--format", "json")
    cached, given = (place["models"] for place in json.loads(out) if place["models"])
    assert code == 0
    assert (cached[0]["name"], cached[0]["commit"], cached[0]["references"]) == ("org/tiny", FIRST, ["main"])
    assert cached[0]["facts"]["tensors_by_type"] and cached[0]["facts"]["parameters"] == 107_072
    assert given[0]["facts"] is None and given[0]["problem"]


def test_why_a_repository_means_its_model(capsys, hub):
    add_snapshot(hub, "org/tiny", FIRST, references=("v1",))
    snapshot = add_snapshot(hub, "org/tiny", SECOND, references=("main",))
    code, out, _ = run(capsys, "--why", "org/tiny")
    assert code == 0
    assert out.endswith(f"found: refs/main, commit {SECOND}\nmodel: {snapshot}\ncommit: {SECOND}\n")
    assert run(capsys, "--why", "org/tiny", "--revision", "v1")[1].endswith(f"commit: {FIRST}\n")
    code, out, _ = run(capsys, "--why", "org/tiny", "--revision", "v1", "--format", "json")
    answer = json.loads(out)
    assert (code, answer["model"]["commit"], answer["problem"]) == (0, FIRST, None)
    assert [place["place"] for place in answer["tried"]][:2] == ["--model", "local_path of the playbook"]


def test_why_a_playbook_means_its_model(capsys, hub, tmp_path):
    playbook = tmp_path / "p.playbook.yaml"
    playbook.write_text("name: p\nmodel:\n  hf_repo: org/tiny\n  local_path: beside\n")
    code, out, _ = run(capsys, "--why", playbook)
    assert code == 3
    assert f"local_path of the playbook: there is no {tmp_path}/beside" in out
    assert out.rstrip().endswith("download it with `hf download org/tiny`")
    shutil.copytree(SHARDED, tmp_path / "beside")
    code, out, _ = run(capsys, "--why", playbook)
    assert code == 0 and f"model: {tmp_path}/beside\n" in out
    code, out, _ = run(capsys, "--why", playbook, "--model", GGUF)
    assert code == 0 and f"--model: found: the path itself\nmodel: {GGUF}\ncommit: not known" in out


def test_why_several_snapshots_fit_none(capsys, hub):
    for commit in (FIRST, SECOND):
        add_snapshot(hub, "org/tiny", commit)
    code, out, _ = run(capsys, "--why", "org/tiny")
    assert code == 2
    assert f"2 snapshots and no refs/main says which is meant: {FIRST}, {SECOND}; choose one with --revision" in out


def test_folders_given_are_searched_too(capsys, hub, tmp_path):
    shutil.copytree(SHARDED, tmp_path / "org/tiny")
    assert run(capsys, "--why", "org/tiny")[0] == 3
    code, out, _ = run(capsys, tmp_path, "--why", "org/tiny")
    assert code == 0 and f"model: {tmp_path}/org/tiny\n" in out


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["no-such-folder"], "there is no such folder"),
        (["--revision", "main"], "go with --why"),
        (["--why", "no/such/playbook"], "no/such/playbook"),
    ],
)
def test_wrong_usage_is_one_line(capsys, hub, arguments, reason):
    code, out, err = run(capsys, *arguments)
    assert (code, out) == (2, "") and reason in err and len(err.splitlines()) == 1
