"""`aprtui open` and `aprtui paths`: which run is meant, and where things are."""

import json

import pytest
from run_folders import RUN_ID, whole_run, write_run

from aprtui.cli import main
from aprtui.cli.open import run_of
from aprtui.core.errors import AprtuiError


def evidence(path, *ids):
    path.write_text(json.dumps([{"id": one} for one in ids]))


def test_a_run_by_folder_id_and_evidence(tmp_path):
    folder = write_run(tmp_path, whole_run())
    assert run_of(str(folder.path)).path == folder.path
    assert run_of(RUN_ID[:12]).path == folder.path
    evidence(folder.evidence, "a", "b")
    assert run_of(str(folder.evidence)).path == folder.path
    beside = folder.path.parents[1] / "evidence.json"
    evidence(beside, "b")
    assert run_of(str(beside)).path == folder.path
    copied = tmp_path / "copied.json"
    evidence(copied, "a", "b")
    assert run_of(str(copied)).path == folder.path


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[]", "holds no entry"),
        ("{", "not JSON"),
        ("{}", "no list of entries"),
        ("[3]", "no gate_id"),
        ("[" * 100_000, "not JSON"),
    ],
)
def test_a_file_that_is_no_evidence_is_told(tmp_path, text, problem):
    path = tmp_path / "e.json"
    path.write_text(text)
    with pytest.raises(AprtuiError, match=problem):
        run_of(str(path))


def test_a_gate_that_the_run_does_not_have_is_told(tmp_path, capsys):
    folder = write_run(tmp_path, whole_run())
    with pytest.raises(SystemExit) as ended:
        main(["open", str(folder.path), "--gate", "F-CONV-A-G"])
    assert ended.value.code == 2
    assert "this run has no gate F-CONV-A-G" in capsys.readouterr().err


def test_paths_are_printed(capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("APRTUI_PLAYBOOK_FOLDERS", str(tmp_path))
    with pytest.raises(SystemExit):
        main(["paths", "--format", "json"])
    found = json.loads(capsys.readouterr().out)
    assert found["themes of aprtui"]["exists"]
    assert found["playbook folder 1"] == {"path": str(tmp_path), "exists": True}
    with pytest.raises(SystemExit):
        main(["paths"])
    assert "register of runs" in capsys.readouterr().out
